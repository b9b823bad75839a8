"""The gateway process of a node: its parts, and what owners can do with a running node.

It parses the network and holds the records, and has no right to make a sandbox. Not how a request
finds who answers it (`front`), no part of the path itself (`invocation`), and not what starts the
process and makes sandboxes (`supervisor`).
"""
