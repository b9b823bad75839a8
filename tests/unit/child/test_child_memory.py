"""What is started as a victim is one; who started it is what it was before."""

from __future__ import annotations

import subprocess
from pathlib import Path

from casemate.child.memory import as_victim

SCORE = Path("/proc/self/oom_score_adj")


def test_a_victim_is_started_as_one_and_its_starter_stays_as_it_was() -> None:
    before = SCORE.read_text()
    with as_victim():
        child = subprocess.run(["/bin/cat", str(SCORE)], capture_output=True, check=True)
    assert int(child.stdout) == max(500, int(before))
    assert SCORE.read_text() == before
