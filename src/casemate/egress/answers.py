"""What the proxy itself answers. The reader is the function's author: most HTTP clients show them
the status line of a refused CONNECT and nothing else, so the reason is in there as well. It also
tells a 502 of the proxy from one of the host.
"""

from __future__ import annotations

from casemate.egress.errors import DeniedError, RequestRefusedError, UpstreamError
from casemate.egress.http_head import render

_REASONS = {
    400: "Bad Request",
    403: "Forbidden",
    408: "Request Timeout",
    417: "Expectation Failed",
    431: "Request Header Fields Too Large",
    502: "Bad Gateway",
    504: "Gateway Timeout",
}
ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"


def refusal(error: DeniedError | RequestRefusedError | UpstreamError) -> bytes:
    """Return a whole response that closes the connection. Its text is ours, never what was sent."""
    status = 403 if isinstance(error, DeniedError) else error.status
    text = f"Casemate egress: {error.message}\nNext: {error.next_step}\n"
    reason = f"{_REASONS[status]}: {error.message} Next: {error.next_step}"
    return (
        render(
            f"HTTP/1.1 {status} {reason}",
            [
                ("Content-Type", "text/plain; charset=utf-8"),
                ("Content-Length", str(len(text.encode()))),
                ("Cache-Control", "no-store"),
                ("Connection", "close"),
            ],
        )
        + text.encode()
    )
