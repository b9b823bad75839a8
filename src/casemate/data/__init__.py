"""The data of projects: objects, items, and messages in queues, topics and inboxes.

Durable when a call returns, encrypted at rest, bounded in size. What it is not: it decides nothing
about who may ask (that is `policy`, and the caller's duty), keeps no keys (`vault` does), and is no
place for the node's own records (`store`). May import `sqlite`, `vault` (its interface),
`operations` and `model`.
"""

from casemate.data.errors import (
    CommitUnsureError,
    DataBusyError,
    DataClosedError,
    DataCorruptError,
    DataError,
    DataForeignError,
    DataFullError,
    DataGoneError,
    DataKeyError,
    DataLockedError,
    DataMediumError,
    DataVersionError,
    LimitError,
)
from casemate.data.interface import (
    MAX_PART,
    Fate,
    InvocationState,
    InvocationStatus,
    Lease,
    Message,
    NewMessage,
    ObjectInfo,
    ProjectData,
    Range,
    Settlement,
    Subscription,
)
from casemate.data.limits import DataOptions
from casemate.data.sqlite import SqliteProjectData

__all__ = [
    "MAX_PART",
    "CommitUnsureError",
    "DataBusyError",
    "DataClosedError",
    "DataCorruptError",
    "DataError",
    "DataForeignError",
    "DataFullError",
    "DataGoneError",
    "DataKeyError",
    "DataLockedError",
    "DataMediumError",
    "DataOptions",
    "DataVersionError",
    "Fate",
    "InvocationState",
    "InvocationStatus",
    "Lease",
    "LimitError",
    "Message",
    "NewMessage",
    "ObjectInfo",
    "ProjectData",
    "Range",
    "Settlement",
    "SqliteProjectData",
    "Subscription",
]
