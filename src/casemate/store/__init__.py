"""Durable state of a node: versions, aliases, users, tokens, policies, approvals, uses of grants.

Not records of events (`casemate.recorder` keeps those), not the bundles' files (`casemate.build`
writes those), and not a cache. `interface.py` is
the port; each adapter is a module or package of its own, imported by whoever chooses it
(`casemate.store.sqlite`). May import `sqlite`, `operations` and `model` only.
"""

from typing import TYPE_CHECKING

from casemate.deferred import deferred
from casemate.store.errors import (
    StoreBusyError,
    StoreClosedError,
    StoreCommitUnsureError,
    StoreCorruptError,
    StoreError,
    StoreForeignError,
    StoreFullError,
    StoreGoneError,
    StoreKeyError,
    StoreLockedError,
    StoreMediumError,
    StoreMovedError,
    StoreVersionError,
    UsedBeforeError,
)

if TYPE_CHECKING:
    from casemate.store.deciding import AloneDecisions, Decisions, SharedDecisions
    from casemate.store.interface import SharedStore, Store
else:
    __getattr__ = deferred(
        __name__,
        deciding=(
            "AloneDecisions",
            "Decisions",
            "SharedDecisions",
        ),
        interface=(
            "SharedStore",
            "Store",
        ),
    )

__all__ = [
    "AloneDecisions",
    "Decisions",
    "SharedDecisions",
    "SharedStore",
    "Store",
    "StoreBusyError",
    "StoreClosedError",
    "StoreCommitUnsureError",
    "StoreCorruptError",
    "StoreError",
    "StoreForeignError",
    "StoreFullError",
    "StoreGoneError",
    "StoreKeyError",
    "StoreLockedError",
    "StoreMediumError",
    "StoreMovedError",
    "StoreVersionError",
    "UsedBeforeError",
]
