"""What every recorder refuses is put aside after some of them; what follows it is kept."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence

import msgspec
import pytest
from test_recorder_client import Recorder, signed_in

from casemate.child.calls import framed, refusal, reply
from casemate.child.failure import Failure
from casemate.facts import FactStream
from casemate.recorder import outstanding, protocol, refused
from casemate.recorder.client import RecorderClient
from casemate.recorder.errors import NotRecordedError, RecorderInputError
from casemate.recorder.protocol import Take, Told
from support.monitor import running
from support.outstanding import new_memory
from support.recorder_world import World, told
from support.waiting import until

REFUSED = Failure("RecorderInputError", "This is no record: it is bad.", None)


class Refusing(Recorder):
    """Keeps what came together or nothing: `refuses` tells what is wrong. Ends after a refusal."""

    def __init__(self, failure: Failure = REFUSED) -> None:
        super().__init__()
        self.refuses: Callable[[str], bool] = lambda name: "bad" in name
        self.with_failure = failure
        self.waiting: list[Take] = []
        self.sizes: list[int] = []

    def _received(self, body: bytes) -> None:
        request = protocol.decode_request(body)
        if isinstance(request, Take):
            self.waiting.append(request)
            if len(self.waiting) == 1:
                self.loop.call_soon(self._keep_all)
        elif self.connection is not None:
            self.connection.send(reply(request.n, protocol.Head("", "key", len(self.taken))))

    def _keep_all(self) -> None:
        batches, self.waiting = self.waiting, []
        if self.connection is None:
            return
        self.sizes.append(sum(len(batch.facts) for batch in batches))
        names = [name_of(each) for batch in batches for each in batch.facts]
        if any(map(self.refuses, names)):
            for batch in batches:
                self.connection.send(refusal(batch.n, self.with_failure))
            self.loop.call_later(0.01, self.end)
            return
        for batch in batches:
            for number, each in enumerate(batch.facts, batch.first):
                self.taken.setdefault((batch.session, number), name_of(each))
            self.connection.send(reply(batch.n, None))


def name_of(each: Told) -> str:
    if each.kind in protocol.RECORD_KINDS:
        return each.fact[:80].decode()
    return str(msgspec.msgpack.decode(each.fact).get("by", ""))


def tried(
    run: Callable[[RecorderClient, FactStream, Refusing, int], Awaitable[None]],
) -> Callable[[], None]:
    def test() -> None:
        async def main() -> None:
            recorder, facts, memory = Refusing(), FactStream(), new_memory()
            kept = os.dup(memory)
            client = RecorderClient(recorder.starter, recorder.loop, facts, memory)
            await client.ready()
            await run(client, facts, recorder, kept)
            recorder.refuses = lambda _: False
            await client.close()
            recorder.end()
            os.close(kept)
            await asyncio.sleep(0)
            recorder.loop.remove_reader(recorder.supervisor.fileno())
            recorder.supervisor.close()

        asyncio.run(main())

    return test


@tried
async def test_one_that_is_refused_holds_nothing_up(
    client: RecorderClient, facts: FactStream, recorder: Refusing, memory: int
) -> None:
    """It was sent to each new recorder again, for ever, and all that followed with it."""
    for n in range(700):
        facts.happened(signed_in("user:bad" if n == 300 else f"user:{n}"))
    expected = [f"user:{n}" for n in range(700) if n != 300]
    with pytest.raises(NotRecordedError, match="it is bad"):
        await client.durable()
    await until(lambda: len(recorder.taken) == 699 and client.waiting == 0)
    assert recorder.names == expected, "in order, each once"
    assert recorder.starts == refused.MAX_REFUSALS + 1
    assert len(client.aside) == 1 and client.waiting == 0
    assert not client.trouble(), "calls are served again"
    assert client.aside.problem().startswith("1 fact or record was refused by every recorder")
    assert not client.losses(), "the node serves"
    facts.happened(signed_in("user:late"))
    await client.durable()
    assert recorder.names == [*expected, "user:late"]
    assert recorder.starts == refused.MAX_REFUSALS + 1


@tried
async def test_what_comes_meanwhile_is_no_company_for_it(
    client: RecorderClient, facts: FactStream, recorder: Refusing, memory: int
) -> None:
    facts.happened(signed_in("user:bad"))
    client.record(protocol.LEFT, b"bad record")

    async def more() -> None:
        for n in range(400):
            facts.happened(signed_in(f"user:{n}"))
            await asyncio.sleep(0.005)

    await more()
    await until(lambda: len(recorder.taken) == 400)
    assert recorder.names == [f"user:{n}" for n in range(400)]
    assert len(client.aside) == 2
    assert recorder.starts <= 2 * refused.MAX_REFUSALS + 1


@tried
async def test_who_told_what_was_put_aside_is_not_said_that_it_is_durable(
    client: RecorderClient, facts: FactStream, recorder: Refusing, memory: int
) -> None:
    facts.happened(signed_in("user:bad"))
    await until(lambda: len(client.aside) == 1)
    with pytest.raises(NotRecordedError):
        await client.durable()


@tried
async def test_what_was_put_aside_is_kept_for_the_recorder_of_the_next_gateway(
    client: RecorderClient, facts: FactStream, recorder: Refusing, memory: int
) -> None:
    client.record(protocol.LEFT, b"bad record")
    facts.happened(signed_in("user:ada"))
    await until(lambda: len(client.aside) == 1 and client.waiting == 0)
    [found] = outstanding.read(memory)
    assert found.number == outstanding.NO_NUMBER
    assert found.told == Told(protocol.LEFT, b"bad record")


@tried
async def test_what_is_put_aside_is_bounded_and_then_nothing_begins(
    client: RecorderClient, facts: FactStream, recorder: Refusing, memory: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(refused, "MAX_ASIDE_BYTES", 250)
        patch.setattr("casemate.recorder.client.GONE_SECONDS", 0.2)
        for _ in range(3):
            client.record(protocol.LEFT, b"bad" + bytes(97))
        await until(lambda: len(client.aside) == 2 and client.trouble())
        starts = recorder.starts
        await until(lambda: recorder.starts >= starts + 2)
        assert len(client.aside) == 2 and client.waiting == 1
        assert client.trouble(), "what is refused is not told away"
        recorder.refuses = lambda _: False
        await until(lambda: not client.trouble())
    assert len(recorder.taken) == 1


@tried
async def test_a_recorder_that_can_keep_nothing_has_refused_nothing(
    client: RecorderClient, facts: FactStream, recorder: Refusing, memory: int
) -> None:
    recorder.with_failure = Failure("JournalWriteError", "No space left on device", None)
    facts.happened(signed_in("user:bad"))
    await until(lambda: recorder.starts > refused.MAX_REFUSALS + 1)
    assert len(client.aside) == 0 and client.waiting == 1
    recorder.refuses = lambda _: False
    await until(lambda: client.waiting == 0)
    assert recorder.names == ["user:bad"]


@tried
async def test_what_is_larger_than_any_recorder_takes_is_counted_and_not_sent(
    client: RecorderClient, facts: FactStream, recorder: Refusing, memory: int
) -> None:
    client.record(protocol.LEFT, bytes(protocol.MAX_RECORD_BYTES + 1))
    facts.happened(signed_in("user:ada"))
    await client.durable()
    assert client.lost == 1 and recorder.names == ["user:ada"] and recorder.starts == 1


@running
async def test_what_nobody_thought_of_is_refused_too(
    tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A recorder that ends without a word leaves nobody to tell what it ended of."""
    world = await World(tmp_path).begin()

    keeping = world.recorder._keeper.keep

    async def keep(batches: Sequence[Take]) -> None:
        if batches[0].facts[0].kind == "SignedIn":
            raise KeyError("a name of theirs")
        await keeping(batches)

    monkeypatch.setattr(world.recorder._keeper, "keep", keep)
    world.gateway.send(framed(Take(1, bytes(8), 0, (told(signed_in("user:ada")),))))
    answer = await world.answer(world.gateway)
    error = protocol.ERRORS.error(answer.failure)
    assert isinstance(error, RecorderInputError)
    assert error.message == "What came ends in a KeyError."
    await world.close()
