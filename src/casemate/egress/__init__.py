"""The egress proxy: the only way from a function to the network.

It is: an HTTP proxy (CONNECT and absolute-form requests) and raw TCP forwards over an allow-list,
the one place where names are resolved for functions, and a process of its own with no rights.
It is not: a cache, an interceptor of TLS (it reads the server name and nothing else), or the maker
of the listeners it is given. It may import: `casemate.vault`, `casemate.child`, `casemate.model`.
"""

from typing import TYPE_CHECKING

from casemate.deferred import deferred
from casemate.egress.config import EgressConfig
from casemate.egress.interface import PROXY_PORT, Egress, EgressEvent, NoEgress

if TYPE_CHECKING:
    from casemate.egress.client import EgressClient
else:
    __getattr__ = deferred(
        __name__,
        client=("EgressClient",),
    )

__all__ = [
    "PROXY_PORT",
    "Egress",
    "EgressClient",
    "EgressConfig",
    "EgressEvent",
    "NoEgress",
]
