"""Whatever code does with a value, and wherever, its attack is found at the sink; harmless ones pass."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.guard import outcomes
from support.guard_flows import JOINS, PLACES, SINKS, TRANSFORMS, Score, every_way, run, sample

_SHORT = 1200


def _holds(score: Score) -> None:
    missed = "\n".join(way.text for way in score.missed[:40])
    alarms = "\n".join(way.text for way in score.alarms[:40])
    assert score.found >= 0.95, f"{score.found:.2%} of {score.attacks}; missed:\n{missed}"
    assert score.false <= 0.01, f"{score.false:.2%} of {score.benign}; alarms:\n{alarms}"


def test_a_sample_of_all_ways(tmp_path: Path) -> None:
    score = run(tmp_path, sample(_SHORT, seed=20261126))
    assert score.attacks > _SHORT * 0.8
    _holds(score)


HELPER = """
import sqlite3

DB = sqlite3.connect(":memory:")
DB.execute("CREATE TABLE users (id INTEGER, name TEXT, password TEXT)")


class Query:
    def __init__(self, text):
        self.text = text

    def and_then(self, more):
        self.text += more
        return self


def glue(left, right):
    return left + right


def handler(event, context):
    start = "SELECT id FROM users ORDER BY "
    if event["how"] == "helper":
        text = glue(start, event["sort"])
    else:
        text = Query(start).and_then(event["sort"]).text
    return DB.execute(text).fetchall()
"""


def test_a_bare_name_is_followed_through_a_plus_of_unknowns(tmp_path: Path) -> None:
    events = [{"how": how, "sort": "password"} for how in ("helper", "method")]
    assert outcomes(tmp_path, HELPER, events) == ["blocked", "blocked"]


@pytest.mark.storm
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("place", PLACES)
def test_every_way(tmp_path: Path, place: str) -> None:
    assert len(TRANSFORMS) >= 60
    assert len(JOINS) >= 40
    assert len(SINKS) >= 11
    _holds(run(tmp_path, [way for way in every_way() if way.place == place]))
