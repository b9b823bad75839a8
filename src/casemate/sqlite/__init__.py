"""The database under `store` and `data`: one engine, one writer, one transaction, one error family.

Encrypted pages, group commit, what tells lost commits from a torn end. What it is not: it has no
tables, and knows neither the node's records nor a project's data. Whoever has a database says by a
`Family` what its errors are called. May import `model` only.
"""
