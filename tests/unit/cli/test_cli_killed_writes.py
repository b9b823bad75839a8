"""What a command writes is whole or not there, and a kill at any of its calls leaves nothing.

Before, a login left a token, an import the whole code, and a first deploy a private key beside
their place, in files that nothing removed.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

_CALLS = ("mkdir", "open", "rename", "replace", "link", "fsync", "write", "unlink", "fchmod")
_PROGRAM = """
import os, signal, sys
from pathlib import Path
from casemate.cli import builder_key, credentials, template
from casemate.importing.writing import new_folder, write_text
from casemate.kernel import linux
from casemate.kernel.placing import write_whole
from casemate.manifest import editing

folder, what, left = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])

def counted(call):
    def made(*given, **rest):
        global left
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*given, **rest)
    return made

def login():
    found = credentials.Credentials(url="http://127.0.0.1:1", key="cm_k_" + "a" * 43)
    credentials.store(found, {"XDG_CONFIG_HOME": str(folder)})

def key():
    builder_key.own_key({"XDG_CONFIG_HOME": str(folder)})

def project():
    with new_folder(folder / "out") as made:
        write_text(made, "src/app.py", "code")
        write_text(made, "casemate.toml", "manifest")

def init():
    template.write(folder / "p", "demo")

def report():
    write_whole(folder / "report.json", b"content")

def grants():
    editing.ManifestEditor(folder / "casemate.toml").write({"f": ()})

work = {"login": login, "key": key, "project": project, "report": report, "grants": grants,
        "init": init}[what]
for name in %r:
    setattr(os, name, counted(getattr(os, name)))
linux.call = counted(linux.call)
work()
"""
_MOST = 100
_DONE = {"project": "out", "init": "p/casemate.toml"}
"""What is not made a second time."""
_STEPS = {"init": 7}
"""Many of its calls are alike, file by file."""
_MANIFEST = """
[project]
name = "t"
[bucket.files]
[function.f]
handler = "app:handler"
[function.f.grants]
buckets = [{ name = "files", actions = ["read"] }]
"""


def _run(folder: Path, what: str, left: int) -> int:
    program = _PROGRAM % (_CALLS,)
    return subprocess.run(
        [sys.executable, "-c", program, str(folder), what, str(left)],
        check=False,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE if left else None,
    ).returncode


def _files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def _fresh(folder: Path, what: str) -> Path:
    folder.mkdir()
    if what == "grants":
        (folder / "casemate.toml").write_text(_MANIFEST)
        (folder / "app.py").write_text("def handler(event, context): ...\n")
    return folder


@pytest.mark.parametrize("what", ["login", "key", "project", "report", "grants", "init"])
def test_a_kill_at_any_call_leaves_nothing_for_ever(tmp_path: Path, what: str) -> None:
    whole = _fresh(tmp_path / "whole", what)
    assert _run(whole, what, 0) == 0
    killed = 0
    for left in range(1, _MOST, _STEPS.get(what, 1)):
        folder = _fresh(tmp_path / f"after-{left}", what)
        code = _run(folder, what, left)
        if code == 0:
            break
        assert code == -signal.SIGKILL
        killed += 1
        if not (folder / _DONE.get(what, "-")).exists():
            assert _run(folder, what, 0) == 0
        assert _files(folder) == _files(whole), f"killed at call {left}"
    assert 2 <= killed < _MOST - 1
