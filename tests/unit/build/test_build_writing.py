"""Files that are replaced together: each is old or new, whenever the process ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from casemate.build.writing import write_together

KILLED = """
import os, signal, sys
from pathlib import Path
from casemate.build import writing
left = int(sys.argv[2])
def counted(original):
    def call(*arguments, **named):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments, **named)
    return call
for module, name in ((os, "fsync"), (os, "fchmod"), (Path, "replace"), (writing, "_sync")):
    setattr(module, name, counted(getattr(module, name)))
root = Path(sys.argv[1])
texts = {root / name: "new " * 20000 for name in ("a", "b", "c.lock")}
writing.write_together(texts, like=root / "a")
print("whole")
"""


def test_a_kill_at_any_step_leaves_each_file_old_or_new(tmp_path: Path) -> None:
    old, new = "old " * 20000, "new " * 20000
    counts = set()
    for step in range(1, 40):
        for name in ("a", "b", "c.lock"):
            (tmp_path / name).write_text(old)
        done = subprocess.run(
            [sys.executable, "-c", KILLED, str(tmp_path), str(step)],
            stdout=subprocess.PIPE,
            check=False,
            timeout=60,
        )
        found = [(tmp_path / name).read_text() for name in ("a", "b", "c.lock")]
        assert set(found) <= {old, new}
        changed = sum(text == new for text in found)
        assert found == [new] * changed + [old] * (3 - changed)  # in the order given
        counts.add(changed)
        if done.returncode == 0:
            break
    assert done.stdout == b"whole\n"
    assert counts == {0, 1, 2, 3}


def test_what_fails_replaces_nothing_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_text("old")
    (tmp_path / "b").write_text("old")
    calls = 0

    def full(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_together({tmp_path / "a": "new", tmp_path / "b": "new"}, like=tmp_path / "a")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a": "old", "b": "old"}


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("keep")
    (tmp_path / "lock").symlink_to("outside")
    write_together({tmp_path / "lock": "new"}, like=tmp_path)
    assert not (tmp_path / "lock").is_symlink()
    assert (tmp_path / "outside").read_text() == "keep"
