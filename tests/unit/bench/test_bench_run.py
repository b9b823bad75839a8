"""What a run leaves out when its time is over."""

from __future__ import annotations

import msgspec
import pytest
from bench.run import Run
from bench.settings import QUICK


def test_peers_at_rest_are_what_a_slow_machine_leaves_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Run, "_prepare", lambda _self, _targets: [])
    over = msgspec.structs.replace(QUICK, budget=-1.0)
    run = Run(over, {"functions-framework", "casemate-jitter", "casemate-discards"}, lambda _: None)

    run.execute()

    assert [line.split(":")[0] for line in run.results.not_measured] == [
        "casemate, how late schedules are",
        "casemate, what is not restored",
        f"functions-framework, {QUICK.peer_crowd} functions at rest",
    ]
