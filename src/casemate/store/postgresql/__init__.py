"""The store of many nodes: one schema of a PostgreSQL database, which all of them write.

What performs the operations is the same as on SQLite (`store/sqlite`): functions over a connection,
here of `casemate.postgresql`. Of its own are the schema, the revision that each change steps, and
what only one function of all nodes may have (`exclusive`). May import `postgresql`, `sqlite`,
`operations`, `model` and the store's own modules. Needs the extra `casemate[cluster]`; nothing is
imported here.
"""
