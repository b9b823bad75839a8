"""The platform of a recording: answers that there were, in their order, and nothing else."""

from __future__ import annotations

import asyncio
import base64
import io
import os
import sys
from typing import Any

import pytest

from casemate.runner import debugging
from casemate.runner.channel import DeniedError, UnavailableError

Frames = list[tuple[bool, dict[str, Any], bytes]]
FRAMES: Frames = [
    (True, {"n": 1, "op": "table.get"}, b""),
    (False, {"n": 1, "ok": {"revision": 3}}, b'{"value": {}}'),
    (True, {"n": 2, "op": "secret.get"}, b""),
    (False, {"n": 2, "ok": {"version": 1}}, b""),
    (True, {"n": 3, "op": "table.put"}, b""),
    (False, {"n": 3, "error": "denied", "message": "not granted"}, b""),
    (True, {"n": 4, "op": "table.get"}, b""),
]


def test_answers_come_as_they_came() -> None:
    channel = debugging.RecordedChannel(FRAMES)
    assert channel.call("table.get", key="a") == ({"revision": 3}, b'{"value": {}}', None)
    fields, _, descriptor = channel.call("secret.get", name="key")
    assert fields == {"version": 1} and descriptor is not None
    with os.fdopen(descriptor, "rb") as pipe:
        assert b"not recorded" in pipe.read()
    with pytest.raises(DeniedError, match="not granted"):
        channel.call("table.put")
    with pytest.raises(UnavailableError):
        channel.call("table.get")
    with pytest.raises(UnavailableError):
        channel.call("table.get")


def test_a_call_that_was_not_made_has_no_answer_and_takes_none() -> None:
    channel = debugging.RecordedChannel(FRAMES)
    with pytest.raises(UnavailableError):
        channel.call("bucket.put")
    assert channel.call("table.get")[0] == {"revision": 3}


def job(**changes: Any) -> dict[str, Any]:
    told = {
        "id": "inv_1", "project": "p", "function": "f", "version": 3, "handler": "app:handler",
        "memory": 1 << 28, "environment": {}, "at": 1.0, "shape": "", "event": {"a": 7},
        "frames": [[True, base64.b64encode(b'{"n":1,"op":"x"}').decode(), ""]],
    }  # fmt: skip
    return {**told, **changes}


def debugged(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], typed: str, handler: Any
) -> str:
    monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
    debugging.debug(job(), lambda _name: handler)
    return capsys.readouterr().out


def raises(event: Any, context: Any) -> None:
    wanted = event["a"] + 1
    raise ValueError(wanted)


def returns(event: Any, context: Any) -> str:
    return "x" * 10_000


def test_it_stays_where_it_raised(monkeypatch, capsys) -> None:
    told = debugged(monkeypatch, capsys, "c\np wanted\nq\n", raises)
    assert "ValueError: 8" in told and told.count("(Pdb)") == 3 and "\n(Pdb) 8" in told


@pytest.mark.parametrize("typed", ["q\n", "", "n\nq\n"])
def test_it_ends_when_it_is_asked_to_or_nobody_is_there(monkeypatch, capsys, typed) -> None:
    told = debugged(monkeypatch, capsys, typed, raises)
    assert "Traceback" not in told


def test_what_is_returned_is_told_within_a_bound(monkeypatch, capsys) -> None:
    told = debugged(monkeypatch, capsys, "c\n", returns)
    assert "It returned 'xxx" in told and len(told) < debugging.MAX_SHOWN + 500


async def later(value: int) -> int:
    await asyncio.sleep(0.001)
    return value + 1


async def raises_later(event: Any, context: Any) -> None:
    wanted = await later(event["a"])
    raise ValueError(wanted)


async def returns_later(event: Any, context: Any) -> dict[str, int]:
    one, two = await asyncio.gather(later(event["a"]), later(0))
    return {"sum": one + two}


def test_an_asynchronous_handler_stays_where_it_raised(monkeypatch, capsys) -> None:
    told = debugged(monkeypatch, capsys, "c\np wanted\nq\n", raises_later)
    assert "ValueError: 8" in told and "\n(Pdb) 8" in told, told


def test_an_asynchronous_handler_goes_line_by_line_and_through_no_loop(monkeypatch, capsys) -> None:
    told = debugged(monkeypatch, capsys, "n\np one, two\nn\nn\n", returns_later)
    assert "(8, 1)" in told and "It returned {'sum': 9}" in told, told
    assert "asyncio/" not in told and "selectors.py" not in told, told


@pytest.mark.parametrize("typed", ["q\n", "", "n\nq\n"])
def test_an_asynchronous_handler_is_left(monkeypatch, capsys, typed) -> None:
    told = debugged(monkeypatch, capsys, typed, raises_later)
    assert "Traceback" not in told and "returned" not in told, told


def yields(event: Any, context: Any) -> Any:
    yield event


def test_a_result_that_a_node_would_not_send_is_told(monkeypatch, capsys) -> None:
    told = debugged(monkeypatch, capsys, "c\n", yields)
    assert "It returned <generator" in told and "no answer" in told and "not JSON" in told, told
    assert "no answer" not in debugged(monkeypatch, capsys, "c\n", returns)
