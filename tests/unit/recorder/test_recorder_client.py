"""The gateway's end: what is told is durable or nothing more begins, over ends of the recorder."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import msgspec
import pytest

from casemate.child.calls import Reply, refusal, reply
from casemate.child.channel import FrameSocket
from casemate.child.failure import Failure
from casemate.facts import FactStream
from casemate.model.facts import InvocationEnded, LogsWritten, SignedIn
from casemate.recorder import client as client_module
from casemate.recorder import outstanding, protocol
from casemate.recorder.client import DURABLE_SECONDS, RecorderClient
from casemate.recorder.errors import NotRecordedError
from support.outstanding import new_memory
from support.waiting import until


class Recorder:
    """Stands for the process: takes what comes, and answers as it is told to."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.supervisor, self.starter = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.supervisor.setblocking(False)
        self.loop.add_reader(self.supervisor.fileno(), self._start)
        self.taken: dict[tuple[bytes, int], str] = {}
        self.starts = 0
        self.messages = 0
        self.lost: int | None = None
        self.answers = True
        self.failure: Failure | None = None
        self.instead: Callable[[int], bytes] | None = None
        """Makes the answer to the next message, which is not kept."""
        self.connection: FrameSocket | None = None

    def _start(self) -> None:
        data, descriptors, *_ = socket.recv_fds(self.supervisor, 16, 1)
        if not data:
            self.loop.remove_reader(self.supervisor.fileno())
            return
        self.starts += 1
        self.connection = FrameSocket(
            socket.socket(fileno=descriptors[0]),
            self.loop,
            protocol.ANSWERING,
            received=self._received,
            ended=lambda _: None,
        )

    def _received(self, body: bytes) -> None:
        request = protocol.decode_request(body)
        if self.connection is None:
            return
        if not self.answers:
            return
        if self.instead is not None and isinstance(request, protocol.Take):
            answer, self.instead = self.instead(request.n), None
            self.connection.send(answer)
            return
        if isinstance(request, protocol.GetHead):
            self.connection.send(reply(request.n, protocol.Head("", "key", len(self.taken))))
        elif isinstance(request, protocol.Take):
            if self.failure is not None:
                self.connection.send(refusal(request.n, self.failure))
                return
            self.messages += 1
            for number, told in enumerate(request.facts, request.first):
                by = told.kind
                if told.kind not in protocol.RECORD_KINDS:
                    by = msgspec.msgpack.decode(told.fact).get("by", "")
                self.taken.setdefault((request.session, number), by)
            self.connection.send(reply(request.n, self.lost))

    def end(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    @property
    def names(self) -> list[str]:
        return [self.taken[key] for key in sorted(self.taken)]


def signed_in(name: str) -> SignedIn:
    return SignedIn(at=1.0, by=name, method="password")


def on_trial(
    run: Callable[[RecorderClient, FactStream, Recorder], Awaitable[None]],
) -> Callable[[], None]:
    def test() -> None:
        async def main() -> None:
            recorder, facts = Recorder(), FactStream()
            client = RecorderClient(recorder.starter, recorder.loop, facts, new_memory())
            await run(client, facts, recorder)
            recorder.answers, recorder.failure = True, None
            await client.close()
            recorder.end()
            await asyncio.sleep(0)
            recorder.loop.remove_reader(recorder.supervisor.fileno())
            recorder.supervisor.close()

        asyncio.run(main())

    return test


@contextmanager
def clock_stands(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Let no timer of the loop go off, however long the machine takes for what is done meanwhile.

    Nothing may wait for a time inside the block.
    """
    now = loop.time()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "time", lambda: now)
        yield


@on_trial
async def test_what_was_told_is_durable_when_one_has_waited(
    client: RecorderClient, facts: FactStream, recorder: Recorder
) -> None:
    await client.ready()
    await client.durable()
    for n in range(2000):
        facts.happened(signed_in(f"user:{n}"))
    await client.durable()
    assert recorder.names == [f"user:{n}" for n in range(2000)]
    client.require()


@on_trial
async def test_hints_are_not_recorded(
    client: RecorderClient, facts: FactStream, recorder: Recorder
) -> None:
    facts.happened(LogsWritten(at=1.0))
    facts.happened(signed_in("user:ada"))
    await client.durable()
    assert recorder.names == ["user:ada"]


@on_trial
async def test_what_is_alike_is_told_once_and_then_with_its_count(
    client: RecorderClient, facts: FactStream, recorder: Recorder
) -> None:
    for _ in range(1000):
        facts.happened(InvocationEnded(at=1.0, outcome="ok"))
    await client.durable()
    assert len(recorder.taken) == 1
    await until(lambda: len(recorder.taken) == 2)


@on_trial
async def test_what_was_not_acknowledged_is_told_to_the_next_recorder_once(
    client: RecorderClient, facts: FactStream, recorder: Recorder
) -> None:
    await client.ready()
    recorder.answers = False
    for n in range(600):
        facts.happened(signed_in(f"user:{n}"))
    waiting = asyncio.ensure_future(client.durable())
    await asyncio.sleep(0.05)
    recorder.end()
    recorder.answers = True
    await waiting
    assert recorder.starts == 2
    assert recorder.names == [f"user:{n}" for n in range(600)]


@on_trial
async def test_a_recorder_that_is_gone_for_too_long_lets_nothing_begin(
    client: RecorderClient, facts: FactStream, recorder: Recorder
) -> None:
    await client.ready()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("casemate.recorder.client.GONE_SECONDS", 0.05)
        recorder.answers = False
        recorder.end()
        await until(client.trouble)
        with pytest.raises(NotRecordedError, match="gone"):
            client.require()
        # What runs is told all the same, and is not lost.
        facts.happened(signed_in("user:late"))
        recorder.end()
        recorder.answers = True
        await until(lambda: not client.trouble())
    await client.durable()
    assert recorder.names == ["user:late"]


@on_trial
async def test_an_idle_recorder_that_is_back_lets_all_begin(
    client: RecorderClient, facts: FactStream, recorder: Recorder
) -> None:
    await client.ready()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("casemate.recorder.client.GONE_SECONDS", 0.0)
        recorder.end()
        await until(lambda: recorder.starts == 2)
        await until(lambda: not client.trouble())


@on_trial
async def test_a_refusal_tells_why_and_ends_the_wait(
    client: RecorderClient, facts: FactStream, recorder: Recorder
) -> None:
    await client.ready()
    recorder.failure = Failure("JournalWriteError", "No space left on device", None)
    facts.happened(signed_in("user:ada"))
    with pytest.raises(NotRecordedError, match="No space left"):
        await client.durable()
    assert client.problem == "No space left on device"
    recorder.failure = None
    recorder.end()
    await until(lambda: not client.problem)
    assert recorder.names == ["user:ada"]


@on_trial
async def test_the_buffer_is_bounded_and_half_of_it_is_for_what_runs(
    client: RecorderClient, facts: FactStream, recorder: Recorder
) -> None:
    await client.ready()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("casemate.recorder.client.MAX_BUFFERED", 20)
        recorder.answers = False
        for n in range(10):
            facts.happened(signed_in(f"user:{n}"))
        with pytest.raises(NotRecordedError, match="10 facts wait"):
            client.require()
        for n in range(10, 30):
            facts.happened(signed_in(f"user:{n}"))
        assert client.missed == 10
        recorder.end()
        recorder.answers = True
        await until(lambda: len(recorder.taken) == 20)
    client.require()


@on_trial
async def test_what_had_no_room_is_not_said_to_be_durable(
    client: RecorderClient, facts: FactStream, recorder: Recorder
) -> None:
    """What is recorded before it is answered is not answered as if it were."""
    await client.ready()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("casemate.recorder.client.MAX_BUFFERED", 2)
        recorder.answers = False
        facts.happened(signed_in("user:ada"))
        facts.happened(signed_in("user:bob"))
        kept = asyncio.ensure_future(client.durable())
        await asyncio.sleep(0)
        facts.happened(signed_in("user:cy"))
        with pytest.raises(NotRecordedError, match="too much waits"):
            await client.durable()
        recorder.end()
        recorder.answers = True
        await kept
    assert recorder.names == ["user:ada", "user:bob"]
    await client.durable()
    facts.happened(signed_in("user:dot"))
    await client.durable()
    assert client.missed == 1


@on_trial
async def test_questions_fail_where_the_recorder_ends(
    client: RecorderClient, facts: FactStream, recorder: Recorder
) -> None:
    await client.ready()
    recorder.answers = False
    asking = asyncio.ensure_future(client.head())
    await asyncio.sleep(0.02)
    recorder.end()
    with pytest.raises(NotRecordedError, match="has ended"):
        await asking
    recorder.answers = True


@on_trial
async def test_records_are_told_like_facts_in_their_order_and_once(
    client: RecorderClient, facts: FactStream, recorder: Recorder
) -> None:
    await client.ready()
    recorder.answers = False
    for n in range(300):
        client.record(protocol.LEFT, b"x" * 5000)
        facts.happened(signed_in(f"user:{n}"))
    waiting = asyncio.ensure_future(client.durable())
    await asyncio.sleep(0.05)
    recorder.end()
    recorder.answers = True
    await waiting
    assert recorder.names == [name for n in range(300) for name in (protocol.LEFT, f"user:{n}")]
    assert recorder.messages >= 3, "each is of bounded size"


@on_trial
async def test_records_wait_for_company_and_a_fact_takes_them_along(
    client: RecorderClient, facts: FactStream, recorder: Recorder
) -> None:
    await client.ready()
    with clock_stands(recorder.loop):
        for _ in range(10):
            client.record(protocol.LEFT, b"x")
            await asyncio.sleep(0)
        assert len(recorder.taken) == 0
    await until(lambda: len(recorder.taken) == 10)
    assert recorder.messages == 1
    client.record(protocol.LEFT, b"x")
    facts.happened(signed_in("user:ada"))
    await until(lambda: len(recorder.taken) == 12)
    assert recorder.messages == 2


@on_trial
async def test_an_acknowledgement_does_not_send_records_that_wait_for_company(
    client: RecorderClient, facts: FactStream, recorder: Recorder
) -> None:
    await client.ready()
    with clock_stands(recorder.loop):
        client.record(protocol.LEFT, b"x")
        durable = asyncio.ensure_future(client.durable())
        await asyncio.sleep(0)  # it has been sent, and is not acknowledged
        client.record(protocol.LEFT, b"x")
        await durable
        assert (recorder.messages, client.waiting) == (1, 1)
        client.record(protocol.LEFT, b"x")
    await until(lambda: len(recorder.taken) == 3)
    assert recorder.messages == 2


@on_trial
async def test_what_cannot_be_kept_of_records_is_counted(
    client: RecorderClient, facts: FactStream, recorder: Recorder
) -> None:
    """It is told for a while, and keeps nothing from being served: it is over."""
    await client.ready()
    assert client.losses() == ""
    recorder.lost = 3
    client.record(protocol.LEFT, b"x")
    await client.durable()
    assert client.lost == 3
    assert client.losses() == "3 records could not be kept."
    assert client.trouble() == ""
    client.require()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client_module, "LOSSES_SECONDS", -1.0)
        assert client.losses() == "", "after an hour"
    client.lost += 1
    assert client.losses() == "4 records could not be kept."


@on_trial
async def test_bytes_that_wait_are_bounded_and_denials_leave_room(
    client: RecorderClient, facts: FactStream, recorder: Recorder
) -> None:
    await client.ready()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("casemate.recorder.client.MAX_BUFFERED_BYTES", 1000)
        recorder.answers = False
        for _ in range(5):
            client.record(protocol.DENIED, b"d" * 100, share=0.25)
        assert client.lost == 2
        for _ in range(2):
            client.record(protocol.LEFT, b"x" * 100)
        with pytest.raises(NotRecordedError, match="5 facts wait"):
            client.require()
        for _ in range(9):
            client.record(protocol.LEFT, b"x" * 100)
        assert client.lost == 2 + 4
        recorder.end()
        recorder.answers = True
        await until(lambda: len(recorder.taken) == 10)
        await until(lambda: not client.trouble())


@on_trial
async def test_a_recorder_that_is_back_and_keeps_nothing_lets_nothing_begin(
    client: RecorderClient, facts: FactStream, recorder: Recorder
) -> None:
    await client.ready()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("casemate.recorder.client.GONE_SECONDS", 0.05)
        recorder.failure = Failure("RecordsFullError", "The disk is full.", None)
        client.record(protocol.LEFT, b"x")
        await until(lambda: client.problem)
        recorder.end()
        await until(lambda: recorder.starts == 2)
        await until(client.trouble)
        assert client.trouble() == "The disk is full."
        recorder.failure = None
        recorder.end()
        await until(lambda: not client.trouble())
    assert recorder.names == [protocol.LEFT]


@on_trial
async def test_what_is_told_of_a_call_stands_in_the_place_of_that_it_began(
    client: RecorderClient, facts: FactStream, recorder: Recorder
) -> None:
    def kinds() -> list[str]:
        return [each.told.kind for each in outstanding.read(client._outstanding._descriptor)]

    await client.ready()
    client.begin("i1", b"began")
    client.begin("i1", b"and no second time")
    assert kinds() == [protocol.BEGUN] and client.expected("i1") == b""
    assert client.expect("i1", protocol.ENDED, b"ended") and client.expected("i1") == b"ended"
    assert kinds() == [protocol.ENDED]
    client.begin("i2", b"began")
    too_large = bytes(outstanding.MAX_BODY * outstanding.MOST_SLOTS)
    assert not client.expect("i2", protocol.ENDED, too_large)
    assert sorted(kinds()) == [protocol.BEGUN, protocol.ENDED], "what was known counts on"
    for id in ("i1", "i2"):
        client.record(protocol.ENDED, b"ended", held=id)
    assert kinds() == [protocol.ENDED] * 2
    await client.durable()
    assert kinds() == [] and not client._held


@on_trial
async def test_a_fact_is_left_for_the_case_of_a_kill_as_long_as_a_block_lasts(
    client: RecorderClient, facts: FactStream, recorder: Recorder
) -> None:
    def left() -> list[tuple[str, str]]:
        found = [each.told for each in outstanding.read(client._outstanding._descriptor)]
        return [(told.kind, msgspec.msgpack.decode(told.fact)["by"]) for told in found]

    await client.ready()
    with client.unfinished(signed_in("ada")) as instead:
        assert left() == [("SignedIn", "ada")]
        instead(signed_in("eve"))
        assert left() == [("SignedIn", "eve")]
    assert left() == []
    client._outstanding._next = outstanding.SLOTS + 1
    client._outstanding._free.clear()
    with client.unfinished(signed_in("ada")) as instead:
        instead(signed_in("eve"))
        assert left() == []
    await client.durable()
    assert recorder.names == []


@on_trial
async def test_while_the_recorder_is_gone_and_no_copy_can_be_kept_nothing_begins(
    client: RecorderClient, facts: FactStream, recorder: Recorder
) -> None:
    await client.ready()
    client._outstanding._next = outstanding.SLOTS + 1
    client._outstanding._free.clear()
    assert client.trouble() == ""  # the recorder has what is told
    recorder.answers = False
    recorder.end()
    await until(lambda: "no memory left" in client.trouble())


def raw(answer: bytes) -> Callable[[int], bytes]:
    return lambda number: msgspec.msgpack.encode(Reply(number, None, msgspec.Raw(answer)))


NO_ANSWERS: dict[str, Callable[[int], bytes]] = {
    "a text": lambda n: reply(n, "none"),
    "a count below zero": lambda n: reply(n, -5),
    "a count without a bound": lambda n: reply(n, 1 << 62),
    "a head": lambda n: reply(n, protocol.Head("", "key", 3)),
    "nested deep": raw(b"\x91" * 30_000 + b"\xc0"),
    "no message": lambda _: b"\xc1",
    "no number": lambda _: msgspec.msgpack.encode(["1", None, None]),
    "a number below zero": lambda _: msgspec.msgpack.encode([-1, None, None]),
}


@pytest.mark.parametrize("instead", NO_ANSWERS.values(), ids=NO_ANSWERS)
def test_what_is_answered_with_nonsense_is_told_to_the_next_recorder(
    instead: Callable[[int], bytes],
) -> None:
    """It had been taken for acknowledged in part: it was lost, and who waited for it waited on."""

    @on_trial
    async def scene(client: RecorderClient, facts: FactStream, recorder: Recorder) -> None:
        await client.ready()
        recorder.instead = instead
        facts.happened(signed_in("user:ada"))
        await asyncio.wait_for(client.durable(), 8)
        assert recorder.names == ["user:ada"]
        assert (recorder.starts, client.lost, client.waiting) == (2, 0, 0)

    scene()


@on_trial
async def test_what_is_answered_out_of_turn_is_told_to_the_next_recorder(
    client: RecorderClient, facts: FactStream, recorder: Recorder
) -> None:
    await client.ready()
    recorder.answers = False
    facts.happened(signed_in("user:ada"))
    client._flush()
    facts.happened(signed_in("user:bob"))
    client._flush()
    first, second = client._sent
    recorder.answers = True
    assert recorder.connection is not None
    recorder.connection.send(reply(second.n, None))
    await asyncio.wait_for(client.durable(), 8)
    assert recorder.names == ["user:ada", "user:bob"]
    assert recorder.starts == 2 and first.n < second.n


@on_trial
async def test_a_refusal_that_comes_too_late_is_no_word_about_what_is_told(
    client: RecorderClient, facts: FactStream, recorder: Recorder
) -> None:
    """A question that nobody waits for any more had failed a sign-in that waited to be durable."""
    await client.ready()
    recorder.answers = False
    facts.happened(signed_in("user:ada"))
    waiting = asyncio.ensure_future(client.durable())
    await asyncio.sleep(0.05)
    assert recorder.connection is not None
    failure = protocol.ERRORS.failure(NotRecordedError("You asked for too much."))
    recorder.connection.send(refusal(4_000_000_000, failure))
    await asyncio.sleep(0.05)
    assert not waiting.done() and not client.problem
    recorder.answers = True
    recorder.end()
    await waiting
    assert recorder.names == ["user:ada"]


@on_trial
async def test_what_is_not_kept_in_time_is_left_to_the_next_recorder(
    client: RecorderClient, facts: FactStream, recorder: Recorder
) -> None:
    """A gateway without vault waited 10 s for a recorder that cannot start without one."""
    await client.ready()
    recorder.answers = False
    facts.happened(signed_in("user:ada"))
    begun = recorder.loop.time()
    await client.close(0.05)
    assert recorder.loop.time() - begun < DURABLE_SECONDS / 2
