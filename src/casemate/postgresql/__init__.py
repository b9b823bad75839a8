"""PostgreSQL under `store` and `data`, for many nodes: connections that take SQLite's statements.

What performs operations is written once, as functions over a connection of `casemate.sqlite`; a
connection of this package is one to them. It translates the statements (`statements`), tells the
server's errors as the engine's (`faults`), and knows when a commit's fate is unknown. What it is
not: it has no tables of its own but the one that says whose a schema is, and decides nothing about
who may ask. Needs the extra `casemate[cluster]`. May import `sqlite` and `model` only.
"""
