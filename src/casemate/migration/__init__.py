"""Moving a stopped node's state from SQLite to PostgreSQL and an object store, and back.

All rows pass in the forms of `forms`: unencrypted, the same for every engine. `sequence` is the
order of steps, `sqlite_place` and `postgresql_place` are the two ends. The source is only read, and
marked at the very end; no node can use the target before. It does not copy a node that is serving,
and does not move the journal, the records or the master key.
"""
