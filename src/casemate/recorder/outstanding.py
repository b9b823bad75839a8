"""What was told and is not durable yet, in memory that outlives the gateway.

The gateway keeps a copy of each fact and record there from before the answer that it belongs to
until it is acknowledged. The recorder, which has the same memory open, reads it once the gateway is
gone: what no message had brought is kept then, and what one had brought is known by its number.

A slot whose checksum is wrong counts as none, so that a kill in the middle of writing it loses that
slot and no other.
"""

from __future__ import annotations

import mmap
import os
import stat
import struct
from collections.abc import Iterator
from typing import NamedTuple
from zlib import crc32

import msgspec

from casemate.decoding import decodable
from casemate.recorder.protocol import Told

SLOT = 1024
"""Bytes of one slot. What is larger is told at once instead."""
SLOTS = 8192
SIZE = SLOT * SLOTS
NO_NUMBER = -1
"""Of what is not told yet: of a call whose use is not known, or whose texts are looked through."""
_HEAD = struct.Struct("=qII")
"""Number, length of the body, checksum of the body that begins with the number."""
MAX_BODY = SLOT - _HEAD.size
_NONE = bytes(_HEAD.size)
_encode = msgspec.msgpack.Encoder().encode


class Found(NamedTuple):
    """What stood in one slot."""

    number: int
    told: Told


class Outstanding:
    """The gateway's side. Nothing here blocks or raises but the making."""

    def __init__(self) -> None:
        """Make the memory. Raises OSError."""
        self.descriptor = os.memfd_create("outstanding", os.MFD_CLOEXEC)
        self.life = -1
        self._alive = -1
        try:
            os.ftruncate(self.descriptor, SIZE)
            self._memory = mmap.mmap(self.descriptor, SIZE)
            # Its other end is told of by the kernel when this process is gone, however that came.
            self.life, self._alive = os.pipe2(os.O_CLOEXEC)
        except OSError:
            os.close(self.descriptor)
            raise
        self._free = list(range(SLOTS - 1, -1, -1))

    def put(self, told: Told, number: int = NO_NUMBER) -> int:
        """Keep a copy, and return its slot; -1 where there is none for it."""
        body = _encode(told)
        if len(body) > MAX_BODY or not self._free or self._alive < 0:
            return -1
        slot = self._free.pop()
        self._write(slot, number, body)
        return slot

    def number(self, slot: int, told: Told, number: int) -> bool:
        """Say of a slot that it is told under a number, and by what.

        False where that is too large for it: then what was there before counts, under the number.
        """
        if self._alive < 0:
            return False
        body = _encode(told)
        if len(body) <= MAX_BODY:
            self._write(slot, number, body)
            return True
        at = slot * SLOT
        _, length, _ = _HEAD.unpack_from(self._memory, at)
        self._write(slot, number, self._memory[at + _HEAD.size : at + _HEAD.size + length])
        return False

    def free(self, slot: int) -> None:
        """Forget what is in a slot."""
        if self._alive < 0:
            return
        at = slot * SLOT
        self._memory[at : at + _HEAD.size] = _NONE
        self._free.append(slot)

    def _write(self, slot: int, number: int, body: bytes) -> None:
        at = slot * SLOT
        self._memory[at : at + _HEAD.size + len(body)] = _head(number, body) + body

    def close(self) -> None:
        """Say that this process is gone, and leave what is there to the recorder."""
        if self._alive < 0:
            return
        self._memory.close()
        for each in (self._alive, self.life, self.descriptor):
            os.close(each)
        self._alive = -1


def _head(number: int, body: bytes) -> bytes:
    return _HEAD.pack(number, len(body), crc32(body, number & 0xFFFFFFFF))


def read(descriptor: int) -> list[Found]:
    """Return what a gateway that is gone had not told, or was not told is durable.

    Of what it passed nothing is believed: not the kind of file, its size, or what stands in it.
    """
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        return []
    return list(_slots(os.pread(descriptor, SIZE, 0)))


def _slots(data: bytes) -> Iterator[Found]:
    decode = msgspec.msgpack.Decoder(decodable(Told)).decode
    for at in range(0, len(data) - SLOT + 1, SLOT):
        number, length, _ = _HEAD.unpack_from(data, at)
        if not 0 < length <= MAX_BODY or number < NO_NUMBER:
            continue
        body = data[at + _HEAD.size : at + _HEAD.size + length]
        if data[at : at + _HEAD.size] != _head(number, body):
            continue
        try:
            yield Found(number, decode(body))
        except (msgspec.MsgspecError, UnicodeDecodeError):
            continue
