"""What is wrong with a database server or with where it is, told before anything is changed.

The errors of statements are the engine's (`faults`). Whoever has a database gets these as kinds of
its own (`connections`).
"""

from __future__ import annotations

from casemate.model.errors import InvalidInputError, OutOfServiceError
from casemate.sqlite import engine
from casemate.sqlite.errors import (
    DatabaseError,
    DatabaseForeignError,
    DatabaseMediumError,
    DatabaseVersionError,
)


class SettingsError(InvalidInputError):
    """The address of a database server is not one that may be used."""


class UnreachableError(DatabaseMediumError):
    """No server that may be written to answers at the moment."""


class StandbyError(UnreachableError):
    """The server is a standby, or read-only."""


class FencedError(UnreachableError):
    """The server lacks what was acknowledged to this node: it is an older one, or has lost it."""


class FenceDamagedError(DatabaseError, OutOfServiceError):
    """What the node remembers of its database cannot be read."""


class UnfitServerError(DatabaseError, OutOfServiceError):
    """The server's version or settings are such that nothing may be kept there."""


class ForeignSchemaError(DatabaseForeignError):
    """The schema belongs to another program, another cluster, or another kind of data."""


class SchemaVersionError(DatabaseVersionError):
    """The schema was written by a newer Casemate."""


class UntranslatableError(engine.ProgrammingError):
    """A statement has a form that PostgreSQL does not understand, and no translation."""
