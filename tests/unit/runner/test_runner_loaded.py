"""What a process tells of what it has loaded: bounded, and whatever is in `sys.modules`."""

from __future__ import annotations

import json
import sys
from types import ModuleType

import pytest

from casemate.guard import imported
from casemate.runner import loaded, wire


def module(name: str, path: object) -> ModuleType:
    made = ModuleType(name)
    made.__file__ = path  # type: ignore[assignment]
    return made


class Hostile:
    @property
    def __dict__(self) -> dict:  # type: ignore[override]
        raise SystemExit


class Worse(ModuleType):
    def __getattribute__(self, name: str) -> object:
        raise RuntimeError(name)


def told(frame: bytes) -> list[str]:
    ((kind, head, _),) = wire.FrameReader(frozenset((wire.LOADED,)), 0).feed(frame)
    assert kind == wire.LOADED
    return json.loads(head)["files"]


def test_only_files_of_dependencies_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, entry in {
        "t_one": module("t_one", "/function/deps/one/__init__.py"),
        "t_own": module("t_own", "/function/code/app.py"),
        "t_std": module("t_std", "/usr/lib/python3/json.py"),
        "t_none": module("t_none", None),
        "t_odd": module("t_odd", 7),
        "t_not": object(),
        "t_hostile": Hostile(),
        "t_worse": Worse("x"),
    }.items():
        monkeypatch.setitem(sys.modules, name, entry)
    monkeypatch.setitem(sys.modules, 7, module("x", "/function/deps/x.py"))  # type: ignore[misc]
    assert loaded.files() == ["one/__init__.py"]


def test_a_million_modules_fit_into_a_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    quotes = chr(34) * 200
    many = {f"m{n}": module("m", f"/function/deps/{quotes}{n}.py") for n in range(20_000)}
    monkeypatch.setattr(sys, "modules", {**sys.modules, **many})
    frame = loaded.frame(loaded.files())
    assert len(frame) < wire.MAX_HEAD_BYTES
    assert told(frame)


def test_one_call_in_sixteen_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    late = loaded.LateImports()
    late.begin()
    assert late.before(b"answer", "inv_0") == b"answer", "nothing is new"
    monkeypatch.setitem(sys.modules, "t_late", module("t_late", "/function/deps/late.py"))
    for last in "123456789abcdef":
        assert late.before(b"answer", f"inv_{last}") == b"answer"
    frame = late.before(b"answer", "inv_0")
    assert frame.endswith(b"answer") and told(frame.removesuffix(b"answer")) == ["late.py"]


def test_no_names_are_kept_of_what_the_base_zygote_has_imported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A set of all was a sixteenth of what a zygote holds."""
    monkeypatch.setattr(imported, "_known", dict(sys.modules))
    monkeypatch.setitem(sys.modules, "t_own", module("t_own", "/function/deps/own.py"))
    monkeypatch.setitem(sys.modules, 7, module("x", "/function/deps/x.py"))  # type: ignore[misc]
    late = loaded.LateImports()
    late.begin()
    assert late._known == {"t_own"}
    monkeypatch.setitem(sys.modules, "t_late", module("t_late", "/function/deps/late.py"))
    frame = late.before(b"answer", "inv_0")
    assert told(frame.removesuffix(b"answer")) == ["late.py"]


def test_what_is_not_of_dependencies_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    late = loaded.LateImports()
    late.begin()
    monkeypatch.setitem(sys.modules, "t_std", module("t_std", "/usr/lib/python3/colorsys.py"))
    assert late.before(b"answer", "inv_0") == b"answer"
