"""A detector goes on in the place of another one as if it had seen everything itself."""

from __future__ import annotations

import random

import msgspec
import pytest

from casemate.detection import Detector, Memory, examples, rules_of, shipped_rules, shipped_texts
from casemate.drills.recorded import events_of


def _history(seed: int) -> list[dict[str, object]]:
    draw = random.Random(seed)
    names = sorted(examples())
    draw.shuffle(names)
    return [event for name in names[:40] for event in events_of(examples()[name]["attack"])]


@pytest.mark.parametrize("seed", range(6))
def test_it_finds_the_same_over_any_number_of_changes(seed: int) -> None:
    history = _history(seed)
    whole = Detector(shipped_rules()).see_all(history)
    draw = random.Random(seed)
    detector, found = Detector(shipped_rules()), []
    for event in history:
        found += detector.see_all([event])
        if draw.random() < 0.1:
            data = msgspec.msgpack.encode(detector.remembered())
            detector = Detector(shipped_rules())
            detector.recall(msgspec.msgpack.decode(data, type=Memory))
    assert found == whole
    assert found


def test_rules_that_are_gone_are_left_out() -> None:
    before = Detector(shipped_rules())
    before.see_all(_history(1))
    after = Detector(rules_of(shipped_texts()[0]))
    after.recall(before.remembered())
    assert after.remembered().windows.keys() <= before.remembered().windows.keys()
