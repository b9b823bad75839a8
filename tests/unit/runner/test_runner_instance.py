"""What a handler's result or exception becomes, and the loop that serves invocations."""

from __future__ import annotations

import base64
import json
import math
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.guard.core import Guard
from casemate.guard.verdict import Verdict
from casemate.runner import instance, wire
from casemate.runner.answers import BadResultError, answer
from casemate.runner.failures import describe, error_frame
from casemate.runner.instance import Instance
from casemate.runner.loaded import LateImports
from casemate.seal.answer import AnswerError, response

# -- answers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("http", [False, True])
@pytest.mark.parametrize(
    ("result", "body"),
    [
        (None, b"null"),
        ("caf\u00e9", '"caf\u00e9"'.encode()),
        ({"a": [1, 2.5, True]}, b'{"a":[1,2.5,true]}'),
        ({"body": "x"}, b'{"body":"x"}'),
        ((1, 2), b"[1,2]"),
        ({1: "a"}, b'{"1":"a"}'),
        (10**400, b"1" + b"0" * 400),
    ],
)
def test_json_able_results(result: object, body: bytes, http: bool) -> None:
    assert answer(result, http=http) == ({}, body)


@pytest.mark.parametrize("http", [False, True])
@pytest.mark.parametrize("result", [b"\x00\xff", bytearray(b"\x00\xff"), memoryview(b"\x00\xff")])
def test_bytes_are_sent_as_they_are(result: object, http: bool) -> None:
    assert answer(result, http=http) == ({"type": "application/octet-stream"}, b"\x00\xff")


def test_a_status_means_something_to_http_triggers_only() -> None:
    assert answer({"status": 404}, http=False) == ({}, b'{"status":404}')
    assert answer({"status": 404}, http=True) == ({"status": 404, "headers": []}, b"")


@pytest.mark.parametrize(
    ("body", "sent", "kind"),
    [
        (None, b"", None),
        ("text", b"text", "text/plain; charset=utf-8"),
        (b"\xff", b"\xff", "application/octet-stream"),
        ({"a": 1}, b'{"a":1}', "application/json"),
        ([], b"[]", "application/json"),
        (0, b"0", "application/json"),
        ("", b"", "text/plain; charset=utf-8"),
    ],
)
def test_the_body_implies_its_type(body: object, sent: bytes, kind: str | None) -> None:
    head, data = answer({"status": 200, "body": body}, http=True)
    assert data == sent
    assert head["headers"] == ([["content-type", kind]] if kind else [])


@pytest.mark.parametrize("name", ["content-type", "Content-Type", "CONTENT-TYPE"])
def test_a_type_that_is_given_is_kept(name: str) -> None:
    result = {"status": 200, "headers": {name: "a/b"}, "body": "x"}
    assert answer(result, http=True)[0]["headers"] == [[name, "a/b"]]


def test_a_header_may_have_several_values() -> None:
    headers = {"set-cookie": ["a=1", "b=2"], "x-n": 5, "x-t": ("c", 6), "x-none": []}
    head, _ = answer({"status": 204, "headers": headers}, http=True)
    assert head["headers"] == [
        ["set-cookie", "a=1"],
        ["set-cookie", "b=2"],
        ["x-n", "5"],
        ["x-t", "c"],
        ["x-t", "6"],
    ]


def test_base64_is_undone() -> None:
    for body in ("AP8=", b"AP8="):
        result = {"status": 200, "body": body, "is_base64": True}
        head, data = answer(result, http=True)
        assert data == b"\x00\xff"
        assert head["headers"] == [["content-type", "application/octet-stream"]]


class Opaque:
    def __repr__(self) -> str:
        return "Opaque()"


CIRCULAR: list[Any] = []
CIRCULAR.append(CIRCULAR)
DEEP: list[Any] = []
for _ in range(200_000):
    DEEP = [DEEP]


@pytest.mark.parametrize("http", [False, True])
@pytest.mark.parametrize(
    "result",
    [
        {1, 2},
        Opaque(),
        object,
        {"a": b"x"},
        {("a", "b"): 1},
        math.nan,
        [math.inf],
        CIRCULAR,
        DEEP,
        "\ud800",
        {"a\udfff": 1},
        ...,
        1j,
        iter([]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_not_json_is_a_bad_result(result: object, http: bool) -> None:
    with pytest.raises(BadResultError):
        answer(result, http=http)
    with pytest.raises(BadResultError):
        answer({"status": 200, "body": [result]}, http=True)


@pytest.mark.parametrize(
    "changes",
    [
        *({"status": s} for s in (0, 100, 199, 600, -1, True, "200", 200.0, None, [200], 10**20)),
        {"statusCode": 200},
        {"Status": 200},
        {"cookies": []},
        {1: 2},
        {"headers": [("a", "b")]},
        {"headers": "a: b"},
        {"headers": 1},
        {"is_base64": True, "body": "?"},
        {"is_base64": True, "body": "A"},
        {"is_base64": True, "body": "AP8=\n"},
        {"is_base64": True, "body": {"a": 1}},
        {"is_base64": True, "body": "\u00e9"},
        {"body": "\ud800"},
        {"body": Opaque()},
    ],
    ids=repr,
)
def test_a_malformed_response_is_a_bad_result_that_says_why(changes: dict[Any, Any]) -> None:
    with pytest.raises(BadResultError) as refused:
        answer({"status": 200, **changes}, http=True)
    assert str(refused.value)


@given(
    st.fixed_dictionaries(
        {"status": st.integers(150, 650)},
        optional={
            "headers": st.dictionaries(
                st.text(max_size=8), st.text(max_size=8) | st.integers() | st.lists(st.text())
            ),
            "body": st.none() | st.text() | st.binary() | st.lists(st.integers()),
            "is_base64": st.booleans(),
        },
    )
)
def test_a_response_that_is_made_can_be_opened_by_the_gateway(result: dict[str, Any]) -> None:
    try:
        head, body = answer(result, http=True)
        sent = response(json.dumps(head).encode(), body)
    except (BadResultError, AnswerError):
        return
    assert sent.status == result["status"]
    given = result.get("body")
    if result.get("is_base64"):
        assert sent.body == base64.b64decode(given or b"")
    elif isinstance(given, str):
        assert sent.body == given.encode()


# -- exceptions ----------------------------------------------------------------------------------


def raised(call: Callable[[], object]) -> BaseException:
    try:
        call()
    except BaseException as error:
        return error
    raise AssertionError


def test_an_exception_is_described_by_type_message_and_trace() -> None:
    def inner() -> None:
        raise ValueError("why")

    detail = describe(raised(inner))
    assert (detail["type"], detail["message"]) == ("ValueError", "why")
    assert detail["trace"].startswith("Traceback") and "in inner" in detail["trace"]
    assert detail["trace"].endswith("ValueError: why\n")


def test_a_type_of_a_module_is_named_with_it() -> None:
    class OwnError(Exception):
        pass

    def fail() -> None:
        raise OwnError

    name = describe(raised(fail))["type"]
    assert name.startswith("test_runner_instance.") and name.endswith(".OwnError")


def test_the_runner_s_own_frames_are_left_out() -> None:
    def handler(event: object, context: object) -> None:
        raise RuntimeError("x")

    served = make(handler)
    detail = json.loads(served.frame()[1])
    assert "in handler" in detail["trace"]
    assert "runner/instance.py" not in detail["trace"]
    served.close()


def test_frames_of_wrappers_inside_and_of_causes_are_left_out_as_well() -> None:
    def handler(event: object, context: object) -> None:
        try:
            wire.FrameReader(frozenset(), 1).feed(None)  # type: ignore[arg-type]
        except TypeError as error:
            raise ValueError("second") from error

    served = make(handler)
    detail = json.loads(served.frame()[1])
    assert "TypeError" in detail["trace"] and "second" in detail["trace"]
    assert detail["trace"].count("in handler") == 2
    assert "casemate/runner/" not in detail["trace"]
    served.close()


def test_causes_are_shown() -> None:
    def fail() -> None:
        try:
            raise KeyError("first")
        except KeyError as error:
            raise ValueError("second") from error

    trace = describe(raised(fail))["trace"]
    assert "first" in trace and "second" in trace and "direct cause" in trace


def test_what_is_long_is_cut() -> None:
    detail = describe(ValueError("x" * 1_000_000))
    assert len(detail["message"]) == 8 * 1024
    assert 47 * 1024 < len(detail["trace"]) <= 48 * 1024
    endless = describe(raised(lambda: (_ for _ in ()).throw(recursion())))
    assert len(endless["trace"]) <= 48 * 1024
    assert len(describe(type("E" * 5000, (Exception,), {})("x"))["type"]) == 200


def recursion() -> BaseException:
    def down() -> None:
        down()

    return raised(down)


def test_what_is_long_as_json_alone_is_cut_as_well() -> None:
    """It came as a violation of the protocol, and all that the handler had said was gone."""
    detail = describe(ValueError("\0" * 100_000))
    for kind in ("handler-error", "init-error"):
        frame = error_frame(kind, detail)
        _, length, _ = wire.HEADER.unpack(frame[: wire.HEADER.size])
        assert length <= wire.MAX_HEAD_BYTES
        told = json.loads(frame[wire.HEADER.size : wire.HEADER.size + length])
        assert (told["kind"], told["type"]) == (kind, "ValueError")
        assert told["message"].startswith("\0" * 1000) and "characters" in told["trace"]


def test_an_exception_that_cannot_be_shown_is_still_described() -> None:
    class Broken(Exception):
        def __str__(self) -> str:
            raise ValueError("no")

        __repr__ = __str__

    detail = describe(Broken())
    assert "could not be made" in detail["message"]
    assert detail["type"].endswith("Broken")


# -- serving -------------------------------------------------------------------------------------


class Served:
    """An instance, and the gateway's end of its socket."""

    def __init__(self, handler: Callable[..., Any], **changes: Any) -> None:
        self.gateway, self.sock = socket.socketpair()
        self.gateway.settimeout(10)
        assignment = {
            "project": "p",
            "function": "f",
            "digest": "d" * 64,
            "memory": 64 << 20,
            "response": 1000,
            "isolation": "request",
            **changes,
        }
        self.instance = Instance(handler, assignment, self.sock, Guard(), LateImports())
        self.reader = wire.FrameReader(wire.KINDS_FROM_INSTANCE, 1 << 20)
        self.frames: list[tuple[bytes, bytes, bytes]] = []

    def frame(self, event: bytes = b"null", http: bool = False) -> tuple[bytes, bytes, bytes]:
        """Run the handler in this thread; return its frame."""
        head = {"id": "inv_1", "deadline": 2e9, "http": http, "version": "4"}
        [frame] = self.reader.feed(self.instance._frame(head, event))
        return frame

    def next(self) -> tuple[bytes, bytes, bytes]:
        """Return the next frame that the instance sent."""
        while not self.frames:
            data = self.gateway.recv(65536)
            if not data:
                raise ConnectionError
            self.frames += self.reader.feed(data)
        return self.frames.pop(0)

    def send(self, event: bytes) -> None:
        head = b'{"id":"inv_1","deadline":2e9,"http":false,"version":"4"}'
        self.gateway.sendall(wire.pack(wire.INVOKE, head, event))

    def close(self) -> None:
        if self.instance._run_async is not None:
            self.instance._run_async.__self__.close()  # type: ignore[attr-defined]
        self.gateway.close()
        self.sock.close()


def make(handler: Callable[..., Any], **changes: Any) -> Served:
    return Served(handler, **changes)


def echo(event: Any, context: Any) -> Any:
    return event


@pytest.fixture
def serving() -> Iterator[Callable[..., Served]]:
    """Return a function that serves a handler in a thread."""
    running: list[tuple[Served, threading.Thread]] = []

    def start(handler: Callable[..., Any], **changes: Any) -> Served:
        served = make(handler, **changes)
        thread = threading.Thread(target=served.instance.serve)
        thread.start()
        running.append((served, thread))
        assert served.next() == (wire.READY, b"", b"")
        return served

    yield start
    for served, thread in running:
        served.gateway.shutdown(socket.SHUT_WR)
        thread.join(10)
        assert not thread.is_alive()
        served.close()


def test_one_invocation_is_served_by_default(serving: Callable[..., Served]) -> None:
    served = serving(echo)
    served.send(b'{"a":1}')
    assert served.next() == (wire.ANSWER, b"{}", b'{"a":1}')


def test_a_reused_instance_serves_until_the_socket_closes(serving: Callable[..., Served]) -> None:
    served = serving(echo, isolation="instance")
    for number in range(3):
        served.send(b"%d" % number)
        assert served.next() == (wire.ANSWER, b"{}", b"%d" % number)


def test_one_that_waits_is_not_woken_by_its_answer_being_read(
    serving: Callable[..., Served],
) -> None:
    threads: list[int] = []

    def handler(event: Any, context: Any) -> Any:
        threads.append(threading.get_native_id())
        return event

    served = serving(handler, isolation="instance")
    served.send(b"1")
    assert served.next() == (wire.ANSWER, b"{}", b"1")

    def waited() -> int:
        """Return how often it has waited, once it does."""
        while True:
            status = Path(f"/proc/self/task/{threads[0]}/status").read_text()
            fields = dict(line.split(":", 1) for line in status.splitlines())
            if fields["State"].strip().startswith("S"):
                return int(fields["voluntary_ctxt_switches"])
            time.sleep(0.001)

    time.sleep(0.05)
    before = waited()
    for _ in range(5):
        served.send(b"2")
        time.sleep(0.05)  # it has answered, and waits
        assert served.next() == (wire.ANSWER, b"{}", b"2")
        time.sleep(0.02)
    # Once each. Else it is twice; the rest is for the interpreter's lock, which is shared here.
    assert waited() - before <= 8


def test_a_large_event_arrives_whole(serving: Callable[..., Served]) -> None:
    served = serving(lambda event, context: len(event))
    served.send(b'"' + b"x" * 3_000_000 + b'"')
    assert served.next()[2] == b"3000000"


def test_log_lines_come_before_the_answer(serving: Callable[..., Served]) -> None:
    def handler(event: Any, context: Any) -> str:
        context.log.warning("caf\u00e9", n=1)
        context.log.info("x" * 100_000)
        context.log.info("\ud800")
        return "done"

    served = serving(handler)
    served.send(b"1")
    kinds = [served.next() for _ in range(4)]
    assert [kind for kind, _, _ in kinds] == [wire.LOG, wire.LOG, wire.LOG, wire.ANSWER]
    assert json.loads(kinds[0][1])["level"] == "warning"
    assert kinds[0][2].decode() == 'caf\u00e9 {"n": 1}'
    assert len(kinds[1][2]) == 8 * 1024
    assert kinds[2][2] == b"?"


def test_the_context_tells_what_the_head_says() -> None:
    seen: list[Any] = []
    served = make(lambda event, context: seen.append(context))
    served.frame()
    [context] = seen
    assert (context.request_id, context.function_version) == ("inv_1", "4")
    assert (context.project, context.function_name, context.deadline) == ("p", "f", 2e9)
    assert context.memory_limit == 64 << 20
    served.close()


def test_an_async_handler_is_run() -> None:
    async def handler(event: Any, context: Any) -> Any:
        return [event]

    served = make(handler, isolation="instance")
    assert served.frame(b"1") == (wire.ANSWER, b"{}", b"[1]")
    assert served.frame(b"2") == (wire.ANSWER, b"{}", b"[2]")
    served.close()


class _Called:
    async def __call__(self, event: Any, context: Any) -> Any:
        return [event]


@pytest.mark.parametrize("isolation", ["instance", "request"])
@pytest.mark.parametrize("what", ["decorated", "an object"])
def test_what_leads_to_an_async_handler_is_run(what: str, isolation: str) -> None:
    async def handler(event: Any, context: Any) -> Any:
        return [event]

    def decorated(event: Any, context: Any) -> Any:
        return handler(event, context)

    served = make(decorated if what == "decorated" else _Called(), isolation=isolation)
    assert served.frame(b"1") == (wire.ANSWER, b"{}", b"[1]")
    served.close()


@pytest.mark.parametrize(
    "error", [ValueError("x"), SystemExit(3), KeyboardInterrupt(), MemoryError(), RecursionError()]
)
def test_whatever_a_handler_raises_is_its_error(error: BaseException) -> None:
    def handler(event: Any, context: Any) -> None:
        raise error

    served = make(handler)
    kind, head, _ = served.frame()
    detail = json.loads(head)
    assert (kind, detail["kind"]) == (wire.ERROR, "handler-error")
    assert detail["type"] == type(error).__name__
    served.close()


def test_a_result_that_cannot_be_sent_is_told_apart() -> None:
    served = make(lambda event, context: {1, 2})
    kind, head, _ = served.frame()
    detail = json.loads(head)
    assert (kind, detail["kind"]) == (wire.ERROR, "bad-result")
    assert detail["type"] == "casemate.runner.answers.BadResultError"
    served.close()


def test_the_size_of_a_response_is_bounded_exactly() -> None:
    served = make(lambda event, context: b"x" * event)
    assert served.frame(b"1000")[0] == wire.ANSWER
    kind, head, body = served.frame(b"1001")
    assert (kind, json.loads(head)["kind"], body) == (wire.ERROR, "response-too-large", b"")
    served.close()


def test_the_http_mark_is_passed_on() -> None:
    served = make(lambda event, context: {"status": 201})
    assert served.frame(http=True)[2] == b""
    assert served.frame(http=False)[2] == b'{"status":201}'
    served.close()


def test_touching_needs_no_handler() -> None:
    served = make(lambda event, context: 1 / 0)
    served.instance.touch()
    served.close()


def test_an_exception_with_a_lone_surrogate_is_the_handler_s_error() -> None:
    def handler(event: Any, context: Any) -> None:
        raise ValueError("\ud800")

    served = make(handler)
    try:
        assert json.loads(served.frame()[1])["kind"] == "handler-error"
    finally:
        served.close()


def test_a_header_with_a_lone_surrogate_is_a_bad_result() -> None:
    served = make(lambda event, context: {"status": 200, "headers": {"x-a": "\ud800"}})
    try:
        assert json.loads(served.frame(http=True)[1])["kind"] == "bad-result"
    finally:
        served.close()


def test_an_exit_in_an_exception_s_text_is_the_handler_s_error() -> None:
    class Exiting(Exception):
        def __str__(self) -> str:
            raise SystemExit

    def handler(event: Any, context: Any) -> None:
        raise Exiting

    served = make(handler)
    try:
        assert json.loads(served.frame()[1])["kind"] == "handler-error"
    finally:
        served.close()


def test_reseeding_works_without_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    class Random:
        seeded = 0

        def seed(self) -> None:
            self.seeded += 1

    random = Random()
    monkeypatch.setitem(instance.sys.modules, "numpy.random", random)  # type: ignore[arg-type]
    instance.reseed()
    assert random.seeded == 1
    monkeypatch.delitem(instance.sys.modules, "numpy.random")
    instance.reseed()


# -- answers in the shape of AWS -----------------------------------------------------------------


def aws(result: object) -> tuple[dict[str, Any], bytes]:
    return answer(result, http=True, shape="aws")


def test_an_answer_as_for_api_gateway() -> None:
    result = {
        "statusCode": 201,
        "headers": {"Content-Type": "text/html", "x-flag": True, "x-n": 5},
        "multiValueHeaders": {"x-many": ["a", "b"]},
        "cookies": ["a=1; Secure", "b=2"],
        "body": "<p>",
        "isBase64Encoded": False,
    }
    head, body = aws(result)
    assert body == b"<p>"
    assert head["status"] == 201
    assert head["headers"] == [
        ["Content-Type", "text/html"],
        ["x-flag", "true"],
        ["x-n", "5"],
        ["x-many", "a"],
        ["x-many", "b"],
        ["set-cookie", "a=1; Secure"],
        ["set-cookie", "b=2"],
    ]


@pytest.mark.parametrize(
    ("result", "status", "body"),
    [
        ({"statusCode": 204}, 204, b""),
        ({"statusCode": "404", "body": None}, 404, b""),
        ({"statusCode": 200, "body": "aGk=", "isBase64Encoded": True}, 200, b"hi"),
        ({"statusCode": 200, "body": {"a": 1}}, 200, b'{"a":1}'),
        ({"statusCode": 200, "headers": None, "cookies": None, "body": ""}, 200, b""),
    ],
)
def test_other_answers_as_for_api_gateway(result: object, status: int, body: bytes) -> None:
    head, data = aws(result)
    assert (head["status"], data) == (status, body)


def test_a_result_without_a_status_is_a_body() -> None:
    assert aws({"hello": 1}) == ({}, b'{"hello":1}')
    assert aws("x") == ({}, b'"x"')
    assert answer({"statusCode": 404}, http=False, shape="aws") == ({}, b'{"statusCode":404}')
    assert answer({"statusCode": 404}, http=True) == ({}, b'{"statusCode":404}')


@pytest.mark.parametrize(
    "result",
    [
        {"statusCode": 99},
        {"statusCode": 600},
        {"statusCode": "x"},
        {"statusCode": True},
        {"statusCode": 200, "headers": ["x"]},
        {"statusCode": 200, "cookies": "a=1"},
        {"statusCode": 200, "body": "%", "isBase64Encoded": True},
        {"statusCode": 200, "body": {1, 2}},
        {"statusCode": 200, "surprise": 1},
    ],
)
def test_an_answer_that_cannot_be_sent_in_the_shape_of_aws(result: object) -> None:
    with pytest.raises(BadResultError):
        aws(result)


# -- the sink guard ------------------------------------------------------------------------------


def judged(text: str, spans: Any) -> Any:
    return Verdict(spans[0].origin, "changed it", "fix it")


def guarding(catches: type[BaseException] | None, result: Any = "fine") -> Served:
    served: Served

    def handler(event: Any, context: Any) -> Any:
        try:
            served.instance._guard.check("sql", "SELECT '" + event["v"] + "'", judged)
        except BaseException as error:
            if catches is None or not isinstance(error, catches):
                raise
        return result

    served = make(handler)
    served.instance._channel.open = True
    return served


@pytest.mark.parametrize("catches", [None, ValueError, BaseException])
def test_what_the_guard_stops_is_told_first_and_is_the_outcome(catches: Any) -> None:
    served = guarding(catches)
    kind, head, _ = served.frame(b'{"v": "hostile data"}')
    told = json.loads(head)
    assert (kind, told["kind"]) == (wire.ERROR, "blocked")
    first, record, _ = served.next()
    assert first == wire.GUARD
    assert json.loads(record)["sink"] == "sql"
    assert b"hostile" not in head + record
    served.close()


def test_a_bad_result_after_a_block_is_a_block() -> None:
    served = guarding(BaseException, result=object())
    _, head, _ = served.frame(b'{"v": "hostile data"}')
    assert json.loads(head)["kind"] == "blocked"
    assert served.next()[0] == wire.GUARD
    served.close()


def test_the_next_event_is_not_blamed() -> None:
    served = guarding(None)
    assert served.frame(b'{"v": "hostile data"}')[0] == wire.ERROR
    served.instance._guard.check("sql", "SELECT 'hostile data'", judged)
    kind, _, body = served.frame(b'{"v": ""}')
    assert (kind, body) == (wire.ANSWER, b'"fine"')
    served.close()
