"""SQL through any driver of PEP 249, asyncpg and SQLAlchemy. By wrappers: no audit event has it."""

from __future__ import annotations

from ..sink import Sink
from ..sql import drivers

SINK = Sink(
    name=drivers.NAME,
    summary="Statements of databases: data must stay inside one literal or one chosen name.",
    patches=drivers.PATCHES,
    calls=drivers.CALLS,
)
