"""The sinks: one file each, one line here."""

from __future__ import annotations

from ..sink import Sink
from . import response, sql, url

SINKS: tuple[Sink, ...] = (sql.SINK, url.SINK, response.SINK)
