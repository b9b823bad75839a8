"""What the proxy answers itself: the status line alone says what came and what to do."""

from __future__ import annotations

import pytest

from casemate.egress.answers import refusal
from casemate.egress.errors import DeniedError, RequestRefusedError, UpstreamError


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            UpstreamError("The host cannot be connected to.", status=502),
            "HTTP/1.1 502 Bad Gateway: The host cannot be connected to. "
            "Next: Try again; see whether the host is up.",
        ),
        (
            UpstreamError("The host did not answer in time.", status=504),
            "HTTP/1.1 504 Gateway Timeout: The host did not answer in time. "
            "Next: Try again; see whether the host is up.",
        ),
        (
            DeniedError("no grant", "It is not granted.", next_step="Grant it."),
            "HTTP/1.1 403 Forbidden: It is not granted. Next: Grant it.",
        ),
        (
            RequestRefusedError("The head is too large.", status=431),
            "HTTP/1.1 431 Request Header Fields Too Large: The head is too large. "
            "Next: Send a well-formed HTTP/1.1 proxy request (RFC 9112, section 3.2).",
        ),
    ],
)
def test_the_status_line_says_what_came_and_what_to_do(
    error: DeniedError | RequestRefusedError | UpstreamError, line: str
) -> None:
    head, _, body = refusal(error).decode().partition("\r\n\r\n")
    assert head.split("\r\n")[0] == line
    assert body == f"Casemate egress: {error.message}\nNext: {error.next_step}\n"
