"""What is told of the locals of a function that raised: names and kinds, and nothing of events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from casemate.runner import snapshot

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
