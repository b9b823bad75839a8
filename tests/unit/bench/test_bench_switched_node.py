"""The copy of the source for measurements: each part can be taken away while it runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from bench.switched_node import AGAIN, EVERYTHING, NOTHING, PARTS, state_of, switched

_ASKED = """
import asyncio, sys
sys.path.insert(0, sys.argv[1])
import casemate.guard.leaks.judgement, casemate.recorder.records.client
import casemate.seal.close as close
from casemate.recorder.client import RecorderClient
from casemate.model.usage import Stored
from casemate.recorder.records.client import RecordsClient
from casemate.seal.redaction import Redactor

class Records:
    told = 0
    def record(self, *_told, **_how):
        Records.told += 1
    use = record

try:
    RecordsClient(Records()).use(Stored("shop", 1))
except AttributeError:
    Records.told += 1
print(Records.told, close.inside(7) if sys.argv[2] == "nothing" else close.inside.__name__)
try:
    print(asyncio.run(RecorderClient.durable(None)))
except AttributeError:
    print("asked")
"""


def test_each_state_takes_away_its_parts() -> None:
    assert state_of(EVERYTHING) == 0
    assert state_of(NOTHING) == state_of(AGAIN) == 0b111
    assert [state_of(f"no {name}") for name in PARTS] == [0b001, 0b010, 0b100]
    with pytest.raises(KeyError):
        state_of("no such part")


def test_a_copy_is_told_while_it_runs_what_is_there(tmp_path: Path) -> None:
    state = switched(tmp_path / "checkout")
    source = str(state.parent.parent)
    for kind, told in ((EVERYTHING, ["1 chosen", "asked"]), (NOTHING, ["0 7", "None"])):
        state.write_bytes(bytes([state_of(kind)]))
        done = subprocess.run(
            [sys.executable, "-c", _ASKED, source, kind],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.stdout.splitlines() == told, done.stderr
