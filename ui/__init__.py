"""The pages people open first: compare, measure, score files, watch replicas."""
