"""What is rehearsed before a zygote is a function's: that it goes through, and leaves nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from casemate.runner import zygote_rehearsal

CODE = """
import json, os, sys
from casemate.guard import imported
from casemate.runner import zygote, zygote_rehearsal

prepared = zygote.Prepared()
rehearsal = zygote_rehearsal.Rehearsal({"project": "p"}, sys.argv[1])
rehearsal.once()  # what it imports itself is there from now on
prepared.look_through_imported()

def state():
    guard = prepared.guard
    return {
        "modules": sorted(sys.modules),
        "finders": len(sys.meta_path),
        "hooks": len(sys.path_hooks),
        "folders": sorted(path for path in sys.path_importer_cache if sys.argv[1] in path),
        "environment": dict(os.environ),
        "path": sys.path,
        "descriptors": sorted(os.listdir("/proc/self/fd")),
        "constants": sorted(guard.constants.literals),
        "owners": guard.acts.owners,
        "since": [name for name, _ in imported.since()],
    }

before = state()
for _ in range(3):
    rehearsal.once()
print(json.dumps([before, state()]))
"""


def test_it_leaves_nothing_that_a_function_could_see(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-c", CODE, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    before, after = json.loads(done.stdout)
    assert after == before
    assert before["since"] == [] and before["folders"] == []


def test_its_module_is_read_as_a_function_s_that_was_built(tmp_path: Path) -> None:
    """From source it would be compiled and rewritten in each blank zygote."""
    zygote_rehearsal.Rehearsal({}, str(tmp_path))
    [kept] = (tmp_path / "__pycache__").iterdir()
    assert ".casemate-" in kept.name
