"""Reports that the gateway takes; others it ends the process for, and every source with it."""

from __future__ import annotations

from typing import Any

import pytest

from casemate.sources import protocol
from casemate.sources.errors import SourceProtocolError
from casemate.sources.interface import Received


def test_a_report_that_fits_is_what_the_gateway_reads() -> None:
    report = protocol.State(1, connected=True, error="", waiting=5)
    assert protocol.decode_report(protocol.encode_report(report)) == report


@pytest.mark.parametrize("waiting", [-1, -(1 << 70), 1 << 70, 1.5, "5"])
def test_a_number_that_no_server_has_is_refused_here(waiting: Any) -> None:
    with pytest.raises(SourceProtocolError):
        protocol.encode_report(protocol.State(1, connected=True, error="", waiting=waiting))


@pytest.mark.parametrize(
    "field",
    [
        {"time": "noon"},
        {"id": "x" * 1025},
        {"subject": b"x"},
        {"detail": {"id": [1]}},
        {"detail": {"id": object()}},
        {"detail": {"id": 1 << 80}},
        {"detail": {str(n): n for n in range(65)}},
        {"content_type": "\ud800"},
        {"body": "text"},
    ],
    ids=lambda field: next(iter(field)),
)
def test_an_event_that_no_server_sends_is_refused_here(field: dict[str, Any]) -> None:
    event = Received(**{"body": b"1", **field})
    with pytest.raises(SourceProtocolError):
        protocol.encode_report(protocol.Handed(1, 1, (event,)))
