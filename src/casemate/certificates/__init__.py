"""The certificates of a node: its own authority or the operator's files, and their renewal.

Not the certificates of others: those are verified where a function or a source connects
(`egress`, `sources`).
"""
