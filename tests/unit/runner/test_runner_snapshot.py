"""What is told of the locals of a function that raised: names and kinds, and nothing of events."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from casemate.guard import inlining
from casemate.runner import snapshot
from casemate.runner.event import Origin, plain

HOSTILE = """
class Meta(type):
    def __getattribute__(cls, name):
        raise RuntimeError("asked " + name)
    def __repr__(cls):
        raise RuntimeError("shown")
class Hostile(metaclass=Meta):
    def __len__(self):
        raise RuntimeError("measured")
    def __repr__(self):
        raise RuntimeError("shown")
    def __getattribute__(self, name):
        raise RuntimeError("asked")
class Text(str):
    def __len__(self):
        raise RuntimeError("measured")
def handler(event, given):
    hostile = Hostile()
    text = Text("a-secret-value")
    raise ValueError("x")
"""
PLAIN = """
def handler(event, given):
    number, part, nothing, yes = 4111111111111111, 1.5, None, True
    name, raw, pair = event["name"], b"abc", (1, 2)
    inner(event)
def inner(event):
    deep = [event]
    raise KeyError(event["name"])
"""


PASSED_BY = """
def handler(event, given):
    try:
        inner(event)
    except (KeyError, OSError):
        pass
def inner(event):
    try:
        return event["a"].get(1)
    except (ValueError,
            KeyError):
        raise
    finally:
        event = None
"""


def raised(source: str, *given: Any, name: str = "/function/code/app.py") -> str:
    """Return what is told of a function that raises."""
    names: dict[str, Callable[..., Any]] = {}
    exec(compile(source, name, "exec"), names)
    try:
        names["handler"](*given)
    except BaseException as error:
        return snapshot.taken(error).decode()
    raise AssertionError("it did not raise")


def test_names_and_kinds_are_told_and_no_value_of_an_event() -> None:
    told = raised(PLAIN, {"name": "ada@example.com", "card": "4111111111111111"}, None)
    assert told.splitlines() == [
        "app.py:5 in handler",
        "  event = dict of 2",
        "  given = None",
        "  number = int",
        "  part = float",
        "  nothing = None",
        "  yes = True",
        "  name = str of 15",
        "  raw = bytes of 3",
        "  pair = tuple of 2",
        "app.py:8 in inner",
        "  event = dict of 2",
        "  deep = list of 1",
    ]


def test_names_that_the_sink_guard_writes_are_left_out() -> None:
    assert snapshot.OURS == inlining.PREFIX
    names = "".join(f"    {inlining.PREFIX}t{n}{inlining.SUFFIX} = 'part'\n" for n in range(40))
    source = f"def handler(event, given):\n{names}    room, mine = event, 1\n    raise ValueError\n"

    for told in (raised(source, {}, None), valued(source, {}, None)):
        assert inlining.PREFIX not in told
        assert "room = " in told and "mine = " in told and " more" not in told


def test_nothing_of_the_functions_own_types_is_called() -> None:
    told = raised(HOSTILE, {}, None)
    assert "  hostile = a Hostile" in told and "  text = a Text" in told
    assert "a-secret-value" not in told


@pytest.mark.parametrize("name", ["/function/deps/lib.py", "/usr/lib/python3/json.py", "app.py"])
def test_frames_of_others_are_left_out(name: str) -> None:
    assert raised(PLAIN, {"name": "x"}, None, name=name) == ""


def test_it_is_bounded() -> None:
    deep = "def handler(event, given):\n" + "".join(
        f"    v{number} = event\n" for number in range(500)
    )
    deep += "    if event > 0:\n        handler(event - 1, given)\n    raise ValueError\n"
    told = raised(deep, 100, None)
    assert len(told.encode()) <= snapshot.MAX_BYTES
    assert told.count("in handler") <= snapshot.MAX_FRAMES
    assert f"  and {502 - snapshot.MAX_NAMES} more" in told
    long = f"def handler(event, given):\n    {'n' * 5000} = 1\n    raise ValueError\n"
    assert max(map(len, raised(long, 1, None).splitlines())) <= snapshot.MAX_TEXT


VALUES = """
def handler(event, given):
    number, part, nothing, yes = 1042, 1.5, None, True
    big, raw, pair, several = 1 << 300, b"abc", (1, "two"), {3}
    password, api_token = "tr0ub4dor", event
    short = {"id": 7, "Password": "x", "deep": [[[[1]]]]}
    long = "x" * 201
    key = "-----BEGIN PRIVATE KEY-----"
    raise KeyError
"""


def valued(source: str, *given: Any) -> str:
    """Return the values that are told of a function that raises."""
    names: dict[str, Callable[..., Any]] = {}
    exec(compile(source, "/function/code/app.py", "exec"), names)
    try:
        names["handler"](*given)
    except BaseException as error:
        outline, values = snapshot.parts(snapshot.of(error))
        assert outline == snapshot.taken(error) and values == snapshot.values(error)
        return values.decode()
    raise AssertionError("it did not raise")


def test_values_are_told_whole_or_by_size_and_those_of_secrets_not_at_all() -> None:
    assert valued(VALUES, {"name": "ada"}, ["x"]).splitlines() == [
        "app.py:9 in handler",
        "  event = {'name': 'ada'}",
        "  given = ['x']",
        "  number = 1042",
        "  part = 1.5",
        "  nothing = None",
        "  yes = True",
        "  big = int",
        "  raw = b'abc'",
        "  pair = (1, 'two')",
        "  several = {3}",
        "  password = [redacted]",
        "  api_token = [redacted]",
        "  short = {'id': 7, 'Password': [redacted], 'deep': [[list of 1]]}",
        "  long = str of 201",
        "  key = str of 27",
    ]


def test_an_event_is_told_like_what_it_holds() -> None:
    event, _ = plain({"order": 7}, Origin({"id": "inv", "at": 0.0}, "p", "f"))
    assert "  event = {'order': 7}" in valued(PLAIN.replace('event["name"]', "1 / 0"), event, 1)


def test_nothing_of_the_functions_own_is_called_for_values() -> None:
    told = valued(HOSTILE, {}, None)
    assert "  hostile = a Hostile" in told and "  text = a Text" in told
    assert "a-secret-value" not in told


@pytest.mark.parametrize(
    "source",
    [
        # Names of a class body, and of what is executed, may be in a mapping of one's own.
        "class Names(dict):\n"
        "    def items(self): print('asked'); raise SystemExit\n"
        "    def __len__(self): print('asked'); raise SystemExit\n"
        "class Meta(type):\n"
        "    def __prepare__(name, bases): return Names()\n"
        "def handler(event, given):\n"
        "    class Body(metaclass=Meta):\n"
        "        raise ValueError\n",
        "class Failed(Exception):\n"
        "    @property\n"
        "    def __traceback__(self): print('asked')\n"
        "def handler(event, given):\n"
        "    raise Failed\n",
    ],
)
def test_mappings_and_exceptions_of_its_own_are_not_asked(
    source: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "in handler" in valued(source, 1, 2)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "value",
    [
        [["x" * 200] * 16] * 16,
        {number: dict.fromkeys(range(1000), "😀" * 200) for number in range(1000)},
        list(range(10**6)),
        "x" * 10**7,
        ["\x00" * 200] * 10_000,
    ],
)
def test_hostile_values_are_bounded_in_bytes_and_time(value: Any) -> None:
    many = "def handler(event, given):\n" + "".join(f"    v{n} = event\n" for n in range(31))
    many += "    if given: handler(event, given - 1)\n    raise ValueError\n"
    started = time.process_time()
    told = valued(many, value, 40)
    assert time.process_time() - started < 0.5
    assert len(told.encode()) <= snapshot.MAX_BYTES
    assert told.endswith("\n"), "no line is cut"


def test_what_refers_to_itself_ends() -> None:
    loop: list[Any] = []
    loop.append(loop)
    assert "event = [[[list of 1]]]" in valued(PLAIN.replace('event["name"]', "1 / 0"), loop, 1)


@pytest.mark.parametrize("body", [b"", b"\0", b"\0" * 100_000, b"x" * 10**6, b"a\0" + b"b" * 10**6])
def test_the_host_takes_apart_whatever_comes(body: bytes) -> None:
    outline, values = snapshot.parts(body)
    assert len(outline) <= snapshot.MAX_BYTES and len(values) <= snapshot.MAX_BYTES


def test_a_frame_is_told_with_the_line_that_the_trace_has() -> None:
    """It goes on after that, to the `except` that does not fit and through its `finally`."""
    lines = ["app.py:4 in handler", "app.py:9 in inner"]
    told = raised(PASSED_BY, {"a": 5}, None).splitlines()
    assert [line for line in told if " in " in line] == lines
    shown = valued(PASSED_BY, {"a": 5}, None).splitlines()
    assert [line for line in shown if " in " in line] == lines[::-1]
