"""The certificates of a node: its own authority or the operator's files, and their renewal.

Not the certificates of others: who a function or a source speaks with is verified where it
connects (`egress`, `sources`).
"""
