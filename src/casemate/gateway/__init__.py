"""The gateway process of a node: what it is made of, and what owners do with a node that runs.

It parses the network and holds the records, and has no right to make a sandbox. Not how a request
finds who answers it (`front`), no part of the path itself (`invocation`), and not what starts the
process and makes sandboxes (`supervisor`).
"""
