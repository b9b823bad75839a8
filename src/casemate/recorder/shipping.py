"""Tells the recorders of other nodes what this one keeps, and keeps what they tell.

The gateway carries the batches, to and from where all nodes can reach them. It can hold them back;
what it changes is found. What is wrong with another node's is told in the journal of this one, and
what comes after it is kept nevertheless: records are there to be read.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from casemate.child.calls import decode_reply
from casemate.decoding import DECODING_ERRORS, decodable
from casemate.journal.checkpoint import Checkpoint, opened_checkpoint, read_checkpoint
from casemate.journal.errors import JournalDamagedError, JournalInputError
from casemate.journal.merkle import proves_consistency
from casemate.journal.note import NoteKey, parse_key
from casemate.journal.reader import Reader
from casemate.journal.writer import Writer
from casemate.model.errors import NotFoundError
from casemate.model.facts import Fact, NodeJournalSeen, NodeRecordsDoubtful
from casemate.recorder import protocol
from casemate.recorder.errors import RecorderError, RecorderInputError
from casemate.recorder.noted import Noted
from casemate.recorder.own_facts import OwnFacts
from casemate.recorder.protocol import Take
from casemate.recorder.records import columns, received, shipping
from casemate.recorder.records.database import RecordsDatabase
from casemate.recorder.records.received import Other
from casemate.recorder.records.shipping import Draft, Sealed, Waiting
from casemate.recorder.search import Search
from casemate.recorder.shipment import (
    FIRST,
    MAX_SHIPPED_BYTES,
    Body,
    Section,
    Shipped,
    digest_of,
    new_stream,
    read_body,
    seal,
    unsealed,
)
from casemate.recorder.told_events import (
    TABLE,
    Unsent,
    facts_of,
    first_of,
    rows_of,
    session_of,
)
from casemate.vault.errors import DecryptionError, VaultInputError
from casemate.vault.recorder_client import RecorderVault

KEPT_SECONDS: Final = 8 * 86_400.0
"""How long batches are stored for the others."""
_NEARLY_KEPT: Final = KEPT_SECONDS - 86_400.0
SEEN_SECONDS: Final = 600.0
"""How often the journal says how far that of another node is."""
SAME_NAME_SECONDS: Final = 60.0
"""A node that is as long silent may have been made anew, under its name."""
_DOUBT_SECONDS: Final = 60.0
"""How often the same doubt about a node is told."""
_ERASED: Final = (NotFoundError, DecryptionError, VaultInputError)
_log = logging.getLogger("casemate.recorder")

_Proof = tuple[str, int, tuple[bytes, ...]]
"""A signed head, its size, and that it goes on from the one before."""
TakeOwn = Callable[[Take, Callable[[bytes], None]], bool]


class Journal(NamedTuple):
    """That of this node."""

    folder: Path
    key: NoteKey
    writer: Writer
    search: Search
    noted: Noted
    """Where entries are that other nodes are told of."""


class Shipping:
    """One of a recorder."""

    def __init__(
        self, database: RecordsDatabase, vault: RecorderVault, journal: Journal, take: TakeOwn
    ) -> None:
        """Tell what is in `database`; `take` has facts kept, False where it cannot now."""
        self._database = database
        self._vault = vault
        self._journal = journal
        self._take = take
        self._turn = asyncio.Lock()
        self._node = ""
        self._own = OwnFacts()
        self._unsent: Unsent | None = None
        self._proven_head: tuple[tuple[Checkpoint, int], _Proof] | None = None
        self._seen: dict[str, float] = {}
        self._doubted: dict[tuple[str, str], float] = {}

    async def result(
        self, request: protocol.Ship | protocol.Receive | protocol.GetPlaces
    ) -> protocol.Shipment | protocol.Place | tuple[protocol.Place, ...] | None:
        """Do what the gateway asks for, one after the other. Raises CasemateError."""
        async with self._turn:
            if not self._node:
                self._node = await self._vault.node()
            if not self._node:
                raise RecorderInputError("This node shares its state with no other.")
            match request:
                case protocol.Ship():
                    return await self._ship(request)
                case protocol.Receive():
                    return await self._receive(request)
                case _:
                    return tuple(
                        protocol.Place(
                            node=one.id,
                            stream=one.stream,
                            number=one.place,
                            own=one.number == 0,
                            name=one.name,
                            until=one.until,
                            entries=_entries(one),
                            problem=one.problem,
                            problem_at=one.problem_at,
                        )
                        for one in await self._database.nodes()
                    )

    # -- what this node tells --------------------------------------------------------------------

    async def _ship(self, request: protocol.Ship) -> protocol.Shipment | None:
        if request.anew:
            await self._begin_anew(request.name)
            await self._doubt(request.name, "it was put back: others have read more of its records")
        size = self._journal.writer.size
        unsent = await self._looked(size)
        most = shipping.MAX_ROWS
        while True:
            found = await self._database.outgoing(
                request.name,
                self._node,
                told=bool(unsent),
                stored=request.stored,
                most=most,
            )
            if found is None:
                return None
            waiting, more = found.waiting, True
            if waiting is None and found.draft is not None:
                more = found.draft.more or unsent.taken()[1] < size
                waiting = await self._claimed(request.name, found.draft, unsent)
            if waiting is not None:
                return protocol.Shipment(self._node, *waiting, more)
            if most == 1:
                raise RecorderError("A batch for other nodes is larger than one may be.")
            most = max(most // 8, 1)

    async def _begin_anew(self, name: str) -> None:
        """Begin another stream, with what waits to be stored: sealed for that."""
        waiting = await self._database.waiting()
        stream = new_stream(time.time())
        if waiting is None:
            await self._database.begin_stream(stream, None)
            return
        body = read_body(waiting.content)
        texts = {}
        place = body.node, body.stream, body.number
        for section in body.sections:
            try:
                key = await self._vault.entry_key(section.project, section.version)
                texts[section.project] = unsealed(key.key, place, section)
            except _ERASED:
                continue
            except RecorderInputError as error:
                # The keys are others: it would never be told, and all after it had to wait.
                _log.error("records that waited for other nodes are not told: %s", error)
        draft = Draft(stream, 1, FIRST, 0.0, body.made_at, body.until, {}, 0, {}, [], more=True)
        told_to = await self._database.entries_told()
        sealed = await self._sealed(name, draft, texts, told_to)
        await self._database.begin_stream(stream, (draft, sealed))

    async def _looked(self, size: int) -> Unsent:
        """Return what of a journal of this size is to be told, once it was looked for."""
        if self._unsent is None:
            place = await self._database.entries_told()
            self._unsent = Unsent(self._journal.search, self._journal.noted, place, size)
        await self._unsent.look(size)
        return self._unsent

    async def _claimed(self, name: str, draft: Draft, unsent: Unsent) -> Waiting | None:
        """Return a batch that is sealed and claimed; None: it is larger than one may be."""
        tables = {project: dict(parts) for project, parts in draft.parts.items()}
        told, told_to = unsent.taken()
        for project, rows in rows_of(told).items():
            tables.setdefault(project, {})[TABLE] = rows
        texts: dict[str, bytes] = {}
        for project, parts in tables.items():
            if parts:
                texts[project] = columns.encode(parts)
                await asyncio.sleep(0)  # others have their turn: facts wait to be durable
        sealed = await self._sealed(name, draft, texts, told_to)
        if len(sealed.content) > MAX_SHIPPED_BYTES:
            return None
        if not await self._database.claim(draft, sealed):
            raise RecorderError("A batch for other nodes was made twice.")
        unsent.sent(len(told))
        return Waiting(draft.stream, draft.number, sealed.content)

    async def _sealed(
        self, name: str, draft: Draft, texts: Mapping[str, bytes], told_to: int
    ) -> Sealed:
        place = self._node, draft.stream, draft.number
        sections: list[Section] = []
        for project, text in texts.items():
            try:
                key = await self._vault.entry_key(project)
            except NotFoundError:
                continue  # erased since: nobody is to read what was of it
            sections.append(Section(project, key.version, seal(key.key, place, project, text)))
            await asyncio.sleep(0)  # others have their turn: facts wait to be durable
        note, size, proof = await self._proof(draft.proof_of)
        body = msgspec.msgpack.encode(
            Body(
                *place,
                draft.previous,
                draft.previous_at,
                draft.made_at,
                draft.until,
                name,
                self._journal.key.text,
                note,
                draft.proof_of,
                proof,
                tuple(sections),
            )
        )
        digest = digest_of(body)
        content = msgspec.msgpack.encode(Shipped(body, await self._vault.attest(digest)))
        return Sealed(content, digest, size, told_to)

    async def _proof(self, proof_of: int) -> _Proof:
        """Return what `_head` does, which is looked for once where nothing new was signed."""
        wanted = self._journal.writer.head, proof_of
        if self._proven_head is not None and self._proven_head[0] == wanted:
            return self._proven_head[1]
        found = await asyncio.to_thread(self._head, proof_of)
        self._proven_head = (wanted, found) if found[0] else None
        return found

    def _head(self, proof_of: int) -> _Proof:
        """Return the newest head, its size, and the proof that it goes on from the one before."""
        try:
            if not self._journal.writer.head.size:
                return "", proof_of, ()
            reader = Reader(self._journal.folder, self._journal.key)
            if proof_of > reader.head.size:
                return reader.note, reader.head.size, ()  # it was put back: the others see it
            return reader.note, reader.head.size, tuple(reader.consistency(proof_of))
        except JournalDamagedError as error:
            # As a writer may put wider tiles in place of those of this head: with the next one.
            _log.warning("the head of the journal is told later: %s", error)
            return "", proof_of, ()

    # -- what others tell ------------------------------------------------------------------------

    async def _receive(self, found: protocol.Receive) -> protocol.Place:
        known = {one.id: one for one in await self._database.nodes()}
        own = found.node == self._node
        before = known.get(found.node) or Other(0, found.node, "", b"", 0, b"", 0, "", "", "", 0)
        had = found.stream < before.stream or (
            found.stream == before.stream and found.number <= before.place
        )
        if own or had:
            return protocol.Place(found.node, before.stream, before.place, own)
        body = await self._proven(found)
        if body is None:
            return await self._pass_over(found, before)
        doubts: list[str] = []
        if found.stream != before.stream:
            if before.stream:
                doubts.append("it has begun its records anew")
            before = msgspec.structs.replace(before, stream=found.stream, place=0, chain=FIRST)
        doubts += self._out_of_order(body, before)
        head, others = _compared(body, before)
        doubts += others
        node = Other(
            0,
            body.node,
            body.name,
            body.stream,
            body.number,
            digest_of(msgspec.msgpack.decode(found.content, type=decodable(Shipped)).body),
            body.until,
            body.journal,
            head,
            before.problem,
            before.problem_at,
        )
        tables, unread = await self._opened(body)
        doubts += unread
        name, others = _named(body, known.values())
        doubts += [*others, *await self._tell_events(name, body, tables)]
        node = msgspec.structs.replace(node, name=name)
        if doubts:
            node = msgspec.structs.replace(node, problem="; ".join(doubts), problem_at=time.time())
        if not await self._database.receive(node, tables):
            doubts.append(f"the rows of batch {body.number} cannot be kept")
        for doubt in doubts:
            await self._doubt(name, doubt)
        await self._tell_seen(node)
        return protocol.Place(node.id, node.stream, node.place)

    async def _proven(self, found: protocol.Receive) -> Body | None:
        """Return a batch that its node's recorder has made, in this place; None: this is none."""
        try:
            shipped = msgspec.msgpack.decode(found.content, type=decodable(Shipped))
            body = msgspec.msgpack.decode(shipped.body, type=decodable(Body))
        except DECODING_ERRORS:
            return None
        if (body.node, body.stream, body.number) != (found.node, found.stream, found.number):
            return None
        attested = await self._vault.is_attested(body.node, digest_of(shipped.body), shipped.code)
        return body if attested else None

    async def _pass_over(self, found: protocol.Receive, before: Other) -> protocol.Place:
        """Go on behind what is no batch of that node, where it is the next one."""
        doubt = f"what is stored as its batch {found.number} is not what it has stored"
        await self._doubt(before.name or found.node, doubt)
        place = before.place
        if found.stream == before.stream and found.number == place + 1:
            place = found.number
            passed = msgspec.structs.replace(
                before, place=place, chain=b"", problem=doubt, problem_at=time.time()
            )
            await self._database.receive(passed, ())
        return protocol.Place(found.node, before.stream, place)

    @staticmethod
    def _out_of_order(body: Body, before: Other) -> list[str]:
        if body.number == before.place + 1:
            # After one that could not be read nobody knows what its hash was.
            if before.chain and body.previous != before.chain:
                return [f"its batch {body.number} does not go on from the one before"]
            return []
        if 0 < body.previous_at < time.time() - _NEARLY_KEPT:
            return []  # no longer stored: this node was away, or is new
        return [f"its batches {before.place + 1} to {body.number - 1} are missing"]

    async def _opened(self, body: Body) -> tuple[list[received.Rows], list[str]]:
        """Return what can be read; of an erased project nothing can."""
        tables: list[received.Rows] = []
        doubts: list[str] = []
        place = body.node, body.stream, body.number
        room = columns.MAX_VALUES
        for section in body.sections:
            try:
                key = await self._vault.entry_key(section.project, section.version)
                rows, values = columns.decode(unsealed(key.key, place, section), room)
                tables.append(rows)
                room -= values
            except _ERASED:
                continue
            except (RecorderInputError, ValueError, *DECODING_ERRORS):
                doubts = [f"batch {body.number} has records that cannot be opened"]
        return tables, doubts

    async def _tell_events(
        self, name: str, body: Body, tables: Sequence[received.Rows]
    ) -> list[str]:
        """Have this journal say what the other one does: before it is known to have been read."""
        try:
            facts = facts_of(name, tables, time.time())
        except RecorderInputError as error:
            return [f"batch {body.number}: {error.message}"]
        if not facts:
            return []
        key = await self._vault.entry_key("")
        session = session_of(key.key, body.node, body.stream)
        take = Take(0, session, first_of(body.number), facts)
        if not await self._kept(take):
            raise RecorderError("What another node tells has to wait: there is much to be kept.")
        return []

    # -- what is told of it ----------------------------------------------------------------------

    async def _tell_seen(self, node: Other) -> None:
        now = time.monotonic()
        if not node.head or now - self._seen.get(node.id, -SEEN_SECONDS) < SEEN_SECONDS:
            return
        head = opened_checkpoint(node.head, parse_key(node.journal))
        told = await self._tell(
            NodeJournalSeen(
                at=time.time(),
                node=node.name,
                origin=head.origin,
                size=head.size,
                root=head.root.hex(),
            )
        )
        if told:
            self._seen[node.id] = now

    async def _doubt(self, name: str, what: str) -> None:
        now = time.monotonic()
        if now - self._doubted.get((name, what), -_DOUBT_SECONDS) < _DOUBT_SECONDS:
            return
        _log.error("records of node %s: %s", name, what)
        if len(self._doubted) >= 1024:
            self._doubted.clear()
        if await self._tell(NodeRecordsDoubtful(at=time.time(), node=name, what=what)):
            self._doubted[name, what] = now

    async def _tell(self, fact: Fact) -> bool:
        return await self._kept(self._own.take(fact))

    async def _kept(self, facts: Take) -> bool:
        kept: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        if not self._take(facts, kept.set_result):
            return False
        return decode_reply(await kept).failure is None


def _named(body: Body, known: Iterable[Other]) -> tuple[str, list[str]]:
    """Return the name of who has told a batch; never that of another who tells as well."""
    fresh = body.made_at - SAME_NAME_SECONDS
    if not any(
        one.name == body.name and one.id != body.node and (not one.number or one.until > fresh)
        for one in known
    ):
        return body.name, []
    return f"{body.name}~{body.node[:8]}", [f"it calls itself {body.name}, as another node does"]


def _entries(node: Other) -> int:
    """Return how many entries its journal had, by the head that was kept."""
    checkpoint = read_checkpoint(node.head.rpartition("\n\n")[0] + "\n")
    return 0 if checkpoint is None else checkpoint.size


def _compared(body: Body, before: Other) -> tuple[str, list[str]]:
    """Return the head of the node's journal to go on from, and what is wrong with it."""
    if not body.head:
        return before.head, []
    try:
        head = opened_checkpoint(body.head, parse_key(body.journal))
    except JournalInputError as error:
        return before.head, [f"the head of its journal does not hold: {error.message}"]
    if before.journal and before.journal != body.journal:
        return body.head, ["it signs its journal with another key"]
    if not before.head:
        return body.head, []
    last = opened_checkpoint(before.head, parse_key(before.journal))
    return body.head, _gone_back(body, last, head)


def _gone_back(body: Body, last: Checkpoint, head: Checkpoint) -> list[str]:
    if head.size < last.size:
        return [f"its journal went back from {last.size} entries to {head.size}"]
    if head.size == last.size:
        rewritten = head.root != last.root
    elif body.proof_of == last.size:
        rewritten = not proves_consistency(last.size, last.root, head.size, head.root, body.proof)
    else:
        rewritten = False  # its batches between are missing, which is told
    if rewritten:
        return [f"its journal is not the one that had {last.size} entries"]
    return []


__all__ = ["KEPT_SECONDS", "Journal", "Shipping"]
