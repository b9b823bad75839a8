"""Drills on a node whose clock is another than that of who runs them, and is set meanwhile."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.cli import casemate
from support.clocks import SetClockNode

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.storm,
    pytest.mark.timeout(900),
    pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler"),
]
SOME = (
    *("event-queue", "request-no-token", "error-raises", "residue-global", "call-mount"),
    *("rule-rights-probed", "contain-by-itself", "contain-page", "contain-quarantine"),
)
HOUR, BEHIND = 3600.0, -120.0


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SetClockNode]:
    folder = tmp_path_factory.mktemp("drilled") / "data"
    found = SetClockNode(folder, "--playbooks", off=BEHIND)
    try:
        found.start()
        yield found
    finally:
        found.close()


# No more than three: playbooks contain three functions in an hour without a person.
@pytest.mark.parametrize(
    ("off", "then"),
    [
        pytest.param(BEHIND, BEHIND, id="behind"),
        pytest.param(9 * HOUR, 9 * HOUR - 60, id="set-back"),
        pytest.param(14 * HOUR, 14 * HOUR + 60, id="set-forward"),
    ],
)
def test_each_night_is_one_whatever_the_clock(
    node: SetClockNode, tmp_path: Path, off: float, then: float
) -> None:
    node.set_clock(off)
    setting = threading.Timer(6.0, node.set_clock, (then,))
    setting.start()
    try:
        ran = casemate(
            node, "drill", "run", *SOME, "--json",
            env={"XDG_STATE_HOME": str(tmp_path)}, timeout=600,
        )  # fmt: skip
    finally:
        setting.join()
    assert ran.stdout, ran.stderr
    found = json.loads(ran.stdout)
    failed = [(each["id"], each["problem"]) for each in found["outcomes"] if each["problem"]]
    assert (ran.returncode, failed, found["lost_calls"], found["left"]) == (0, [], 0, "")
    mine = [
        each["id"]
        for each in node.get("/incidents")["incidents"]
        if each["state"] in ("open", "contained") and "casemate-drill" in each["projects"]
    ]
    assert mine == []
    kept = [each for each in node.get("/tokens")["tokens"] if not each["revoked_at"]]
    assert all("drill-" not in each["name"] for each in kept)
