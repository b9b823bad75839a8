"""The embedded store: one SQLite database in a folder of its own, for one node.

One thread writes, with group commit; one thread reads. Not a place for SQL of other packages, and
not for a network file system (SQLite's WAL needs shared memory). What it shares with the data of
projects is `casemate.sqlite`. May import that, `operations`, `model` and the store's own errors
only. The store is `store.SqliteStore`; nothing is imported here, since who only asks whether its
files are there (`files`) needs no database.
"""
