"""What a node remembers of a database, so that a server that lost what was acknowledged is refused.

For each schema: which server it was on and at which of its lives, and the last transaction that was
acknowledged there. `lives` compares it with what a server has.

It is a file of the node's, made durable when a server changes and once a second otherwise: a killed
process loses nothing of it, and after a power cut it is older than the database, never newer.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import secrets
import struct
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, NamedTuple

from casemate.kernel.durability import sync_folder
from casemate.postgresql.errors import FenceDamagedError, FencedError

_LOG = logging.getLogger(__name__)

MAX_SCHEMAS: Final = 65_536
LOSS: Final = "engine/"
"""How the name of a loss begins; what follows is of one file, until the loss is accepted."""
DAMAGED: Final = f"{LOSS}damaged"
_MAGIC: Final = b"CMFENCE1"
_HEADER: Final = struct.Struct("<8s8s")
_RECORD: Final = struct.Struct("<8s64sqI16sQ")
_SLOT_BYTES: Final = 256
"""One is in one sector, so that it is written wholly or not at all."""
_HASH_BYTES: Final = 16
_SYNC_SECONDS: Final = 1.0


class Server(NamedTuple):
    """Which server it is, from when it could be written to until it ended or was a standby."""

    system: int
    """Chosen when the databases were made; their standbys and backups have the same."""
    timeline: int
    """Steps whenever a standby or a backup becomes a primary."""
    started: str


@dataclass(frozen=True, slots=True)
class Memory:
    """What is known of one schema."""

    system: int
    timeline: int
    life: bytes
    """The number of the server's life, made at random when the first node came to it."""
    acknowledged: int = 0
    """The last transaction of that life of which somebody was told, 0 for none."""


class Fence:
    """Belongs to one database: whatever of this process connects to that shares it. Any thread."""

    def __init__(self, path: Path | None = None, accepted: Iterable[str] = ()) -> None:
        """Read what is remembered in a file, made where it is missing; None: of this process alone.

        `accepted` names losses, as errors do: what the node goes on without. Each name is of one
        loss; a later one has another. Raises FenceDamagedError, OSError.
        """
        self._lock = threading.Lock()
        self._path = path
        self._file = -1
        self._memories: dict[str, Memory] = {}
        self._slots: dict[str, int] = {}
        self._highest: dict[int, int] = {}
        self._synced = time.monotonic()
        self._writes = True
        self._token = secrets.token_bytes(8)
        if path is not None:
            self._open(path, frozenset(accepted))

    @property
    def loss(self) -> str:
        """The name by which the operator accepts what is refused now."""
        return f"{LOSS}{self._token.hex()}"

    def of(self, schema: str) -> Memory | None:
        """Return what is known of a schema."""
        with self._lock:
            return self._memories.get(schema)

    def require(self, server: Server) -> None:
        """Refuse a server that was left behind. Raises FencedError."""
        highest = self._highest.get(server.system, 0)
        if server.timeline < highest:
            raise self.refused(
                server, f"its timeline is {server.timeline}, and {highest} was seen already"
            )
        known = self._highest.keys()
        if known and server.system not in known:
            raise self.refused(
                server, f"its system identifier is none of {', '.join(map(str, sorted(known)))}"
            )

    def is_behind(self, server: Server) -> bool:
        """Tell whether a newer timeline than a server's was seen since it was connected to."""
        return server.timeline < self._highest.get(server.system, 0)

    def refused(self, server: Server, why: str) -> FencedError:
        """Return the error for a server that lacks what was acknowledged."""
        return FencedError(
            "The database server lacks what was acknowledged to this node: "
            f"{why} (system {server.system}, timeline {server.timeline}).",
            next_step="Make the server with the newest timeline the primary, or restore a newer "
            "backup: docs/howto/run-many-nodes.md. To continue without the lost data: casemate "
            f"serve --accept-loss {self.loss}",
        )

    def admitted(self, schema: str, server: Server, life: bytes) -> None:
        """Remember where a schema is, durably, before anything of it is used. Raises OSError."""
        with self._lock:
            known = self._memories.get(schema)
            if known is None or known.life != life:
                memory = Memory(server.system, server.timeline, life)
                self._write(schema, memory)
                self._sync()
                self._memories[schema] = memory
            highest = self._highest.get(server.system, 0)
            self._highest[server.system] = max(highest, server.timeline)

    def acknowledged(self, schema: str, life: bytes, number: int) -> bool:
        """Remember a transaction before anybody is told of it; False if it was made too late.

        That is: in a life of the server that was over by what this node knows.
        """
        with self._lock:
            known = self._memories.get(schema)
            if known is None or known.life != life:
                return False
            if known.timeline < self._highest.get(known.system, 0):
                return False
            if number <= known.acknowledged:
                return True
            memory = replace(known, acknowledged=number)
            self._memories[schema] = memory
            try:
                self._write(schema, memory)
                if time.monotonic() - self._synced > _SYNC_SECONDS:
                    self._sync()
            except OSError as error:
                # It is durable where it belongs; only that it was could not be noticed if it went.
                if self._writes:
                    _LOG.error("what the database has acknowledged cannot be written: %s", error)
                self._writes = False
            else:
                self._writes = True
            return True

    def faults(self) -> tuple[str, ...]:
        """Return what is wrong, in words for the operator."""
        if self._writes:
            return ()
        return ("what the database has acknowledged cannot be written down",)

    def close(self) -> None:
        """Let go of the file, after the last connection."""
        with self._lock:
            if self._file >= 0:
                os.close(self._file)
                self._file = -1
                self._path = None

    # The file

    def _open(self, path: Path, accepted: frozenset[str]) -> None:
        self._file = _opened(path)
        try:
            try:
                self._load(os.pread(self._file, _SLOT_BYTES * (MAX_SCHEMAS + 1), 0))
            except FenceDamagedError:
                if DAMAGED not in accepted:
                    raise
                self._begin_anew(path, f"{path.name} was damaged")
                return
            if self.loss in accepted:
                known = ", ".join(f"{s} at timeline {t}" for s, t in self._highest.items())
                self._begin_anew(path, f"accepted: {known or 'nothing'} was known")
        except BaseException:
            os.close(self._file)
            raise

    def _load(self, content: bytes) -> None:
        if not content:
            self._start()
            return
        if len(content) % _SLOT_BYTES:
            raise _damaged("its end is missing")
        self._token = _token_of(content[:_SLOT_BYTES])
        if len(content) > _SLOT_BYTES and not any(content[-_SLOT_BYTES:]):
            # A power cut left room for a record that was not durable yet, and so never used.
            content = content[:-_SLOT_BYTES]
        for at in range(_SLOT_BYTES, len(content), _SLOT_BYTES):
            schema, memory = _memory_of(content[at : at + _SLOT_BYTES])
            self._memories[schema] = memory
            self._slots[schema] = at
            highest = self._highest.get(memory.system, 0)
            self._highest[memory.system] = max(highest, memory.timeline)

    def _start(self) -> None:
        self._put(_HEADER.pack(_MAGIC, self._token), 0)
        os.fsync(self._file)

    def _begin_anew(self, path: Path, why: str) -> None:
        """Keep the file aside and begin another."""
        _LOG.warning("What the database had acknowledged is forgotten: %s.", why)
        path.replace(path.with_name(f"{path.name}.before"))
        os.close(self._file)
        self._file = _opened(path)
        self._memories, self._slots, self._highest = {}, {}, {}
        self._token = secrets.token_bytes(8)
        self._start()

    def _write(self, schema: str, memory: Memory) -> None:
        if self._path is None:
            return
        at = self._slots.get(schema)
        if at is None:
            if len(self._slots) >= MAX_SCHEMAS:
                raise OSError(f"more than {MAX_SCHEMAS} schemas cannot be followed")
            at = _SLOT_BYTES * (len(self._slots) + 1)
        self._put(
            _RECORD.pack(
                _MAGIC,
                schema.encode(),
                memory.system,
                memory.timeline,
                memory.life,
                memory.acknowledged,
            ),
            at,
        )
        self._slots[schema] = at

    def _put(self, text: bytes, at: int) -> None:
        record = text + hashlib.sha256(text).digest()[:_HASH_BYTES]
        os.pwrite(self._file, record.ljust(_SLOT_BYTES, b"\0"), at)

    def _sync(self) -> None:
        if self._path is not None:
            os.fdatasync(self._file)
            self._synced = time.monotonic()


def _opened(path: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    file = os.open(path, flags, 0o600)
    sync_folder(path.parent)
    return file


def _unpacked(slot: bytes, form: struct.Struct) -> tuple[object, ...]:
    text = slot[: form.size]
    expected = hashlib.sha256(text).digest()[:_HASH_BYTES]
    if not hmac.compare_digest(slot[form.size : form.size + _HASH_BYTES], expected):
        raise _damaged("a record is not what was written")
    fields = form.unpack(text)
    if fields[0] != _MAGIC:
        raise _damaged("it is of another kind")
    return fields


def _token_of(slot: bytes) -> bytes:
    (_, token) = _unpacked(slot, _HEADER)
    return bytes(token)  # type: ignore[call-overload,no-any-return]


def _memory_of(slot: bytes) -> tuple[str, Memory]:
    _, schema, system, timeline, life, acknowledged = _unpacked(slot, _RECORD)
    name = bytes(schema).rstrip(b"\0").decode()  # type: ignore[call-overload]
    return name, Memory(system, timeline, life, acknowledged)  # type: ignore[arg-type]


def _damaged(why: str) -> FenceDamagedError:
    return FenceDamagedError(
        f"What this node remembers of its database is damaged: {why}.",
        next_step="Restore the file from a backup of the data folder. To go on without knowing "
        f"whether the database has lost anything: casemate serve --accept-loss {DAMAGED}",
    )
