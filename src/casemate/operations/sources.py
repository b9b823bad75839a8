"""Operation on sources: how the servers outside are that triggers read from."""

from __future__ import annotations

import msgspec

from casemate.model.source import SourceStatus
from casemate.operations.declaration import Decided, Declaration, Operation
from casemate.operations.fields import OnlyProject


class Sources(msgspec.Struct, frozen=True, kw_only=True):
    """The sources of the functions that you may read."""

    sources: tuple[SourceStatus, ...]


class ListSources(Operation[Sources], frozen=True, kw_only=True):
    """List the outside servers that triggers read from, and the state of each.

    Only those of functions that you may read (`function:read`).
    """

    declared = Declaration(http="GET /sources", tag="functions", decided=Decided.FOR_EACH)
    project: OnlyProject | None = None
