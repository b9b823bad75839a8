"""What was told and is not durable yet, in memory that outlives the gateway.

The gateway keeps a copy of each fact and record there from before the answer that it belongs to
until it is acknowledged. The supervisor made that memory (`memories.py`), and each recorder has it
open: it reads it once the gateway is gone. What no message had brought is kept then, and what one
had brought is known by its number.

Memory is a header and slots. What is larger than a slot goes on in others. What has a wrong
checksum counts as none, so that a kill in the middle of writing it loses that and nothing else.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import stat
import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

import msgspec

from casemate.decoding import DECODING_ERRORS, decodable
from casemate.recorder.connections import SESSION_BYTES

if TYPE_CHECKING:
    from casemate.recorder.protocol import Told

SLOT = 1024
"""Bytes of one slot."""
SLOTS = 20_480
"""More than may wait before nothing more may begin (`client.MAX_BUFFERED`)."""
SIZE = SLOT * (1 + SLOTS)
MOST_SLOTS = 64
"""Of one fact or record. What is larger is told at once instead."""
NO_NUMBER = -1
"""Of what is not told yet: of a call whose use is not known, or whose texts are looked through."""
_GOES_ON = -2
"""Of a slot that belongs to one before it."""
_FORM = b"casemem1"
_JOURNAL_BYTES = 16
_HEADER = struct.Struct(f"=8s{SESSION_BYTES}s")
_JOURNAL_AT = _HEADER.size
_HEAD = struct.Struct("=qIII")
"""Number, length of all of it, its checksum that begins with the number, slot in which it goes on
or 0."""
MAX_BODY = SLOT - _HEAD.size
_NONE = bytes(_HEAD.size)
_GROWTH = 256
"""Slots for which room is made at once: a file system that is full must not end the process."""
_READ_SLOTS = 256
_encode = msgspec.msgpack.Encoder().encode


class Found(NamedTuple):
    """What stood in one slot, and those in which it went on."""

    slot: int
    number: int
    told: Told


class Outstanding:
    """The gateway's side. Nothing here blocks or raises but the making."""

    def __init__(self, descriptor: int, session: bytes) -> None:
        """Use memory that nobody has used before, which is taken over. Raises OSError."""
        # Held until this process is gone, however that comes, or closes any descriptor of it.
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._descriptor = descriptor
        self._memory = mmap.mmap(descriptor, SIZE)
        self._closed = False
        self._free: list[int] = []
        self._next = 1
        """The first slot for which no room was made."""
        self._more: dict[int, list[int]] = {}
        """Slots in which others go on."""
        self._grow()
        self._memory[: _HEADER.size] = _HEADER.pack(_FORM, session)

    def _grow(self) -> None:
        """Make room for more slots. Raises OSError where there is none."""
        count = min(_GROWTH, SLOTS + 1 - self._next)
        if count <= 0:
            raise BlockingIOError
        # With the header, when it is the first time.
        start = self._next * SLOT if self._next > 1 else 0
        os.posix_fallocate(self._descriptor, start, (self._next + count) * SLOT - start)
        self._free += range(self._next + count - 1, self._next - 1, -1)
        self._next += count

    @property
    def is_full(self) -> bool:
        """Whether there is no room for another copy."""
        return not self._has_room(1)

    def _has_room(self, slots: int) -> bool:
        try:
            while len(self._free) < slots:
                self._grow()
        except OSError:
            return False
        return True

    def put(self, told: Told, number: int = NO_NUMBER) -> int:
        """Keep a copy, and return its slot; -1 where there is none for it."""
        if self._closed or not (self._free or self._has_room(1)):
            return -1
        body = _encode(told)
        slot = self._free.pop()
        if self._write(slot, number, body):
            return slot
        self._free.append(slot)
        return -1

    def number(self, slot: int, told: Told, number: int) -> bool:
        """Say of a slot that it is told under a number, and by what.

        False where that is too large: then what was there before counts, under the number.
        """
        if self._closed:
            return False
        body = _encode(told)
        if len(body) <= MAX_BODY and not self._more:
            # As nearly all are, and each call comes by here.
            at = slot * SLOT
            self._memory[at : at + _HEAD.size + len(body)] = _head(number, body, 0) + body
            return True
        if self._write(slot, number, body):
            return True
        at = slot * SLOT
        _, length, _, goes_on = _HEAD.unpack_from(self._memory, at)
        body = b"".join(
            self._memory[each * SLOT + _HEAD.size : (each + 1) * SLOT]
            for each in (slot, *self._more.get(slot, ()))
        )
        head = _head(number, body[:length], goes_on)
        self._memory[at : at + _HEAD.size] = head
        return False

    def free(self, slot: int) -> None:
        """Forget what is in a slot."""
        if self._closed:
            return
        at = slot * SLOT
        self._memory[at : at + _HEAD.size] = _NONE
        self._free.append(slot)
        if self._more:
            self._free += self._more.pop(slot, ())

    def _write(self, slot: int, number: int, body: bytes) -> bool:
        """Write into a slot, and into others what it has no room for; False where none has."""
        more: list[int] = []
        if len(body) > MAX_BODY:
            needed = -(-len(body) // MAX_BODY) - 1
            if needed >= MOST_SLOTS or not self._has_room(needed):
                return False
            more = [self._free.pop() for _ in range(needed)]
            self._write_more(more, body)
        # Last, by which all of it begins to count.
        at = slot * SLOT
        first = body[:MAX_BODY]
        head = _head(number, body, more[0] if more else 0)
        self._memory[at : at + _HEAD.size + len(first)] = head + first
        if self._more and (before := self._more.pop(slot, None)):
            self._free += before
        if more:
            self._more[slot] = more
        return True

    def _write_more(self, slots: list[int], body: bytes) -> None:
        for each, after, start in zip(
            slots, (*slots[1:], 0), range(MAX_BODY, len(body), MAX_BODY), strict=True
        ):
            part = body[start : start + MAX_BODY]
            at = each * SLOT
            head = _HEAD.pack(_GOES_ON, len(part), 0, after)
            self._memory[at : at + _HEAD.size + len(part)] = head + part

    def close(self) -> None:
        """Say that this process is gone, and leave what is there to the recorder."""
        if self._closed:
            return
        self._closed = True
        self._memory.close()
        os.close(self._descriptor)


def _head(number: int, body: bytes, goes_on: int) -> bytes:
    return _HEAD.pack(number, len(body), crc32(body, number & 0xFFFFFFFF), goes_on)


# -- whose gateway is gone ---------------------------------------------------------------------


def is_left(descriptor: int) -> bool:
    """Tell whether the gateway whose memory this is is gone. Raises OSError."""
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    fcntl.lockf(descriptor, fcntl.LOCK_UN)
    return True


def is_memory(descriptor: int) -> bool:
    """Tell whether this can be memory of a gateway that was not forgotten. Raises OSError."""
    status = os.fstat(descriptor)
    return stat.S_ISREG(status.st_mode) and status.st_size == SIZE


def session_of(descriptor: int) -> bytes | None:
    """Return of which session numbers are, None for what is in no form that is known. OSError."""
    header = os.pread(descriptor, _HEADER.size, 0) if is_memory(descriptor) else b""
    if len(header) < _HEADER.size:
        return None
    form, session = _HEADER.unpack(header)
    return bytes(session) if form == _FORM else None


def mark(descriptor: int, journal: bytes) -> None:
    """Say for whose journal it is, by a digest: its recorder serves now. Raises OSError."""
    os.pwrite(descriptor, journal, _JOURNAL_AT)


def journal_of(descriptor: int) -> bytes:
    """Return for whose journal it is, empty where no recorder has served. Raises OSError."""
    found = os.pread(descriptor, _JOURNAL_BYTES, _JOURNAL_AT) if is_memory(descriptor) else b""
    return found.rstrip(b"\0")


def forget(descriptor: int) -> None:
    """Give back the memory of a gateway that is gone. Raises OSError."""
    os.ftruncate(descriptor, 0)


def read(descriptor: int) -> Iterator[Found]:
    """Yield what a gateway that is gone had not told, or was not told is durable. Raises OSError.

    Of what stands there nothing is believed.
    """
    if not is_memory(descriptor):
        return
    # The supervisor, which makes and removes this memory, reads nothing in it.
    from casemate.recorder.protocol import Told

    decode = msgspec.msgpack.Decoder(decodable(Told)).decode
    used: set[int] = set()
    for first in range(1, SLOTS + 1, _READ_SLOTS):
        data = os.pread(descriptor, _READ_SLOTS * SLOT, first * SLOT)
        for at in range(0, len(data) - SLOT + 1, SLOT):
            slot = first + at // SLOT
            number, length, _, goes_on = _HEAD.unpack_from(data, at)
            if number < NO_NUMBER or not 0 < length <= MAX_BODY * MOST_SLOTS:
                continue
            body = data[at + _HEAD.size : at + SLOT]
            if length > MAX_BODY:
                body += _rest(descriptor, goes_on, length - MAX_BODY, used)
            body = body[:length]
            if data[at : at + _HEAD.size] != _head(number, body, goes_on):
                continue
            try:
                yield Found(slot, number, decode(body))
            except DECODING_ERRORS:
                continue


def _rest(descriptor: int, slot: int, length: int, used: set[int]) -> bytes:
    """Return where something goes on; each slot at most once, so that none is read for ever."""
    rest = b""
    while len(rest) < length and 0 < slot <= SLOTS and slot not in used:
        used.add(slot)
        part = os.pread(descriptor, SLOT, slot * SLOT)
        if len(part) < SLOT:
            break
        number, _, _, slot = _HEAD.unpack_from(part)
        if number != _GOES_ON:
            break
        rest += part[_HEAD.size :]
    return rest
