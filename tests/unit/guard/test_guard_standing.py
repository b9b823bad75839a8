"""Who calls is found out first, and hooks are asked for the same calls as if it were not."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from casemate.guard.core import Guard
from casemate.guard.hooks import wrap
from casemate.guard.in_memory import writes_in_memory
from casemate.guard.provenance import Provenance
from casemate.guard.standing import (
    _OWN,
    MAX_BACK,
    is_direct,
    is_put_together,
    wrap_after_own,
    wrap_direct,
)

ROOT = "/function/code"
KINDS = {
    "own": (f"{ROOT}/app.py", "app"),
    "library": ("/function/deps/lib/__init__.py", "lib.inner"),
    "codec": ("/usr/lib/codec/decoder.py", "codec.decoder"),
    "guard": (f"{_OWN}hooks.py", "casemate.guard.hooks"),
    "nameless": ("<string>", ""),
    "package": ("/function/deps/web/client.py", "web.client"),
    "python": (f"{os.path.dirname(os.__file__)}/urllib/request.py", "urllib.request"),
    "own module": ("/function/code/late.py", "late"),
}
"""Files and names of modules, by who the code in them is of."""
HAVE_FILES = frozenset(("package", "python", "own module"))
"""Those whose names have the file, as those of all modules that are imported."""


def caller(kind: str, called: Callable[[], Any]) -> Callable[[], Any]:
    file, name = KINDS[kind]
    namespace: dict[str, Any] = {"__name__": name, "called": called}
    if kind in HAVE_FILES:
        namespace["__file__"] = file
    exec(compile("def call():\n    return called()", file, "exec"), namespace)
    made: Callable[[], Any] = namespace["call"]
    return made


def module() -> Any:
    made: Any = ModuleType("codec")
    made.read = lambda text: f"read {text}"
    return made


def codec_read(codec: Any) -> Callable[[], Any]:
    return partial(codec.read, "x")


@settings(deadline=None, max_examples=300)
@given(st.lists(st.sampled_from(sorted(KINDS)), max_size=6))
def test_the_same_calls_are_looked_at(callers: list[str]) -> None:
    guard = Guard(ROOT)
    asked: dict[str, list[tuple[Any, ...]]] = {"all": [], "direct": []}
    # As a hook of the guard's own, whose frames are not looked at.
    namespace: dict[str, Any] = {"is_direct": is_direct, "guard": guard, "asked": asked["all"]}
    source = "def before(a, n):\n    if is_direct(guard, 'codec'):\n        asked.append(a)"
    exec(compile(source, f"{_OWN}hook.py", "exec"), namespace)
    slow, quick = module(), module()
    wrap(slow, "read", namespace["before"])
    wrap_direct(guard, quick, "read", lambda a, _: asked["direct"].append(a), "codec")
    for codec in (slow, quick):
        call = codec_read(codec)
        for kind in callers:
            call = caller(kind, call)
        assert call() == "read x"
    assert asked["direct"] == asked["all"]


def test_a_call_that_rewritten_code_makes_is_its_own_without_a_look_at_who_called_before() -> None:
    asked: list[tuple[Any, ...]] = []
    codec = module()
    wrap_direct(Guard(ROOT), codec, "read", lambda a, _: asked.append(a), "codec")
    made = Provenance()
    assert made.given(codec.read, "x") == "read x"
    assert asked == [("x",)]


def test_what_stops_a_call_stops_it_and_the_second_wrapper_is_none() -> None:
    guard, codec = Guard(ROOT), module()

    def stop(_a: tuple[Any, ...], _n: dict[str, Any]) -> None:
        raise PermissionError

    for _ in range(2):
        wrap_direct(guard, codec, "read", stop)
    assert codec.read("x") == "read x", "this file is not the function's own code"
    assert codec.read.__name__ == "<lambda>"
    with pytest.raises(PermissionError):
        caller("own", codec_read(codec))()
    assert caller("library", codec_read(codec))() == "read x"


def test_what_a_framework_asks_for_is_not_told() -> None:
    guard, codec, told = Guard(ROOT), module(), []
    for _ in range(2):
        wrap_after_own(guard, codec, "read", lambda *given: told.append(given))
    for kind in KINDS:
        assert caller(kind, codec_read(codec))() == "read x"
    assert told == [(("x",), {}, "read x")] * 2, "of both of the function's own modules"


def test_own_code_in_names_without_a_file_or_of_a_strange_one_is_told() -> None:
    guard, told = Guard(ROOT), []
    for file in (None, 1, b"/function/deps/lib.py", "code/own.py", "/function/deps", "/usr/lib"):
        for wrapped in (wrap_after_own, wrap_direct):
            codec: Any = module()
            wrapped(guard, codec, "read", lambda *given: told.append(given))
            names: dict[str, Any] = {"__name__": "own", "__file__": file, "read": codec.read}
            exec(compile("read('x')", f"{ROOT}/own.py", "exec"), names)
    assert len(told) == 12


def test_a_framework_that_asks_raises_one_audit_event_not_two() -> None:
    guard, events = Guard(ROOT), []
    counted = [False]

    def count(event: str, arguments: tuple[Any, ...]) -> None:
        if counted[0]:
            events.append(event)

    sys.addaudithook(count)  # stays until the process ends, and counts nothing then
    for kind in ("package", "python"):
        for wrapped in (wrap_after_own, wrap_direct):
            codec = module()
            wrapped(guard, codec, "read", lambda *_: None)
            call = caller(kind, codec_read(codec))
            events.clear()
            counted[0] = True
            call()
            counted[0] = False
            assert events == ["sys._getframe"], (kind, wrapped)


@pytest.mark.parametrize(("source", "known"), [("io.StringIO()", True), ("string.io()", False)])
def test_whether_code_has_files_in_memory(source: str, known: bool) -> None:
    guard = Guard(ROOT)
    guard.constants.add_code(compile(source, "own.py", "exec"))
    assert writes_in_memory(guard) is known


def test_the_event_is_not_taken_in_for_what_is_equal_to_nothing_that_was_made() -> None:
    guard = Guard("/nowhere")
    guard.begin({"name": "some name of the event"})
    for number in range(MAX_BACK * 3 // 2000):
        assert not is_put_together(guard, f"what a library made {number}".encode())
        if number == 3:
            assert guard._taint is None
    text = guard.provenance.join(0b01, "name: ", "".join(["some", " name"]))
    assert is_put_together(guard, "".join(["name: ", "some name"])), "after more than before"
    assert text == "name: some name"
    event_s = "".join(["some name", " of the event"])
    assert guard.provenance.join(0b01, "some name", " of the event") == event_s
    assert not is_put_together(guard, event_s), "the event has brought it"
