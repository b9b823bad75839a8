"""Makes, keeps and shows recordings. What is offered is looked through and written later."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TypeVar

import msgspec

from casemate.decoding import DECODING_ERRORS, decodable
from casemate.kernel.volume import beside_reserve
from casemate.masking import Masker
from casemate.model.errors import (
    CasemateError,
    ConflictError,
    NotFoundError,
    UnavailableError,
)
from casemate.model.event import as_handed_over
from casemate.model.function import Logs, RecordingSettings
from casemate.model.invocation import Outcome
from casemate.model.path import Finished, Request, Sealed
from casemate.model.recording import (
    Came,
    Content,
    ErrorSnapshot,
    Frame,
    Recording,
    RecordingSummary,
)
from casemate.recordings import files
from casemate.recordings.index import Index, held_by_nobody
from casemate.recordings.pace import Pace
from casemate.unwritten import Place
from casemate.vault.errors import DecryptionError
from casemate.vault.interface import Purpose, Vault

MAX_ONE = 1024 * 1024
"""Bytes of one recording."""
MAX_WAITING_BYTES = 16 * 1024 * 1024
MAX_FILE = 2 * MAX_ONE
MAX_LISTED = 1000
_AGAIN_SECONDS = 60.0
"""After which what could not be read is read again."""
_FAILED = frozenset(
    {
        *(Outcome.HANDLER_ERROR, Outcome.BLOCKED, Outcome.BAD_RESULT, Outcome.EXPOSED),
        *(Outcome.RESPONSE_TOO_LARGE, Outcome.TIMEOUT, Outcome.OUT_OF_MEMORY),
        *(Outcome.CRASHED, Outcome.PROTOCOL_VIOLATION),
    }
)
"""What code of the function ended in. Who is refused before leaves no event behind."""
ContentT = TypeVar("ContentT", bound=Content)
_log = logging.getLogger(__name__)


class _Kept(Content, frozen=True, kw_only=True):
    """What a file holds: also what is shown to those alone who may see snapshots."""

    values: bytes = b""


class _Offered(NamedTuple):
    summary: RecordingSummary
    content: _Kept
    settings: RecordingSettings
    logs: Logs


class Recordings:
    """One per gateway. Belongs to its event loop."""

    def __init__(
        self,
        folder: Path,
        vault: Vault,
        *,
        clock: Callable[[], float] = time.time,
        deleting: Callable[[], float] | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Keep them in `folder`, sealed by `vault`. Nothing is read before it is needed.

        `deleting` is the time by which those that are over are deleted, without it `clock`.
        """
        self._folder = folder
        self._written = Place("recordings", folder)
        self._vault = vault
        self._clock = clock
        self._deleting = deleting or clock
        self._chance = chance
        self._pace = Pace(clock)
        self._masker = Masker()
        self._index: Index | None = None
        self._unread: set[str] = set()
        """Those that could not be read when that was tried last, and may be later."""
        self._again_at = 0.0
        self.is_held: Callable[[RecordingSummary], bool] = held_by_nobody
        """Tells what is under a legal hold, and so is not deleted."""
        self._loading = asyncio.Lock()
        self._waiting: deque[_Offered] = deque()
        self._waiting_bytes = 0
        self._working: asyncio.Task[None] | None = None
        self.dropped = 0
        """Invocations that were not recorded, since there was no room or they came too fast."""

    # -- what is recorded ------------------------------------------------------------------------

    def offer(self, finished: Finished, sealed: Sealed) -> None:
        """Record an invocation that failed, or is of the sample. Never waits, never raises."""
        request, version = finished.request, finished.version
        if request is None or version is None:
            return
        settings = version.spec.recordings
        failed = sealed.outcome in _FAILED
        sampled = sealed.outcome is Outcome.OK and settings.sample > self._chance()
        if not (failed or sampled):
            return
        if not self._pace.allows(version.project, version.function):
            self.dropped += 1
            return
        event, came = _event_of(request)
        content, cut = _bounded(event, finished.frames, finished.body)
        content = msgspec.structs.replace(content, came=came)
        content = msgspec.structs.replace(content, held=finished.held, values=finished.values)
        size = _size(content)
        if self._waiting_bytes + size > MAX_WAITING_BYTES:
            self.dropped += 1
            return
        summary = RecordingSummary(
            id=request.id,
            project=version.project,
            function=version.function,
            version=version.number,
            trigger=request.raw.trigger,
            outcome=sealed.outcome,
            error_id=sealed.error_id,
            at=request.raw.received_at,
            expires_at=self._clock() + settings.keep,
            size=size,
            cut=cut or finished.frames_left_out > 0,
        )
        self._waiting.append(_Offered(summary, content, settings, version.spec.logs))
        self._waiting_bytes += size
        if self._working is None or self._working.done():
            self._working = asyncio.ensure_future(self._work())

    async def _work(self) -> None:
        while self._waiting:
            offered = self._waiting.popleft()
            self._waiting_bytes -= offered.summary.size
            try:
                await self._keep(offered)
            except (CasemateError, OSError) as error:
                self.dropped += 1
                _log.error("%s is not recorded: %s", offered.summary.id, error)

    async def _keep(self, offered: _Offered) -> None:
        summary, index = offered.summary, await self._loaded()
        content = await self._redacted(summary.project, offered.content)
        if content.values:
            values = await asyncio.to_thread(self._masked, content.values, summary.id, offered.logs)
            content = msgspec.structs.replace(content, values=values)
        key = await self._vault.data_key(summary.project, Purpose.RECORDINGS)
        body = files.seal(key, summary.project, summary.id, content)
        head = await self._vault.wrap(files.use_of(summary.id), msgspec.json.encode(summary))
        if await asyncio.to_thread(beside_reserve, self._folder) < len(head) + len(body):
            self.dropped += 1  # the reserve of the volume is for what must not fail
            return
        with self._written.writing():
            await asyncio.to_thread(files.write, self._folder, summary.id, files.Parts(head, body))
        index.add(summary)
        gone = index.beyond(summary, offered.settings.keep_bytes)
        await self._give_up(index, [*gone, *index.expired(self._deleting())])

    def _masked(self, values: bytes, invocation: str, logs: Logs) -> bytes:
        """Return values without tokens and data of persons, also those that logs may show."""
        masker = self._masker.of(invocation, Logs(mask=logs.mask))
        lines = values.decode(errors="replace").split("\n")
        return "\n".join(masker.lines(lines, len(values))).encode(errors="replace")

    async def _redacted(self, project: str, content: _Kept) -> _Kept:
        """Return content without secrets' values: what cannot be looked through is not kept."""
        if not await self._vault.has_secrets(project):
            return content
        texts = [content.event, content.reply, content.held, content.values]
        for frame in content.frames:
            texts += [frame.head, frame.content]
        event, reply, held, values, *rest = await self._vault.redact(project, texts)
        frames = tuple(
            Frame(frame.asked, rest[2 * place], rest[2 * place + 1])
            for place, frame in enumerate(content.frames)
        )
        return msgspec.structs.replace(
            content, event=event, frames=frames, reply=reply, held=held, values=values
        )

    async def _give_up(self, index: Index, gone: list[str]) -> None:
        """Delete what has to go. What the disk does not let go now goes the next time."""
        try:
            for identity in gone:
                await self._remove(index, identity)
        except UnavailableError as error:
            _log.error("%s", error)

    async def _remove(self, index: Index, identity: str) -> None:
        """Delete one. Raises UnavailableError."""
        try:
            await asyncio.to_thread(files.remove, self._folder, identity)
        except OSError as error:
            raise UnavailableError(
                f"The recording of {identity} cannot be deleted: {error.strerror}."
            ) from error
        index.drop(identity)

    # -- what there is ---------------------------------------------------------------------------

    async def _loaded(self) -> Index:
        """Return the index, read from the files when it is first needed.

        Raises UnavailableError.
        """
        async with self._loading:
            if self._index is None:
                try:
                    await asyncio.to_thread(files.remove_unfinished, self._folder)
                    names = await asyncio.to_thread(files.names, self._folder)
                except OSError as error:
                    raise UnavailableError(
                        f"Recordings cannot be examined: {error.strerror}."
                    ) from error
                index = Index(self.is_held)
                await self._read_into(index, names)
                self._index = index
            elif self._unread and not 0 < self._again_at - self._clock() <= _AGAIN_SECONDS:
                await self._read_into(self._index, sorted(self._unread))
            return self._index

    async def _read_into(self, index: Index, identities: Iterable[str]) -> None:
        """Read what recordings are. Those that cannot be read now are read again later."""
        found: list[RecordingSummary] = []
        unread: set[str] = set()
        for identity in identities:
            try:
                parts = await asyncio.to_thread(files.read, self._folder, identity, MAX_FILE)
                head = await self._vault.unwrap(files.use_of(identity), parts.head)
                found.append(msgspec.json.decode(head, type=decodable(RecordingSummary)))
            except FileNotFoundError:
                continue  # removed meanwhile
            except (files.DamagedRecordingError, DecryptionError, *DECODING_ERRORS) as error:
                # Not removed: whether it is under a legal hold stood in it.
                path = self._folder / f"{identity}.sealed"
                what = type(error).__name__
                _log.error("%s is damaged (%s), and is none of the recordings", path, what)
            except (CasemateError, OSError) as error:
                unread.add(identity)
                _log.error("the recording of %s cannot be read now: %s", identity, error)
        index.add_older(found)
        self._unread, self._again_at = unread, self._clock() + _AGAIN_SECONDS

    async def list(self, project: str | None, function: str | None) -> tuple[RecordingSummary, ...]:
        """Return which there are, the newest first."""
        index = await self._loaded()
        await self._give_up(index, index.expired(self._deleting()))
        now, found = self._clock(), index.newest(project, function)
        there = (each for each in found if each.expires_at > now or self.is_held(each))
        return tuple(islice(there, MAX_LISTED))

    async def show(self, project: str, identity: str) -> Recording:
        """Return a recording. NotFoundError, DamagedRecordingError."""
        summary = await self._known(project, identity)
        return Recording(summary=summary, content=await self._read(summary, Content))

    async def snapshot(self, project: str, error: str) -> ErrorSnapshot:
        """Return what frames held when a handler raised. NotFoundError, DamagedRecordingError."""
        summary = (await self._loaded()).of_error(project, error)
        if summary is not None and summary.expires_at > self._clock():
            content = await self._read(summary, _Kept)
            if content.values:
                return ErrorSnapshot(
                    id=error,
                    invocation=summary.id,
                    project=project,
                    function=summary.function,
                    version=summary.version,
                    at=summary.at,
                    values=content.values.decode(errors="replace"),
                )
        raise NotFoundError(
            f"There is no snapshot of {error} in {project}: there is one of a handler that raised, "
            "for as long as its invocation is recorded.",
            next_step="`casemate recordings ls` shows the recordings.",
        )

    async def _read(self, summary: RecordingSummary, kind: type[ContentT]) -> ContentT:
        project, identity = summary.project, summary.id
        try:
            parts = await asyncio.to_thread(files.read, self._folder, identity, MAX_FILE)
            head = await self._vault.unwrap(files.use_of(identity), parts.head)
            if msgspec.json.decode(head, type=decodable(RecordingSummary)) != summary:
                raise files.damaged(identity)
            version = files.key_version(parts.body)
            key = await self._vault.data_key(project, Purpose.RECORDINGS, version)
            body = files.unseal(key, project, identity, parts.body)
            return msgspec.msgpack.decode(body, type=decodable(kind))
        except (OSError, DecryptionError, NotFoundError, *DECODING_ERRORS) as error:
            raise files.damaged(identity) from error

    async def remove(self, project: str, identity: str) -> None:
        """Delete a recording. NotFoundError."""
        if self.is_held(await self._known(project, identity)):
            raise ConflictError(
                f"{identity} is under a legal hold, so it is not deleted.",
                next_step="`casemate incident holds` shows which.",
            )
        await self._remove(await self._loaded(), identity)

    async def _known(self, project: str, identity: str) -> RecordingSummary:
        summary = (await self._loaded()).get(identity)
        over = summary is None or (
            summary.expires_at <= self._clock() and not self.is_held(summary)
        )
        if over or summary is None or summary.project != project:
            raise NotFoundError(
                f"There is no recording of {identity} in {project}; they are kept for some time.",
                next_step="`casemate recordings ls` shows those there are.",
            )
        return summary

    async def close(self) -> None:
        """Write what was offered."""
        if self._working is not None and not self._working.done():
            await asyncio.wait((self._working,), timeout=5.0)


def _size(content: _Kept) -> int:
    frames = sum(len(frame.head) + len(frame.content) for frame in content.frames)
    own = len(content.held) + len(content.values)
    return len(content.event) + len(content.reply) + own + frames


def _event_of(request: Request) -> tuple[bytes, Came]:
    """Return an event as it is kept. One that is too large for that is not encoded first."""
    raw = request.raw
    if not raw.events:
        return request.event, Came.NOW
    came = Came.BATCH if raw.batch else Came.KEPT
    if sum(len(bytes(event.data)) for event in raw.events) > MAX_ONE:
        return b"", came
    told = [as_handed_over(event) for event in raw.events]
    return msgspec.json.encode(told if raw.batch else told[0]), came


def _bounded(event: bytes, frames: tuple[Frame, ...], reply: bytes) -> tuple[_Kept, bool]:
    """Return what fits: the event comes first, then the answers, then the reply."""
    left = MAX_ONE
    if not 0 < len(event) <= left:
        return _Kept(event=b""), True
    left -= len(event)
    asked = sum(len(frame.head) + len(frame.content) for frame in frames)
    if asked > left:
        return _Kept(event=event), True
    left -= asked
    if len(reply) > left:
        return _Kept(event=event, frames=frames), True
    return _Kept(event=event, frames=frames, reply=reply), False
