"""A run of drills that is killed in whatever way is cleaned up after, and one that ends is not."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any, cast

import pytest

from casemate.cli.credentials import Credentials
from casemate.cli.drill_guard import DrillGuard
from casemate.drills.node import Began

WAIT_SECONDS = 20.0
BEGAN = Began(cast("Any", None), (time.monotonic(), time.time() - 0.1))


class Guard(DrillGuard):
    def __init__(self, folder: Path) -> None:
        super().__init__(Credentials(url="http://127.0.0.1:1"), folder)
        self.told = folder / "cleaned"

    def _clean(self, lease: str, when: tuple[float, float]) -> None:
        assert when == BEGAN.told
        self.told.write_text(lease)


@pytest.mark.parametrize(
    ("held", "cleaned"), [([], None), (["id1"], "id1"), (["id1", ""], None), (["", "id2"], "id2")]
)
def test_it_cleans_up_what_the_run_has_not(
    tmp_path: Path, held: list[str], cleaned: str | None
) -> None:
    with Guard(tmp_path) as guard:
        for each in held:
            guard.held(each, BEGAN)
    assert (guard.told.read_text() if guard.told.exists() else None) == cleaned


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_a_run_that_is_killed_with_its_group_is_cleaned_up_after(
    tmp_path: Path, number: signal.Signals
) -> None:
    run = os.fork()
    if run == 0:
        os.setpgid(0, 0)
        guard = Guard(tmp_path).__enter__()
        guard.held("id1", BEGAN)
        (tmp_path / "runs").touch()
        time.sleep(WAIT_SECONDS)
        os._exit(0)
    deadline = time.monotonic() + WAIT_SECONDS
    while not (tmp_path / "runs").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(run, number)
    os.waitpid(run, 0)
    while not (tmp_path / "cleaned").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert (tmp_path / "cleaned").read_text() == "id1"
