"""Programs of the sink guard's corpus: vulnerable and safe handlers with their events.

A program's events are kept apart from its code: what the code holds itself passes.
"""

from __future__ import annotations

import base64
import io
import json
import runpy
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from support import guard_server
from support.guard import Guarded
from support.guard_cases import module

_SECONDS = 300
_MARK = "#### "
_OWN_CHECKS = "FileNotFoundError"


@dataclass(frozen=True)
class Program:
    """One handler."""

    code: str
    """Body of `handler(event, context)`, or a module with it. `#### name.py` begins another."""
    attacks: Sequence[object] = ()
    """Events that the guard has to stop; none for a safe program."""
    benign: Sequence[object] = ()
    """Harmless events. Those of a safe program look hostile, and all of them have to pass."""


@dataclass
class Score:
    """What became of one family's events."""

    attacks: int = 0
    benign: int = 0
    missed: list[str] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)
    strict: list[str] = field(default_factory=list)
    """Harmless events stopped in vulnerable programs: unsafe code, so no false alarms."""
    failed: list[str] = field(default_factory=list)
    """Programs that failed by themselves: not wrong for a check of their own, worth a look."""


def b64(text: str | bytes) -> str:
    """Encode as base64."""
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


def body(**values: object) -> dict[str, object]:
    """Return an HTTP event whose body is JSON in a string."""
    return {"body": json.dumps(values), "isBase64Encoded": False}


def sqs(*bodies: object) -> dict[str, object]:
    """Return an event of a queue."""
    return {
        "Records": [
            {"messageId": str(n), "body": b if isinstance(b, str) else json.dumps(b)}
            for n, b in enumerate(bodies)
        ]
    }


def sns(message: object) -> dict[str, object]:
    """Return an event of a topic."""
    text = message if isinstance(message, str) else json.dumps(message)
    return {"Records": [{"Sns": {"Message": text, "Subject": "x"}}]}


def s3(key: str) -> dict[str, object]:
    """Return an event of an object store; the key as it comes."""
    return {"Records": [{"s3": {"bucket": {"name": "in"}, "object": {"key": key}}}]}


def query(**values: str) -> dict[str, object]:
    """Return an HTTP event with query parameters."""
    return {"queryStringParameters": values}


def zip_(name: str) -> str:
    """Return an archive with one file, as base64."""
    return zip_of(name, "text")


def zip_of(name: str, text: str) -> str:
    """Return a compressed archive with one file of that text, as base64."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, text)
    return b64(data.getvalue())


def tar(name: str) -> str:
    """Return an archive with one file, as base64."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    return b64(data.getvalue())


def load(folder: Path) -> dict[str, Program]:
    """Return the programs of a family by `file: name`."""
    found = {}
    for file in sorted(folder.glob("*.py")):
        for name, program in runpy.run_path(str(file))["PROGRAMS"].items():
            found[f"{file.stem}: {name}"] = program
    return found


def _write(folder: Path, code: str) -> None:
    folder.mkdir()
    main, *others = code.split(_MARK)
    (folder / "app.py").write_text(module(main))
    for other in others:
        name, _, text = other.partition("\n")
        (folder / name.strip()).write_text(text)


def run(folder: Path, programs: Mapping[str, Program], preload: Sequence[str]) -> Score:
    """Run every event of every program under the guard, each in a process of its own."""
    events: list[tuple[str, list[object]]] = []
    asked: list[tuple[str, str]] = []
    for number, (name, program) in enumerate(programs.items()):
        case = folder / str(number)
        _write(case, program.code)
        events.append((case.name, [*program.attacks, *program.benign]))
        for kind in ("attacks", "benign"):
            for index in range(len(getattr(program, kind))):
                role = kind if program.attacks or kind == "attacks" else "safe"
                asked.append((f"{name} [{kind} {index}]", role))
    lines = guard_server.answers(folder, events, preload, seconds=_SECONDS)
    score = Score()
    for (name, role), a in zip(asked, lines, strict=True):
        _count(score, name, role, Guarded(a["outcome"], a["result"], tuple(a["records"])))
    return score


def _count(score: Score, name: str, role: str, answer: Guarded) -> None:
    record = answer.records[0] if answer.records else {}
    told = f"{name}: {answer.outcome} {record.get('sink', '')} {record.get('changed', '')}"
    told += "" if answer.outcome == "blocked" else f" {answer.result[:200]}"
    checked = "could not be checked" not in str(record.get("changed"))
    if role == "attacks":
        score.attacks += 1
        if answer.outcome != "blocked" or not checked:
            score.missed.append(told)
    elif role == "safe":
        score.benign += 1
        if answer.outcome in ("blocked", "crashed"):
            score.alarms.append(told)
    elif answer.outcome in ("blocked", "crashed"):
        score.strict.append(told)
    if answer.outcome == "error" and _OWN_CHECKS not in answer.result:
        score.failed.append(told)
