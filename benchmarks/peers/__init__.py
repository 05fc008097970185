"""The servers that are compared, a file each; the alternatives know nothing of the service."""
