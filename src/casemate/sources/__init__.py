"""The sources process: fetches events from outside servers, with one connector for each kind.

Not what becomes of the events (`triggers.outside`, `delivery`), no judgement of them
(`admission`). A process of its own, so that what parses the protocols of other servers holds
neither the network side nor the data of this one, and so that the gateway holds none of their
passwords. May import `egress` (rules, resolver and confinement), `child` and `model`.
"""

from typing import TYPE_CHECKING

from casemate.deferred import deferred
from casemate.model.source import SourceStatus
from casemate.sources.interface import Received

if TYPE_CHECKING:
    from casemate.sources.client import Receiver, SourceKey, SourcesClient
else:
    __getattr__ = deferred(
        __name__,
        client=(
            "Receiver",
            "SourceKey",
            "SourcesClient",
        ),
    )

__all__ = ["Received", "Receiver", "SourceKey", "SourceStatus", "SourcesClient"]
