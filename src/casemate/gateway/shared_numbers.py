"""What functions do on all nodes that share their state: asked for when somebody wants to see it.

Then, and for some seconds, each node leaves its counts where the others reach them, sealed. A node
that nobody asks writes nothing, and what is missing is said.
"""

from __future__ import annotations

import asyncio
import logging
import time
import zlib
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

import msgspec

from casemate.background import Background
from casemate.decoding import DECODING_ERRORS, decodable
from casemate.metrics.summing import summed
from casemate.model.errors import CasemateError, NotFoundError
from casemate.model.metrics import Metrics
from casemate.model.nodes import MAX_CLOCK_OFF, NodeState
from casemate.nodes import Among, Part
from casemate.store.told_numbers import MAX_CONTENT_BYTES, NumberRows, ToldNumbers
from casemate.vault import VaultClient, envelope
from casemate.vault.interface import DataKey, Purpose

TELL_SECONDS = 1.0
WANTED_SECONDS = 20.0
"""For so long after somebody has asked each node tells its counts."""
WANT_SECONDS = 8.0
"""How often it is said that they are wanted, while somebody asks."""
FRESH_SECONDS = 10.0
"""What is older is no count of now."""
FIRST_SECONDS = 2.0
"""How long who asks first waits for the others."""
MAX_PLAIN_BYTES = 4 << 20
"""Of what one node tells, read."""
_OLDEST_SECONDS = FRESH_SECONDS + 2 * MAX_CLOCK_OFF
"""By the clock of who has counted: what was told earlier may have been put there again."""
_HOLDS_SECONDS = 0.5
"""Who asks within this sees the same of the others."""
_LOOK_SECONDS = 0.2
_ASK_SECONDS = 3.0
_SLOW_BYTES = MAX_CONTENT_BYTES // 8
"""What is that large is told every second second, and so on."""
_VERSION_BYTES = 4
_log = logging.getLogger(__name__)

Own = Callable[[str | None, str | None], Awaitable[Metrics]]


class _Seen(NamedTuple):
    """What was seen of the others."""

    at: float
    found: tuple[Metrics, ...]
    missing: tuple[str, ...]


class SharedNumbers:
    """Of one gateway. On its event loop."""

    def __init__(
        self, nodes: Among, vault: VaultClient, own: Own, rows: NumberRows | None, topic: str
    ) -> None:
        """Tell what `own` counts by `rows`, under a key of `vault`; None: there are no others.

        `topic` is what is followed: who wants to see something has changed it.
        """
        self._nodes = nodes
        self._vault = vault
        self._own = own
        self._rows = rows
        self._topic = topic
        self._wanted = asyncio.Event()
        self._wanted_until = float("-inf")
        self._said_at = float("-inf")
        self._seen = _Seen(float("-inf"), (), ())
        self._looking = Background()
        self._telling = Background()
        self._keys: dict[int, DataKey] = {}
        self._fault = ""

    def start(self) -> None:
        """Tell from now on, whenever that is wanted."""
        if self._rows is not None:
            self._telling.start(self._run(self._rows))

    async def close(self) -> None:
        """Tell no more."""
        await self._telling.close()
        await self._looking.close()

    def parts(self) -> tuple[Part, ...]:
        """Return what is followed: that numbers are wanted."""
        if self._rows is None:
            return ()
        # Nothing is told here: a part that is slow, or fails, would have the node know less.
        return (Part(name="wanted numbers", topics=frozenset({self._topic}), reload=self._want),)

    async def _want(self) -> None:
        self._wanted_until = time.monotonic() + WANTED_SECONDS
        self._wanted.set()

    async def metrics(
        self, project: str | None, function: str | None, node: str | None = None
    ) -> Metrics:
        """Return the numbers of all functions, of a project's or of one; of all nodes or of one.

        Raises NotFoundError for a node that is not there, or has told nothing.
        """
        mine = await self._own(project, function)
        if self._rows is None or node == self._nodes.name:
            if node not in (None, self._nodes.name):
                raise _not_there(node)
            return mine
        await self._look(self._rows)
        seen = self._seen
        found = [_chosen(each, project, function) for each in seen.found]
        if node is not None:
            for each in found:
                if [one.node for one in each.nodes] == [node]:
                    return each
            raise _not_there(node)
        return summed([mine, *found], seen.missing)

    async def _look(self, rows: NumberRows) -> None:
        """See what the others tell, unless that was seen just now; who asks meanwhile waits."""
        if time.monotonic() - self._seen.at < _HOLDS_SECONDS:
            return
        await asyncio.shield(self._looking.shared(lambda: self._see(rows)))

    async def _see(self, rows: NumberRows) -> None:
        try:
            async with asyncio.timeout(FIRST_SECONDS + _ASK_SECONDS):
                self._seen = await self._asked(rows)
        except (CasemateError, TimeoutError) as error:
            _log.warning("what other nodes count is not known: %s", error or "it takes too long")
            names = {one.node for each in self._seen.found for one in each.nodes}
            missing = tuple(sorted(names.union(self._seen.missing))) or ("all others",)
            self._seen = _Seen(time.monotonic(), (), missing)

    async def _asked(self, rows: NumberRows) -> _Seen:
        now = time.monotonic()
        is_first = now - self._said_at > WANTED_SECONDS
        if now - self._said_at > WANT_SECONDS:
            self._said_at = now
            await rows.want()
        deadline = now + (FIRST_SECONDS if is_first else 0.0)
        while True:
            there = {
                one.id: one.name
                for one in await self._nodes.others() or ()
                if one.state is not NodeState.GONE and one.id != self._nodes.membership.id
            }
            told = await rows.told(FRESH_SECONDS) if there else ()
            found = {one.node: one for one in told if one.node in there}
            if len(found) == len(there) or time.monotonic() >= deadline:
                break
            await asyncio.sleep(_LOOK_SECONDS)
        read = await self._read(list(found.values()))
        missing = tuple(name for id, name in there.items() if id not in read)
        return _Seen(time.monotonic(), tuple(read.values()), missing)

    # -- sealed ------------------------------------------------------------------------------------

    async def _read(self, told: Sequence[ToldNumbers]) -> dict[str, Metrics]:
        """Return what can be read, by node."""
        read: dict[str, Metrics] = {}
        for one in told:
            try:
                key = await self._key(int.from_bytes(one.content[:_VERSION_BYTES], "big"))
                # Some megabytes, which the loop does not wait for.
                found = await asyncio.to_thread(_opened, key, one)
            except (CasemateError, zlib.error, ValueError, *DECODING_ERRORS) as error:
                _log.warning("what the node %s counts cannot be read: %s", one.node, error)
                continue
            if abs(time.time() - found.at) <= _OLDEST_SECONDS:
                read[one.node] = found
        return read

    async def _key(self, version: int) -> DataKey:
        key = self._keys.get(version)
        if key is None:
            key = await self._vault.data_key("", Purpose.NUMBERS, version)
            self._keys[version] = key
        return key

    # -- told --------------------------------------------------------------------------------------

    async def _run(self, rows: NumberRows) -> None:
        while True:
            if time.monotonic() >= self._wanted_until:
                self._wanted.clear()
                await self._wanted.wait()
            pause = TELL_SECONDS
            try:
                async with asyncio.timeout(_ASK_SECONDS):
                    pause += await self._tell(rows)
                self._fault = ""
            except Exception as error:  # noqa: BLE001 - they are told again, if they are wanted
                if not self._fault:
                    _log.warning("what this node counts is not told to others: %s", error)
                self._fault = str(error) or type(error).__name__
            await asyncio.sleep(pause)

    async def _tell(self, rows: NumberRows) -> float:
        """Tell once; return by how many seconds the next time is later than it might be."""
        told = await self._own(None, None)
        key = await self._vault.data_key("", Purpose.NUMBERS)
        node = self._nodes.membership.id
        content = await asyncio.to_thread(_sealed, key, node, told)
        await rows.keep(node, content)
        return float(len(content) // _SLOW_BYTES)


def _about(node: str, version: int) -> bytes:
    return envelope.context("numbers of a node", node, version)


def _sealed(key: DataKey, node: str, told: Metrics) -> bytes:
    plain = msgspec.msgpack.encode(told)
    if len(plain) > MAX_PLAIN_BYTES:
        raise ValueError(f"they are {len(plain)} bytes, and {MAX_PLAIN_BYTES} are the most")
    sealed = envelope.encrypt(key.key, zlib.compress(plain, 1), _about(node, key.version))
    return key.version.to_bytes(_VERSION_BYTES, "big") + sealed


def _opened(key: DataKey, told: ToldNumbers) -> Metrics:
    about = _about(told.node, key.version)
    reading = zlib.decompressobj()
    plain = reading.decompress(
        envelope.decrypt(key.key, told.content[_VERSION_BYTES:], about), MAX_PLAIN_BYTES
    )
    if not reading.eof:
        raise ValueError("it is longer than it may be, or cut off")
    return msgspec.msgpack.decode(plain, type=decodable(Metrics))


def _chosen(found: Metrics, project: str | None, function: str | None) -> Metrics:
    if project is None:
        return found
    functions = tuple(
        one
        for one in found.functions
        if one.project == project and function in (None, one.function)
    )
    return msgspec.structs.replace(found, functions=functions, others=None)


def _not_there(node: str | None) -> NotFoundError:
    return NotFoundError(
        f"There is no node {(node or '')[:80]!r} that tells what it counts.",
        next_step="`casemate nodes ls` lists them.",
    )
