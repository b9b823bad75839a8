"""What a monitor says of itself while nothing is read."""

from __future__ import annotations

import asyncio
import time

import pytest

from casemate.monitor import following
from casemate.monitor.following import Following, Position


def test_a_recorder_that_starts_beside_it_is_waited_for_before_it_is_missed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def made() -> Following:
        return Following(
            Position(0), taken=list, rolled_back=lambda *_: None, unreadable=lambda *_: None
        )

    alone = asyncio.run(made())
    assert not alone.abreast and alone.problem == ""
    later = time.monotonic() + following.MEET_SECONDS + 1
    monkeypatch.setattr(following.time, "monotonic", lambda: later)
    assert alone.problem == "There is no recorder to read from yet."
