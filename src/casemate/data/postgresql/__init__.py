"""The data of projects in PostgreSQL: one schema for each, written by many nodes.

The operations are those of `casemate.data`; here is what this engine does otherwise: what it may
read (`sealing`, `ordering`), its clock, who holds what, and how a node learns what others have
changed. What it is not: it keeps no content of large objects, which its user gives it a place for.
May import `postgresql` and what `data` may.
"""

from casemate.data.postgresql.data import PostgresqlProjectData

__all__ = ["PostgresqlProjectData"]
