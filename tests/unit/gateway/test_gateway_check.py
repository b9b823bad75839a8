"""What a check tells of a node's parts."""

from __future__ import annotations

import asyncio
import errno
from types import SimpleNamespace
from typing import Any

from casemate.data.errors import DataVersionError
from casemate.gateway.check import NodeCheck

OFF = "fsync is off on the database server h: what is acknowledged can be lost"


def test_what_store_and_data_both_say_of_their_server_is_told_once() -> None:
    """It stood twice in the log of a start, and in health."""
    part: Any = SimpleNamespace(faults=lambda: (OFF,))
    data: Any = SimpleNamespace(faults=lambda: (OFF, "project p: damaged"))
    check = NodeCheck(part, data, part, part)
    assert check.faults() == (f"store: {OFF}", "project p: damaged")


def test_a_finding_says_what_to_do() -> None:
    """Before, data of a newer release was told with the advice to restore a backup alone."""

    async def scrubbed() -> tuple[str, ...]:
        raise DataVersionError("It is of version 8.", next_step="Start the newer one.")

    part: Any = SimpleNamespace(faults=lambda: ())
    check = NodeCheck(part, part, part, part)
    asyncio.run(check._look("data/p", scrubbed()))
    (finding,) = check._report.findings
    assert (finding.place, finding.problem) == (
        "data/p",
        "It is of version 8. Start the newer one.",
    )


def test_what_cannot_be_read_is_told_by_what_the_system_says() -> None:
    """Before: `it cannot be checked: OSError`, and a trace in the log."""

    async def read() -> tuple[str, ...]:
        raise OSError(errno.EIO, "Input/output error")

    part: Any = SimpleNamespace(faults=lambda: ())
    check = NodeCheck(part, part, part, part)
    asyncio.run(check._look("bundles/1", read()))
    (finding,) = check._report.findings
    assert finding.problem == "it cannot be read: Input/output error."
