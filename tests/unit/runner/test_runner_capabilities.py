"""The handles in a sandbox: what they send, what they make of replies, and when they end."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from casemate.runner import capabilities, wire
from casemate.runner.capabilities import Queue, Table, Topic
from casemate.runner.channel import (
    CapabilityError,
    Channel,
    ConflictError,
    DeniedError,
    InvalidError,
    InvocationError,
    LimitError,
    NotFoundError,
    UnavailableError,
)
from casemate.runner.objects import MAX_PART, Bucket
from support.descriptors import descriptors_held, require_none_left

Answer = Callable[[dict[str, Any], bytes], tuple[dict[str, Any], bytes]]
INFO = {
    "key": "k",
    "revision": 3,
    "size": 5,
    "content_type": "text/plain",
    "metadata": {},
    "modified_at": 1.0,
    "sha256": "x",
}


class Host:
    """The other end of a channel, which answers each request by a function."""

    def __init__(self, answer: Answer) -> None:
        self.ours, theirs = socket.socketpair()
        self.channel = Channel(theirs)
        self.channel.open = True
        self.theirs = theirs
        self.asked: list[tuple[dict[str, Any], bytes]] = []
        self.descriptor: int | None = None
        self._answer = answer
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        reader = wire.FrameReader(frozenset((wire.CAPABILITY, wire.LOG, wire.ANSWER)), 1 << 30)
        while data := self.ours.recv(1 << 20):
            for kind, head, body in reader.feed(data):
                if kind != wire.CAPABILITY:
                    continue
                request = json.loads(head)
                number = request.pop("n")
                self.asked.append((request, body))
                reply, content = self._answer(request, body)
                frame = wire.pack(wire.REPLY, json.dumps({"n": number, **reply}).encode(), content)
                if self.descriptor is None:
                    self.ours.sendall(frame)
                else:
                    socket.send_fds(self.ours, [frame], [self.descriptor])
                    os.close(self.descriptor)

    def close(self) -> None:
        self.theirs.close()
        self._thread.join(5)
        self.ours.close()


@contextmanager
def host(answer: Answer | dict[str, Any], content: bytes = b"") -> Iterator[Host]:
    given = answer if callable(answer) else lambda _request, _body: ({"ok": answer}, content)
    serving = Host(given)
    try:
        yield serving
    finally:
        serving.close()


def test_a_request_says_what_is_asked_and_nothing_that_is_not_given() -> None:
    with host(INFO, b"hello") as serving:
        assert Bucket(serving.channel, "b").get("k") == b"hello"
    assert serving.asked == [({"op": "bucket.get", "bucket": "b", "key": "k"}, b"")]


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("denied", DeniedError),
        ("not-found", NotFoundError),
        ("conflict", ConflictError),
        ("invalid", InvalidError),
        ("limit", LimitError),
        ("unavailable", UnavailableError),
        ("of a later host", CapabilityError),
    ],
)
def test_an_error_is_raised_as_what_it_is(code: str, kind: type[CapabilityError]) -> None:
    with (
        host(lambda *_: ({"error": code, "message": "why"}, b"")) as serving,
        pytest.raises(kind, match="why") as raised,
    ):
        Bucket(serving.channel, "b").head("k")
    assert type(raised.value) is kind


def test_a_large_object_comes_in_pieces_of_one_revision() -> None:
    content = os.urandom(2 * MAX_PART + 7)

    def answer(request: dict[str, Any], _body: bytes) -> tuple[dict[str, Any], bytes]:
        start = request.get("offset", 0)
        length = min(request.get("length", MAX_PART), MAX_PART)
        return {"ok": {**INFO, "size": len(content)}}, content[start : start + length]

    with host(answer) as serving:
        assert Bucket(serving.channel, "b").get("k") == content
        assert {r.get("revision") for r, _ in serving.asked[1:]} == {3}
        with Bucket(serving.channel, "b").open("k") as file:
            file.seek(-7, 2)
            assert file.read() == content[-7:]
            assert file.read() == b""


def test_an_object_that_ends_too_soon_is_not_taken_for_whole() -> None:
    def answer(request: dict[str, Any], _body: bytes) -> tuple[dict[str, Any], bytes]:
        return {"ok": {**INFO, "size": 100}}, b"short" if "offset" not in request else b""

    with host(answer) as serving, pytest.raises(UnavailableError):
        Bucket(serving.channel, "b").get("k")


def test_a_large_object_is_written_in_parts_and_committed_once() -> None:
    def answer(request: dict[str, Any], _body: bytes) -> tuple[dict[str, Any], bytes]:
        return {"ok": {"upload": "u"} if request["op"] == "bucket.begin" else INFO}, b""

    content = os.urandom(MAX_PART + 5)
    with host(answer) as serving:
        written = Bucket(serving.channel, "b").put("k", content, if_revision=0)
    assert written.revision == 3
    assert [r["op"] for r, _ in serving.asked] == [
        "bucket.begin",
        "bucket.part",
        "bucket.part",
        "bucket.commit",
    ]
    assert b"".join(body for _, body in serving.asked) == content
    assert serving.asked[-1][0]["if_revision"] == 0


@pytest.mark.parametrize("content", [5, None, 1.5, True, [1, 2], {"a": 1}, object()])
def test_what_is_no_content_is_not_made_into_some(content: Any) -> None:
    with host(INFO) as serving:
        with pytest.raises(InvalidError, match="expected bytes or text"):
            Bucket(serving.channel, "b").put("k", content)
        assert serving.asked == []


@pytest.mark.parametrize("content", ["abc", b"abc", bytearray(b"abc"), memoryview(b"xabc")[1:]])
def test_text_and_every_kind_of_bytes_is_content(content: Any) -> None:
    with host(INFO) as serving:
        Bucket(serving.channel, "b").put("k", content)
        assert serving.asked[0][1] == b"abc"


def test_a_reader_goes_where_files_go_and_nowhere_else() -> None:
    with host(INFO) as serving:
        file = Bucket(serving.channel, "b").open("k")
        assert [file.seek(2), file.seek(1, os.SEEK_CUR), file.seek(-1, os.SEEK_END)] == [2, 3, 4]
        with pytest.raises(ValueError, match="expected 0, 1 or 2"):
            file.seek(0, 5)
        assert file.tell() == 4


def test_a_write_that_fails_half_way_is_forgotten_by_the_host() -> None:
    with (
        host({"upload": "u"}) as serving,
        pytest.raises(RuntimeError),
        Bucket(serving.channel, "b").create("k") as writer,
    ):
        writer.write(b"half")
        raise RuntimeError
    assert [r["op"] for r, _ in serving.asked] == ["bucket.begin", "bucket.abort"]


def test_listing_goes_through_all_pages() -> None:
    def answer(request: dict[str, Any], _body: bytes) -> tuple[dict[str, Any], bytes]:
        first = "after" not in request
        return {"ok": {"objects": [INFO], "after": "next" if first else None}}, b""

    with host(answer) as serving:
        assert len(list(Bucket(serving.channel, "b").list("p/"))) == 2
        assert len(list(Table(serving.channel, "t").query("k", limit=0))) == 0
    assert serving.asked[1][0]["after"] == "next"


def test_a_query_stops_at_its_limit() -> None:
    def answer(request: dict[str, Any], _body: bytes) -> tuple[dict[str, Any], bytes]:
        item = {"value": {"a": 1}, "revision": 1, "modified_at": 1.0}
        return {"ok": {"items": [item] * request["limit"], "after": "more"}}, b""

    with host(answer) as serving:
        found = list(Table(serving.channel, "t").query("k", begins_with="x", limit=501))
    assert len(found) == 501
    assert [r["limit"] for r, _ in serving.asked] == [500, 1]
    assert serving.asked[0][0]["sort"] == {"begins_with": "x"}


@pytest.mark.parametrize("value", [float("nan"), object(), {1, 2}])
def test_what_is_not_json_is_refused_before_it_is_sent(value: object) -> None:
    with host({"id": "m"}) as serving:
        for send in (
            lambda: Queue(serving.channel, "q").send(value),
            lambda: Topic(serving.channel, "t").publish(value),
            lambda: Table(serving.channel, "t").put({"v": value}),
            lambda: capabilities.invoke(serving.channel, "f", value, None),
        ):
            with pytest.raises(InvalidError):
                send()
    assert serving.asked == []


def test_attributes_go_beside_a_message() -> None:
    with host({"id": "m"}) as serving:
        Queue(serving.channel, "q").send(1, attributes={"kind": "new"})
        Topic(serving.channel, "t").publish(1, attributes={"kind": "new"})
        Topic(serving.channel, "t").publish(1)
    assert [request.get("attributes") for request, _ in serving.asked] == [
        {"kind": "new"},
        {"kind": "new"},
        None,
    ]


@pytest.mark.parametrize(
    "attributes",
    [
        ["a"],
        {"a": 1},
        {1: "a"},
        {"a": "x" * 4096},
        {"a" * 257: "x"},
        dict.fromkeys("abcdefghijk", "x"),
    ],
)
def test_attributes_that_the_host_would_end_us_for_are_not_sent(attributes: Any) -> None:
    with host({"id": "m"}) as serving:
        with pytest.raises(InvalidError):
            Queue(serving.channel, "q").send(1, attributes=attributes)
        with pytest.raises(InvalidError):
            Topic(serving.channel, "t").publish(1, attributes=attributes)
    assert serving.asked == []


def test_a_secret_comes_by_its_descriptor_and_leaves_none_open() -> None:
    before = descriptors_held()
    reading, writing = os.pipe()
    os.write(writing, "gehéim".encode())
    os.close(writing)
    with host({"version": 1}) as serving:
        serving.descriptor = reading
        assert capabilities.read_secret(serving.channel, "s", None) == "gehéim".encode()
    require_none_left(before)


def test_a_secret_without_a_descriptor_is_none() -> None:
    with host({"version": 1}) as serving, pytest.raises(UnavailableError):
        capabilities.read_secret(serving.channel, "s", None)


def test_a_failed_function_says_status_and_error_id_only() -> None:
    with (
        host({"status": 500, "type": "application/problem+json", "error_id": "err_1"}) as serving,
        pytest.raises(InvocationError) as raised,
    ):
        capabilities.invoke(serving.channel, "g", {"a": 1}, ["bucket b read"])
    assert (raised.value.status, raised.value.error_id) == (500, "err_1")
    assert serving.asked[0][0]["allow"] == ["bucket b read"]


def test_after_the_answer_nothing_can_be_asked() -> None:
    with host(INFO) as serving:
        serving.channel.finish(wire.pack(wire.ANSWER, b"{}", b"1"))
        with pytest.raises(UnavailableError, match="over"):
            Bucket(serving.channel, "b").get("k")
    assert serving.asked == []


def test_a_child_process_cannot_speak_for_the_instance() -> None:
    with host(INFO) as serving:
        pid = os.fork()
        if pid == 0:
            try:
                Bucket(serving.channel, "b").get("k")
            except UnavailableError:
                os._exit(0)
            os._exit(1)
        assert os.waitpid(pid, 0)[1] == 0
    assert serving.asked == []


def test_threads_take_turns() -> None:
    def answer(request: dict[str, Any], _body: bytes) -> tuple[dict[str, Any], bytes]:
        return {"ok": {**INFO, "size": 2}}, request["key"].encode()

    found: list[bytes] = []
    with host(answer) as serving:
        bucket = Bucket(serving.channel, "b")
        threads = [
            threading.Thread(
                target=lambda key=f"{n:02}": found.extend(bucket.get(key) for _ in range(50))
            )
            for n in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(found) == sorted(f"{n:02}".encode() for n in range(8) for _ in range(50))


def test_a_host_that_is_gone_is_an_error() -> None:
    ours, theirs = socket.socketpair()
    channel = Channel(theirs)
    channel.open = True
    ours.close()
    with theirs, pytest.raises((UnavailableError, OSError)):
        Bucket(channel, "b").get("k")
