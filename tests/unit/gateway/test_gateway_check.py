"""What a check tells of a node's parts."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from casemate.gateway.check import NodeCheck

OFF = "fsync is off on the database server h: what is acknowledged can be lost"


def test_what_store_and_data_both_say_of_their_server_is_told_once() -> None:
    """It stood twice in the log of a start, and in health."""
    part: Any = SimpleNamespace(faults=lambda: (OFF,))
    data: Any = SimpleNamespace(faults=lambda: (OFF, "project p: damaged"))
    check = NodeCheck(part, data, part, part)
    assert check.faults() == (f"store: {OFF}", "project p: damaged")
