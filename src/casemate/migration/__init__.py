"""Moving a stopped node's state from SQLite to PostgreSQL and an object store, and back.

All rows pass as `forms` has them: in clear, the same whichever engine they come from. `sequence` is
the order in which it is done, `sqlite_place` and `postgresql_place` are where from and where to.
The source is read, and only marked at the very end; the target is of no use to a node before. What
it is not: a copy of a node that serves, and nothing of the journal, the records or the master key.
"""
