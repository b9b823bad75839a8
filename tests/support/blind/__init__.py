"""Handlers written without knowledge of the sink guard, and what shall become of their events.

Each `*.txt` has modules, begun by `== sink` and then `## file.py` where there are more files than
the handler's, and their events as JSON: `+` shall be stopped, `-` shall not; for `~` the guard's
page says that it decides otherwise than a stranger would expect. `_table` and `_bucket` of an event
are what was stored before.
"""

from __future__ import annotations

import base64
import io
import json
import pickle
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent
_CHILD = _FOLDER / "child.py"
_SECONDS = 300
_EVIL = b"cos\ngetcwd\n(tR."


@dataclass(frozen=True)
class Case:
    """One event for one handler."""

    name: str
    sink: str
    files: dict[str, str]
    event: Any
    expected: str
    """`blocked`, `passes`, or `open` for what is not judged."""


@dataclass(frozen=True)
class Outcome:
    """What became of a case."""

    case: Case
    outcome: str
    """`ok`, `blocked`, `error`, `missing` (no such library) or `crashed`."""
    result: str

    @property
    def right(self) -> bool:
        """True if it is as it was expected, or a library of it is not installed."""
        if self.outcome == "missing":
            return True
        blocked = self.outcome == "blocked"
        return self.case.expected == "open" or blocked == (self.case.expected == "blocked")


def _built(value: object) -> object:
    """Return an event with binary data in the places that name it."""
    if isinstance(value, dict):
        return {key: _built(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_built(part) for part in value]
    if not isinstance(value, str):
        return value
    kind, _, rest = value.partition(":")
    if kind == "PICKLE":
        what, _, before = rest.partition(":")
        content = _EVIL if what == "evil" else pickle.dumps([1, "a"])
        return before + base64.urlsafe_b64encode(content).decode()
    if kind == "ZPICKLE":
        return base64.b64encode(zlib.compress(_EVIL)).decode()
    if kind == "NPY":
        header = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"
        header += b" " * (117 - len(header)) + b"\n"
        npy = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + _EVIL
        return base64.b64encode(npy).decode()
    if kind == "ZIP":
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w") as archive:
            archive.writestr(rest, "x")
        return base64.b64encode(target.getvalue()).decode()
    return value


def _files(lines: Sequence[str]) -> dict[str, str]:
    name, files = "handler.py", dict[str, str]()
    for line in lines:
        if line.startswith("## "):
            name = line[3:]
        else:
            files[name] = files.get(name, "") + line + "\n"
    return files


def cases() -> Iterator[Case]:
    """Return all."""
    expected = {"+": "blocked", "-": "passes", "~": "open"}
    for source in sorted(_FOLDER.glob("*.txt")):
        for number, block in enumerate(source.read_text().split("== " + source.stem + "\n")[1:], 1):
            lines = block.splitlines()
            events = [line for line in lines if line[:2] in ("+ ", "- ", "~ ")]
            files = _files([line for line in lines if line not in events])
            for place, line in enumerate(events):
                name = f"{source.stem}-{number}-{place}"
                event = _built(json.loads(line[2:]))
                yield Case(name, source.stem, files, event, expected[line[0]])


def run(folder: Path, chosen: Sequence[Case]) -> list[Outcome]:
    """Return what became of each case; `folder` is for their files."""
    asked = []
    for case in chosen:
        (folder / case.name).mkdir()
        for name, content in case.files.items():
            (folder / case.name / name).write_text(content)
        asked.append([case.name, case.event])
    done = subprocess.run(
        [sys.executable, str(_CHILD), str(folder)],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"outc')]
    if len(answers) != len(chosen):
        raise AssertionError(f"{len(answers)} answers to {len(chosen)} cases:\n{done.stderr}")
    return [
        Outcome(case, answer["outcome"], answer["result"])
        for case, answer in zip(chosen, answers, strict=True)
    ]
