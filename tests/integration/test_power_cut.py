"""The power goes at any moment: what was acknowledged is on the disk, and no loss is suspected."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from support.faults import PowerCut, Trace
from support.faults.child import Child
from support.faults.disk import built
from support.faults.power import ENTRY_BYTES

SHORT, LONG = 12, 400
"""Moments at which the power goes."""


def recorded(folder: Path, rounds: int) -> tuple[Trace, list[tuple[int, str, Any]]]:
    """Let a process keep things, traced; return what was acknowledged after how much of it."""
    trace = Trace(folder / "trace", folder / "node")
    acknowledged: list[tuple[int, str, Any]] = []
    environment = {**trace.environment, "LD_PRELOAD": str(built(folder))}

    def done(kind: str, what: Any) -> None:
        acknowledged.append((trace.path.stat().st_size, kind, what))

    with Child(folder / "node", environment) as child:
        assert child.ensure().ok
        done("open", None)
        for number in range(rounds):
            assert child.put(f"item-{number}", 200 * (number % 30)).ok
            done("item", f"item-{number}")
            if number % 5 == 0:
                assert child.put_object(f"object-{number}", 90_000).ok
                done("object", (f"object-{number}", 90_000))
            if number % 7 == 0:
                answer = child.deploy(f"f{number % 3}")
                assert answer.ok
                done("function", (f"f{number % 3}", answer[1]))
            if number % 50 == 49:
                assert child.reopen().ok
        assert child.close().ok
        done("closed", None)
    return trace, acknowledged


def cut(folder: Path, trace: Trace, acknowledged: list[Any], chosen: random.Random) -> int:
    """Let the power go at one moment; look for all that was acknowledged until then."""
    at = chosen.randrange(acknowledged[0][0], acknowledged[-1][0] + 1)
    disk, size = PowerCut(trace.root), 0
    for change in trace.changes():
        size += ENTRY_BYTES + len(change.first) + len(change.second)
        if size > at:
            break
        disk.apply(change)
    place = folder / f"disk-{at}"
    disk.write(place, chosen)
    kept = [(kind, what) for when, kind, what in acknowledged if when <= at]
    with Child(place, {}) as child:
        assert child.opened.ok, child.opened
        functions: dict[str, int] = {}
        for kind, what in kept:
            if kind == "item":
                assert child.get(what) == ("ok", True), (at, what, child.get(what))
            elif kind == "object":
                assert child.get_object(what[0]) == ("ok", what[1]), (at, what)
            elif kind == "function":
                functions[what[0]] = what[1]
        for name, number in functions.items():
            answer = child.deploy(name)
            assert answer.ok and answer[1] > number
        assert child.put("after").ok
    return len(kept)


def test_power_goes(tmp_path: Path) -> None:
    trace, acknowledged = recorded(tmp_path, 60)
    chosen = random.Random(11)
    assert sum(cut(tmp_path, trace, acknowledged, chosen) for _ in range(SHORT)) > SHORT


@pytest.mark.storm
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(8))
def test_power_goes_again_and_again(tmp_path: Path, seed: int) -> None:
    trace, acknowledged = recorded(tmp_path, 400)
    chosen = random.Random(seed)
    for _ in range(LONG // 8):
        cut(tmp_path, trace, acknowledged, chosen)
