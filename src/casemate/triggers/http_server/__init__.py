"""The HTTP/1.1 front door: sockets and bytes in, whole requests out, responses back.

It is: a strict parser with limits on everything a client controls, keep-alive, flow control,
TLS with contexts that can change, defence against slow clients, graceful drain, and a bridge for
ASGI 3 applications.
It is not: a router, HTTP/2, WebSocket, a maker of certificates, or a judge of who may call.
It may import: `casemate.model`.
"""

from casemate.triggers.http_server.accepting import Tls
from casemate.triggers.http_server.asgi import AsgiHandler, AsgiProtocolError, asgi_handler
from casemate.triggers.http_server.limits import HttpLimits
from casemate.triggers.http_server.listen import ListenError, listen_on
from casemate.triggers.http_server.problem import server_problem
from casemate.triggers.http_server.request_head import RequestRefusedError
from casemate.triggers.http_server.response_head import InvalidResponseError
from casemate.triggers.http_server.server import HttpServer

__all__ = [
    "AsgiHandler",
    "AsgiProtocolError",
    "HttpLimits",
    "HttpServer",
    "InvalidResponseError",
    "ListenError",
    "RequestRefusedError",
    "Tls",
    "asgi_handler",
    "listen_on",
    "server_problem",
]
