"""An event done again as an instance does it: how it ends, and what it did, by names alone."""

from __future__ import annotations

import base64
import contextlib
import os
import subprocess
import sys
from typing import Any

import pytest

from casemate.guard.core import Guard
from casemate.guard.origin import Origin
from casemate.guard.verdict import Verdict
from casemate.runner.answer_hash import answer_hash
from casemate.runner.replaying_guarded import replay_guarded
from casemate.runner.told import MAX_TOLD, Told


def frames(*pairs: tuple[str, str]) -> list[list[Any]]:
    found = []
    for asked, answered in pairs:
        found.append([True, base64.b64encode(asked.encode()).decode(), ""])
        found.append([False, base64.b64encode(answered.encode()).decode(), ""])
    return found


GET = ('{"n":1,"op":"table.get"}', '{"n":1,"ok":{"value":"kept","revision":3,"modified_at":1}}')
DENIED = ('{"n":1,"op":"table.get"}', '{"n":1,"error":"denied","message":"no"}')


def job(**changes: Any) -> dict[str, Any]:
    told = {
        "id": "inv_1", "project": "p", "function": "f", "version": 3, "handler": "app:handler",
        "memory": 1 << 28, "environment": {}, "at": 1.0, "shape": "", "http": False,
        "event": {"a": "secret-7"},
        "frames": [], "response": 1000, "guard": [], "open": [],
    }  # fmt: skip
    return {**told, **changes}


def outcome(handler: Any, guard: Guard | None = None, **changes: Any) -> dict[str, Any]:
    told = Told()
    try:
        return replay_guarded(job(**changes), lambda name: handler, guard or Guard(), told)
    finally:
        told.close()


def test_it_ends_as_an_instance_ends_it_and_no_value_is_told() -> None:
    told = outcome(lambda event, context: {"b": 1, "a": event["a"]})
    assert told["kind"] == "ok"
    assert told["answer"] == answer_hash(b'{"a": "secret-7", "b": 1}')
    assert "secret-7" not in str(told)

    async def later(event: Any, context: Any) -> Any:
        return event["a"]

    assert outcome(later)["kind"] == "ok"
    assert outcome(lambda event, context: 1 // 0) | {"kind": "handler-error"} == outcome(
        lambda event, context: 1 // 0
    )
    assert outcome(lambda event, context: sys.exit(event["a"]))["type"] == "SystemExit"
    assert outcome(lambda event, context: object())["kind"] == "bad-result"
    assert outcome(lambda event, context: "x" * 1001)["kind"] == "response-too-large"


def test_the_type_of_an_exception_that_is_no_name_is_not_told() -> None:
    def handler(event: Any, context: Any) -> Any:
        raise type(f"E {event['a']}\x1b[2J", (Exception,), {})

    assert outcome(handler)["type"] == "an exception"


def test_what_the_guard_stops_is_blocked_whatever_the_handler_makes_of_it() -> None:
    guard = Guard()

    def handler(event: Any, context: Any) -> Any:
        try:
            guard.decide("sql", lambda: Verdict(Origin("event", "/a"), "ends a literal", "do not"))
        except BaseException:
            return "all is well"

    told = outcome(handler, guard)
    assert told["kind"] == "blocked"
    assert told["blocked"] == [{"sink": "sql", "place": "code of a dependency", "mode": "block"}]


def test_denials_and_what_was_not_recorded_are_told() -> None:
    def reads(event: Any, context: Any) -> Any:
        try:
            return context.table("t").get("k").value
        except Exception:
            return None

    assert outcome(reads, frames=frames(DENIED))["denied"] == ["table.get"]
    told = outcome(reads)
    assert told["missing"] == ["table.get"] and told["kind"] == "ok"
    answered = outcome(reads, frames=frames(GET))
    assert (answered["missing"], answered["denied"]) == ([], [])
    assert answered["answer"] == answer_hash(b'"kept"')


def test_writes_that_there_were_not_end_well_and_use_up_no_answer() -> None:
    def handler(event: Any, context: Any) -> Any:
        table, bucket = context.table("t"), context.bucket("b")
        table.put({"id": 1})
        table.delete("x")
        bucket.put("k", b"1")
        bucket.delete("k")
        context.queue("q").send(1)
        context.topic("o").publish(1)
        return table.get("k").value

    told = outcome(handler, frames=frames(GET))
    assert told["kind"] == "ok" and told["missing"] == []
    assert told["made_up"] == [
        *("table.put", "table.delete", "bucket.put", "bucket.delete"),
        *("queue.send", "topic.publish"),
    ]


@pytest.mark.parametrize("operation", ["bucket.begin", "function.invoke", "secret.get", "x" * 999])
def test_nothing_else_is_made_up(operation: str) -> None:
    def handler(event: Any, context: Any) -> Any:
        context._channel.call(operation)

    told = outcome(handler)
    assert told["missing"] == [operation[:200]] and told["kind"] == "handler-error"


def test_a_million_uses_are_told_as_few() -> None:
    def handler(event: Any, context: Any) -> Any:
        for n in range(100):
            with contextlib.suppress(Exception):
                context._channel.call(f"op{n}")

    told = outcome(handler)
    assert len(told["missing"]) == MAX_TOLD


def test_a_handler_that_cannot_be_loaded_is_not_a_handler_that_raised() -> None:
    def load(name: str) -> Any:
        raise ModuleNotFoundError(name)

    told = replay_guarded(job(), load, Guard(), Told())
    assert (told["kind"], told["type"]) == ("not-loaded", "ModuleNotFoundError")


@pytest.mark.parametrize(
    "changes",
    [
        {"shape": "http", "event": ["of another form"]},
        {"shape": "event", "event": {}},
        {"shape": "none"},
        {"frames": [[True, "!", ""]]},
        {"frames": [[True, base64.b64encode(b"[1]").decode(), ""]]},
        {"frames": [["x"]]},
        {"frames": {"a": 1}},
    ],
)
def test_a_recording_of_another_form_is_not_a_handler_that_raised(changes: dict[str, Any]) -> None:
    told = outcome(lambda event, context: "never", **changes)
    assert told["kind"] == "not-read"


def test_a_fork_tells_what_it_does() -> None:
    told = Told()
    told.note("missing", "here")
    child = os.fork()
    if child == 0:
        told.note("missing", "here")
        for n in range(1000):
            told.note("missing", f"there {n}", "x" * 10_000)
        os._exit(0)
    os.waitpid(child, 0)
    found = told.of("missing")
    assert found[:2] == [["here"], ["there 0", "x" * 200]] and len(found) == MAX_TOLD
    assert told.of("missing") == found and told.of("other") == []
    told.close()
    told.note("missing", "nobody hears of it")


WAYS = """
import os, socket, subprocess
from casemate.runner.replaying_guarded import watch_outside
from casemate.runner.told import Told
told = Told()
watch_outside(told)

def tried(call, *arguments):
    try:
        call(*arguments)
    except OSError:
        print(told.of("outside"))

tried(socket.socket(socket.AF_UNIX).connect, "/none")
tried(socket.socket().connect, ("127.0.0.1", 1))
tried(subprocess.run, ["/none"])
"""


def test_uses_of_what_is_not_there_are_seen() -> None:
    # In a process of its own: a hook of the interpreter stays.
    done = subprocess.run([sys.executable, "-c", WAYS], capture_output=True, text=True, check=True)
    network, program = "['the network']", "['a program']"
    assert done.stdout.splitlines() == ["[]", f"[{network}]", f"[{network}, {program}]"]
