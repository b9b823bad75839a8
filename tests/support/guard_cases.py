"""Many small handlers under the sink guard, each in a process of its own forked from one.

The libraries that they use are imported once, before the guard; the handlers after it.
"""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from support import guard_server
from support.guard import Guarded

_SECONDS = 150

Cases = Mapping[str, tuple[str, object]]
"""By name: a handler's module, or just the body of `handler(event, context)`, and its event."""


def module(code: str) -> str:
    """Return a handler's module: `code` itself, or with `code` as the handler's body."""
    code = textwrap.dedent(code).strip("\n")
    if "def handler(" in code:
        return code
    lines = code.split("\n")
    imports = [line for line in lines if line.startswith(("import ", "from "))]
    body = [line for line in lines if line not in imports]
    return "\n".join((*imports, "def handler(event, context):", *("    " + b for b in body)))


def placed(cases: Cases, folder: Path) -> Cases:
    """Return cases whose handlers have a folder of their own in the place of `/tmp`."""
    own = folder / "tmp"
    own.mkdir(exist_ok=True)
    return {
        name: (code.replace("/tmp/", f"{own}/"), event) for name, (code, event) in cases.items()
    }


def run(
    folder: Path, cases: Cases, preload: Sequence[str] = (), *, guard: str = "on"
) -> dict[str, Guarded]:
    """Return what became of each case."""
    by_code: dict[str, list[tuple[str, object]]] = {}
    for name, (code, event) in cases.items():
        by_code.setdefault(code, []).append((name, event))
    asked: list[tuple[str, list[object]]] = []
    for number, (code, named) in enumerate(by_code.items()):
        case = folder / f"case{number}"
        case.mkdir(exist_ok=True)  # a test may have put files there
        (case / "app.py").write_text(module(code))
        asked.append((case.name, [event for _, event in named]))
    answers = guard_server.answers(folder, asked, preload, guard=guard, seconds=_SECONDS)
    names = [name for named in by_code.values() for name, _ in named]
    answered = {
        name: Guarded(a["outcome"], a["result"], tuple(a["records"]), a.get("trace", ""))
        for name, a in zip(names, answers, strict=True)
    }
    return {name: answered[name] for name in cases}


def assert_blocked(folder: Path, cases: Cases, sinks: set[str], preload: Sequence[str]) -> None:
    """Fail unless the guard stopped every case at one of `sinks`, with a fix to show."""
    for name, answer in run(folder, cases, preload).items():
        assert answer.outcome == "blocked", f"{name}: {answer}"
        assert answer.records[0]["sink"] in sinks, f"{name}: {answer}"
        assert answer.records[0]["fix"], name
        assert "could not be checked" not in answer.records[0]["changed"], f"{name}: {answer}"


def assert_passes(folder: Path, cases: Cases, preload: Sequence[str]) -> None:
    """Fail if the guard stopped a case, or a case failed by itself."""
    for name, answer in run(folder, cases, preload).items():
        assert answer.outcome == "ok", f"{name}: {answer}"
        assert not answer.records, f"{name}: {answer}"


def each_turn(turns: int) -> pytest.MarkDecorator:
    """Give a test every third of so many turns, and all in the long run: a case is a process."""
    return pytest.mark.parametrize(
        "turn",
        [pytest.param(n, marks=(pytest.mark.storm,) if n % 3 else ()) for n in range(turns)],
    )


def of_turn(cases: Cases, turn: int, turns: int) -> Cases:
    """Return some of many cases, for one test to run."""
    return dict(itertools.islice(cases.items(), turn, None, turns))
