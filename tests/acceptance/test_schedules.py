"""Schedules on a real node that is killed again and again: no time doubles, none is dropped."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from support.node import TestNode

# What a handler writes is kept before it ends; what it logs may be lost when its node is killed.
SOURCE = """
def handler(event, context):
    tick = event.detail
    assert event.data is None or event.data == {"seven": 7}
    key = f"{tick['name']}/{tick['scheduled_at']!r}/{event.id}/{tick['missed']}"
    context.bucket("ticks").put(key, b"")
"""
GRANTS = 'buckets = [{ name = "ticks", actions = ["write"] }]'
BUCKET = "[bucket.ticks]"
TRIGGERS = """
[[function.f.schedule]]
name = "each"
every = "1s"
missed = "all"
data = { seven = 7 }
[[function.f.schedule]]
name = "collected"
every = "1s"
[[function.f.schedule]]
name = "yearly"
cron = "0 0 1 1 *"
timezone = "Pacific/Auckland"
"""
KILLS = 4


class Tick(NamedTuple):
    """One event as the handler got it."""

    at: float
    id: str
    missed: int


def ticks(node: TestNode, name: str) -> list[Tick]:
    """Return what the handler was called with by a schedule, in the order of its times."""
    found = node.get("/buckets/t/ticks/objects", prefix=f"{name}/", limit=1000)["objects"]
    parts = [one["key"].split("/") for one in found]
    return sorted(Tick(float(at), identity, int(missed)) for _, at, identity, missed in parts)


@pytest.mark.storm
def test_no_time_doubles_or_is_dropped_over_kills(fresh_node: TestNode) -> None:
    node = fresh_node
    deployed = node.deploy(SOURCE, routes=TRIGGERS, grants=GRANTS, resources=BUCKET, approve=True)
    chance = random.Random(7)
    for _ in range(KILLS):
        time.sleep(1 + chance.random() * 1.5)
        node.stop(signal.SIGKILL)
        node.wait_until(lambda: not _holds_the_data(node), 20)
        time.sleep(chance.random() * 2)
        node.start()
    begin = time.time()
    node.wait_until(lambda: len([t for t in ticks(node, "each") if t.at > begin]) >= 3, 30)

    each = ticks(node, "each")
    times = [tick.at for tick in each]
    assert len({tick.id for tick in each}) == len(set(times)) == len(times)
    assert [round(at - times[0], 3) for at in times] == list(range(len(times)))
    assert times[0] == pytest.approx(deployed["created_at"] + 1)

    collected = ticks(node, "collected")
    stood_for = sum(1 + tick.missed for tick in collected)
    assert stood_for == round(collected[-1].at - collected[0].at) + 1 + collected[0].missed
    assert len(collected) < stood_for, "and some were missed"
    assert ticks(node, "yearly") == []


def _holds_the_data(node: TestNode) -> bool:
    """Tell whether some process of a killed node still has the data folder open."""
    folder = str(node.data)
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                links = [link.readlink() for link in (process / "fd").iterdir()]
            except OSError:
                continue
            if any(str(link).startswith(folder) for link in links):
                return True
    return False


def test_a_schedule_follows_what_is_live(node: TestNode) -> None:
    routes = '\n[[function.f.schedule]]\nname = "fast"\nevery = "1s"\n'
    node.deploy(SOURCE, routes=routes, grants=GRANTS, resources=BUCKET, approve=True)
    node.wait_until(lambda: len(ticks(node, "fast")) >= 2, 20)
    other_routes = routes.replace("fast", "other").replace("1s", "2s")
    node.deploy(SOURCE, routes=other_routes, grants=GRANTS, resources=BUCKET)
    node.wait_until(lambda: len(ticks(node, "other")) >= 2, 20)
    before = len(ticks(node, "fast"))
    other = [tick.at for tick in ticks(node, "other")]
    assert other[1] - other[0] == pytest.approx(2)
    time.sleep(1.5)
    assert len(ticks(node, "fast")) == before
    # Back to the first version: its schedule goes on from now and makes up for nothing.
    answer = node.client.post(f"{node.url}/api/v1/functions/t/f/rollback", json={})
    assert answer.status_code == 200, answer.text
    back = time.time()
    node.wait_until(lambda: len(ticks(node, "fast")) >= before + 2, 20)
    later = [tick.at for tick in ticks(node, "fast")][before:]
    assert all(at >= back - 1 for at in later)
    assert node.client.delete(f"{node.url}/api/v1/functions/t/f").status_code in (200, 204)
    time.sleep(0.5)
    count = len(ticks(node, "fast"))
    time.sleep(2)
    assert len(ticks(node, "fast")) == count
