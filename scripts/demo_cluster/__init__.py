"""Three nodes that share a PostgreSQL and an S3-compatible store, one of which is killed.

`make demo-cluster` runs it.
"""
