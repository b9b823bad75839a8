"""The sinks: one file each, one line here."""

from __future__ import annotations

from ..sink import Sink
from . import sql

SINKS: tuple[Sink, ...] = (sql.SINK,)
