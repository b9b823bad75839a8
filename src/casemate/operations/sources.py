"""Operation on sources: how the servers outside are that triggers read from."""

from __future__ import annotations

import msgspec

from casemate.model.source import SourceStatus
from casemate.operations.declaration import Decided, Declaration, Operation
from casemate.operations.fields import OnlyProject


class Sources(msgspec.Struct, frozen=True, kw_only=True):
    """The sources of the functions that the caller may read."""

    sources: tuple[SourceStatus, ...]


class ListSources(Operation[Sources], frozen=True, kw_only=True):
    """List the servers outside that triggers read from, and how each is.

    Those of functions that the caller may read (`function:read`).
    """

    declared = Declaration(http="GET /sources", tag="functions", decided=Decided.FOR_EACH)
    project: OnlyProject | None = None
