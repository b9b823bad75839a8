"""Hooks: wrappers that come with an import, audit events, calls by name."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from casemate.guard.core import Guard
from casemate.guard.hooks import (
    PatchingFinder,
    UnwatchableError,
    argument,
    watch_calls,
    wrap,
)
from casemate.guard.sink import Sink
from casemate.guard.verdict import BlockedError
from support.guard import guarded


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    name = f"library_of_{tmp_path.name}".replace("-", "_")
    package = tmp_path / name
    package.mkdir()
    (package / "__init__.py").write_text("def run(text):\n    return text\n")
    (package / "data.txt").write_text("data")
    monkeypatch.syspath_prepend(str(tmp_path))
    before = list(sys.meta_path)
    yield name
    sys.meta_path[:] = before
    sys.modules.pop(name, None)


def test_a_module_is_patched_once_it_has_run(library: str) -> None:
    patched: list[str] = []

    def patch(guard: Guard, module: ModuleType) -> None:
        patched.append(module.__name__)
        module.run = lambda text: "patched"  # type: ignore[attr-defined]

    PatchingFinder(Guard(), [Sink("x", "", patches={library: patch})]).install()
    assert patched == []
    module = importlib.import_module(library)
    assert patched == [library]
    assert module.run("a") == "patched"
    # Its loader is its own still.
    from importlib import resources

    assert resources.files(library).joinpath("data.txt").read_text() == "data"


def test_a_module_that_is_there_already_is_patched_at_once(library: str) -> None:
    module = importlib.import_module(library)

    def patch(guard: Guard, found: ModuleType) -> None:
        found.patched = True  # type: ignore[attr-defined]

    PatchingFinder(Guard(), [Sink("x", "", patches={library: patch})]).install()
    assert module.patched


def test_several_sinks_patch_one_module(library: str) -> None:
    calls: list[int] = []
    sinks = [
        Sink(str(n), "", patches={library: lambda guard, module, n=n: calls.append(n)})  # type: ignore[misc]
        for n in range(3)
    ]
    PatchingFinder(Guard(), sinks).install()
    importlib.import_module(library)
    assert calls == [0, 1, 2]


def test_a_module_that_cannot_be_watched_is_not_imported(library: str) -> None:
    def patch(guard: Guard, module: ModuleType) -> None:
        raise AttributeError("no Cursor")

    PatchingFinder(Guard(), [Sink("x", "", patches={library: patch})]).install()
    with pytest.raises(UnwatchableError, match="cannot watch library"):
        importlib.import_module(library)
    assert library not in sys.modules


def test_a_module_of_the_interpreter_itself_is_patched_and_others_load() -> None:
    """They share one loader. In a process of its own, which has not imported them."""
    code = """
import sys
from casemate.guard.core import Guard
from casemate.guard.hooks import PatchingFinder
from casemate.guard.sink import Sink
names = [n for n in sys.builtin_module_names if n not in sys.modules and n.startswith("_")][:3]
names += ["zipimport"] if "zipimport" not in sys.modules else []
watched, others = names[0], names[1:]
patched = []
patch = lambda guard, module: patched.append(module.__name__)
PatchingFinder(Guard(), [Sink("x", "", patches={watched: patch})]).install()
for name in (watched, *others):
    __import__(name)
assert patched == [watched], patched
assert others
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_others_are_left_alone(library: str) -> None:
    finder = PatchingFinder(Guard(), [Sink("x", "", patches={"something.else": lambda g, m: None})])
    assert finder.find_spec(library, None) is None


class Target:
    """Something to wrap."""

    def method(self, a: int, b: int = 2) -> tuple[object, int, int]:
        """Return what it is given."""
        return self, a, b

    @staticmethod
    def static(a: int) -> int:
        return a

    @classmethod
    def of_class(cls, a: int) -> tuple[type, int]:
        return cls, a

    async def later(self, a: int) -> int:
        return a


def test_wrapping_calls_first_and_changes_nothing_else() -> None:
    class Mine(Target):
        pass

    seen: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        seen.append((arguments, named))

    for name in ("method", "static", "of_class", "later"):
        wrap(Mine, name, before)
        wrap(Mine, name, before)
    mine = Mine()
    assert mine.method(1, b=3) == (mine, 1, 3)
    assert seen.pop() == ((mine, 1), {"b": 3})
    assert Mine.static(4) == mine.static(4) == 4
    assert Mine.of_class(5) == (Mine, 5)
    assert asyncio.run(mine.later(6)) == 6
    assert len(seen) == 4
    assert inspect.iscoroutinefunction(Mine.later)
    assert Mine.method.__doc__ == "Return what it is given."
    assert "later" not in vars(Target) or Target().static(1) == 1


def test_what_is_raised_stops_the_call() -> None:
    called: list[int] = []
    owner = SimpleNamespace(run=called.append)

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        raise BlockedError

    wrap(owner, "run", before)
    with pytest.raises(BlockedError):
        owner.run(1)
    assert called == []


def test_arguments_are_found_by_place_or_name() -> None:
    assert argument((1, 2), {}, 1, "b") == 2
    assert argument((1,), {"b": 3}, 1, "a", "b") == 3
    assert argument((1,), {}, 1, "b") is None


def test_all_sinks_that_watch_a_name_are_asked_and_fail_closed() -> None:
    guard = Guard()
    asked: list[str] = []

    def fine(guard: Guard, function: Any, arguments: Any, named: Any) -> None:
        asked.append("fine")

    def broken(guard: Guard, function: Any, arguments: Any, named: Any) -> None:
        raise KeyError

    watch_calls(guard, [Sink("a", "", calls={"f": fine}), Sink("b", "", calls={"f": broken})])
    guard.provenance.watchers["f"]((len, "x"), {})
    assert asked == []
    guard.begin({})
    with pytest.raises(BlockedError):
        guard.provenance.watchers["f"]((len, "x"), {})
    assert asked == ["fine"]


def test_an_audit_hook_that_fails_blocks_the_call() -> None:
    """In a process of its own: audit hooks stay."""
    code = """
import sys
from casemate.guard.core import Guard
from casemate.guard.hooks import audit_hooks, watch_audit
from casemate.guard.sink import Sink
from casemate.guard.verdict import BlockedError

def broken(guard, arguments):
    raise ValueError

guard = Guard()
watch_audit(guard, audit_hooks([Sink("x", "", audit={"open": broken})]))
open("/dev/null").close()
guard.begin({})
try:
    open("/dev/null")
except BlockedError as error:
    guard.end()
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert "could not be checked (ValueError" in done.stdout


def test_a_driver_that_is_imported_late_is_watched(tmp_path: Path) -> None:
    code = """
def handler(event, context):
    import sqlite3
    from sqlite3 import connect
    return connect(":memory:").execute(f"SELECT '{event['v']}'").fetchall()
"""
    found = guarded(tmp_path, code, [{"v": "a"}, {"v": "' || 'b"}])
    assert [answer.outcome for answer in found] == ["ok", "blocked"]
