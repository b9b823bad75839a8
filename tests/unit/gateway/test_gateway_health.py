"""Health is told at once whatever the parts do, and tells which of them is not well."""

from __future__ import annotations

import asyncio
import time

import pytest

from casemate.gateway import health
from casemate.gateway.health import Health


async def well() -> str:
    return ""


async def ill() -> str:
    return "It is broken."


async def failing() -> str:
    raise OSError("no such disk")


async def hanging() -> str:
    await asyncio.sleep(3600)
    return ""


def look(parts):
    found = Health(parts)
    asyncio.run(found.look())
    return found.now()


def test_all_well() -> None:
    found = look({"store": (well, True), "egress": (well, False)})
    assert (found.ok, found.ready) == (True, True)
    assert [part.name for part in found.parts] == ["store", "egress"]


def test_what_is_wrong_is_told_and_only_what_every_call_needs_counts_for_readiness() -> None:
    found = look({"store": (well, True), "bundles": (ill, False), "projects": (failing, False)})
    assert (found.ok, found.ready) == (False, True)
    assert [part.detail for part in found.parts] == [
        "",
        "It is broken.",
        "OSError: no such disk",
    ]
    assert not look({"store": (failing, True)}).ready


def test_a_part_that_hangs_is_found_and_keeps_no_other_waiting(monkeypatch) -> None:
    monkeypatch.setattr(health, "PART_SECONDS", 0.05)
    started = time.monotonic()
    found = look({"vault": (hanging, True), "store": (well, True)})
    assert time.monotonic() - started < 30
    assert [part.ok for part in found.parts] == [False, True]
    assert "does not answer within" in found.parts[0].detail
    assert not found.ready


def test_a_look_that_does_not_end_is_a_finding(monkeypatch) -> None:
    async def main() -> None:
        found = Health({"store": (well, True)})
        await found.look()
        assert found.now().ok
        now = time.monotonic() + health.STALE_SECONDS + 1
        monkeypatch.setattr(health.time, "monotonic", lambda: now)
        late = found.now()
        assert (late.ok, late.ready) == (False, False)
        assert late.parts[-1].name == "health"

    asyncio.run(main())


def test_a_node_that_is_drained_is_not_ready_at_once() -> None:
    async def main() -> None:
        reasons: list[str] = []
        found = Health({"store": (well, True)}, lambda: "".join(reasons))
        await found.look()
        assert found.now().ready
        reasons.append("The node is drained.")
        assert (found.now().ok, found.now().ready) == (True, False)

    asyncio.run(main())


def test_it_looks_by_itself_until_it_is_closed(monkeypatch, caplog) -> None:
    monkeypatch.setattr(health, "LOOK_SECONDS", 0.01)
    answers = iter(["", "Broken.", "Broken.", ""])

    async def changing() -> str:
        return next(answers, "")

    async def main() -> None:
        found = Health({"store": (changing, True)})
        found.start()
        await asyncio.sleep(0.2)
        await found.close()

    with caplog.at_level("INFO"):
        asyncio.run(main())
    told = [r.message for r in caplog.records if "well" in r.message]
    assert told == ["not well: store: Broken.", "well again: store"]


@pytest.mark.parametrize("count", [1, 5, 6, 100])
def test_many_problems_are_told_shortly(count: int) -> None:
    told = health._listed("Bad: ", [f"p{number}" for number in range(count)])
    assert told.startswith("Bad: p0")
    assert ("more" in told) == (count > 5)
