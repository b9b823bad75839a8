"""The one route table, in front of everything that answers.

Invocations by name, declared HTTP routes, web hooks, identity, the authority's certificate and the
control API are places in it. It is consulted once for each request, by its head, and the caller is
checked once. It is not the server that reads requests (`triggers.http_server`), and not what
answers them: it imports that, and nothing of that imports it.
"""

from casemate.front.authority import AUTHORITY_PATH, Authority
from casemate.front.calls import Calls
from casemate.front.declared import DeclaredRoutes
from casemate.front.identity import DISCOVERY_PATH, KEYS_PATH, Identity
from casemate.front.metrics import METRICS_PATH, MetricsPage
from casemate.front.named import INVOKE_PREFIX, NamedCalls
from casemate.front.nowhere import Nowhere
from casemate.front.own_names import OwnNames
from casemate.front.places import API_PREFIX, ControlApi, WebHooks
from casemate.front.resting import Resting
from casemate.front.table import Place, RouteTable

__all__ = [
    "API_PREFIX",
    "AUTHORITY_PATH",
    "DISCOVERY_PATH",
    "INVOKE_PREFIX",
    "KEYS_PATH",
    "METRICS_PATH",
    "Authority",
    "Calls",
    "ControlApi",
    "DeclaredRoutes",
    "Identity",
    "MetricsPage",
    "NamedCalls",
    "Nowhere",
    "OwnNames",
    "Place",
    "Resting",
    "RouteTable",
    "WebHooks",
]
