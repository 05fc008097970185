"""Delivery: the manifests, and what checks and deploys them with kubectl."""
