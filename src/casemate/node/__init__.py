"""A node: the supervisor process, the gateway process, and what owners do with them.

Not the command line (`cli`) and no part of the path itself. May import everything but `cli`.
"""
