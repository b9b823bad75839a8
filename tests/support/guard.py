"""A handler under the sink guard, for tests: code and events in, what became of each out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support import guard_server

_CHILD = Path(__file__).with_name("guard_child.py")
_SECONDS = 150


@dataclass(frozen=True)
class Guarded:
    """What became of one event."""

    outcome: str
    """`ok`, `blocked`, `error` or `crashed`."""
    result: str
    """`repr` of the handler's result, or the error's text."""
    records: tuple[dict[str, Any], ...]
    """What was told to the host."""
    trace: str = ""
    used: tuple[tuple[str, str, int], ...] = ()
    """What packages did: package, kind and how often."""
    denied: tuple[tuple[str, str, str], ...] = ()
    """What packages were not let do, as it was told to the host."""


def guarded(
    folder: Path,
    code: str,
    events: Sequence[object],
    *,
    handler: str = "app:handler",
    rules: Sequence[tuple[str, str, str]] = (),
    python: str = sys.executable,
    packages: Path | None = None,
    denied: dict[str, list[str]] | None = None,
) -> list[Guarded]:
    """Write `code` as the module `app` into `folder`; return what becomes of each event.

    `code` is a whole module with `def handler(event, context)`; `packages` is a folder of installed
    dependencies; with `denied`, it is that of the function's packages. What asks for nothing else
    is run by a process that is kept for the next.
    """
    (folder / "app.py").write_text(textwrap.dedent(code))
    if python == sys.executable and packages is None and not rules and handler == "app:handler":
        kept = guard_server.answers(folder, [("", events)], (), seconds=_SECONDS)
        return [
            Guarded(a["outcome"], a["result"], tuple(a["records"]), a.get("trace", ""))
            for a in kept
        ]
    done = subprocess.run(
        [
            *(python, str(_CHILD), str(folder), handler, json.dumps([list(r) for r in rules])),
            *(() if denied is None else (str(packages), json.dumps(denied))),
        ],
        input=json.dumps(list(events)),
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
        env=os.environ | ({"PYTHONPATH": str(packages)} if packages and denied is None else {}),
    )
    if done.returncode != 0:
        raise AssertionError(f"the guarded process failed:\n{done.stderr}")
    answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"outc')]
    return [
        Guarded(
            a["outcome"],
            a["result"],
            tuple(a["records"]),
            a.get("trace", ""),
            tuple((package, kind, count) for package, kind, count in a.get("used", ())),
            tuple((package, kind, what) for package, kind, what in a.get("denied", ())),
        )
        for a in answers
    ]


def outcomes(folder: Path, code: str, events: Sequence[object], **options: Any) -> list[str]:
    """Return the outcomes alone."""
    return [answer.outcome for answer in guarded(folder, code, events, **options)]
