"""Somebody who has broken into a gateway, and tells its recorder what no gateway of ours tells."""

from __future__ import annotations

import ctypes
import os
import random
import re
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from casemate.child.frames import frame
from casemate.model.denial import Denial, DenialKind
from casemate.model.facts import JournalRestored, OperationPerformed, SignedIn
from casemate.model.response_facts import Finding
from casemate.recorder.protocol import (
    DENIED,
    LEFT,
    MAX_FACTS,
    MAX_FRAME,
    PASSED,
    Ask,
    CopyJournal,
    CopyRecords,
    EndTakingOver,
    Find,
    GetHead,
    Prove,
    Query,
    ReleaseRecords,
    Take,
    TakeOver,
    Told,
)

_PIDFD_GETFD = 438
_SOCKET = re.compile(r"socket:\[(\d+)\]")
_encode = msgspec.msgpack.encode


def _sockets(pid: int) -> dict[str, int]:
    """Return descriptors of a process by the inode of their socket."""
    found = {}
    for each in Path(f"/proc/{pid}/fd").iterdir():
        try:
            said = _SOCKET.fullmatch(os.readlink(each))
        except OSError:
            continue
        if said:
            found[said[1]] = int(each.name)
    return found


def connection_between(gateway: int, recorder: int) -> socket.socket:
    """Return a copy of the gateway's end of its connection to the recorder."""
    ours, theirs = _sockets(gateway), _sockets(recorder)
    said = subprocess.run(["ss", "-xnH"], capture_output=True, text=True, check=True).stdout
    for line in said.splitlines():
        words = line.split()
        if words[0] == "u_str" and words[5] in ours and words[7] in theirs:
            return _taken(gateway, ours[words[5]])
    raise AssertionError("the gateway has no recorder")


def _taken(pid: int, descriptor: int) -> socket.socket:
    process = os.pidfd_open(pid)
    try:
        syscall = ctypes.CDLL(None, use_errno=True).syscall
        found = int(syscall(_PIDFD_GETFD, process, descriptor, 0))
    finally:
        os.close(process)
    if found < 0:
        raise OSError(ctypes.get_errno(), "pidfd_getfd")
    return socket.socket(fileno=found)


# -- what it tells -------------------------------------------------------------------------------

FORGED = "user:nobody-forged"


def told(fact: Any, count: int = 1) -> Told:
    """Return a fact as it travels."""
    return Told(type(fact).__name__, _encode(fact), count)


def _take(chance: random.Random, *every: Told) -> bytes:
    return frame(_encode(Take(chance.getrandbits(31), chance.randbytes(8), 0, every)))


def _signed_in(**values: Any) -> Told:
    fact = {"at": time.time(), "by": FORGED, "method": "password"} | values
    return told(SignedIn(**fact))


def _erased(project: str) -> Told:
    return told(
        OperationPerformed(
            at=time.time(), by=FORGED, project=project, operation="eraseAll", effect="destroy"
        )
    )


ENDS: dict[str, Callable[[random.Random], bytes]] = {
    "random bytes": lambda c: c.randbytes(c.randint(8, 4096)),
    "a random frame": lambda c: frame(c.randbytes(c.randint(1, 4096))),
    "a huge length": lambda c: c.choice([b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff"]) + b"x" * 64,
    "no length": lambda _: bytes(64),
    "more than a frame": lambda _: (MAX_FRAME + 1).to_bytes(4, "big") + bytes(1 << 16),
    "another type": lambda c: frame(_encode([c.randint(33, 99), 1])),
    "an unknown field": lambda c: frame(_encode([4, 1, c.randbytes(64)])),
    "too many facts": lambda c: frame(
        _encode([1, 1, c.randbytes(8), 0, [["SignedIn", b"", 1]] * (MAX_FACTS + 1)])
    ),
    "a negative number": lambda c: frame(_encode([1, 1, c.randbytes(8), -1, []])),
    "a deep one": lambda _: frame(b"\x91" * 100_000),
    "an unknown fact": lambda c: _take(c, Told("Nonsense", b"\x80")),
    "a fact that is none": lambda c: _take(c, Told("SignedIn", c.randbytes(40))),
    "a fact that is too large": lambda c: _take(c, _signed_in(by="x" * 60_000)),
    "a record that is none": lambda c: _take(c, Told(c.choice([LEFT, DENIED, PASSED]), b"\xc1")),
    "the monitor's": lambda c: _take(
        c,
        told(
            Finding(at=1.0, finding="f", rule="r", level="high", title="", entity="", events=(),
                    techniques=())
        ),
    ),
    "the recorder's": lambda c: _take(
        c, told(JournalRestored(at=1.0, made_at=1.0, entries=1, archive="a" * 64))
    ),
    "no time": lambda c: _take(
        c, _signed_in(at=c.choice([float("nan"), float("inf"), -1e12, 1e15]))
    ),
    "no project": lambda c: _take(c, _erased("../" * 9)),
    "a copy without a file": lambda c: frame(
        _encode(c.choice([CopyRecords(1), CopyJournal(1, True)]))
    ),
}  # fmt: skip
"""What ends the connection, and so the recorder, by kind."""

STAYS: dict[str, Callable[[random.Random], bytes]] = {
    "a forged time": lambda c: _take(
        c, _signed_in(at=c.choice([0.0, 1.0, 4e9, time.time() + 3600, time.time() - 1e6]))
    ),
    "a forged principal": lambda c: _take(c, _signed_in(by=c.choice(["", "owner", "x" * 9000]))),
    "another project": lambda c: _take(c, _erased("others")),
    "escapes": lambda c: _take(c, _signed_in(by="\x1b[2J\x00\u202e" * 20)),
    "a huge count": lambda c: _take(
        c, Told("SignedIn", _signed_in().fact, (1 << 56) - 1)
    ),
    "a denial of somebody else": lambda c: _take(
        c,
        told(
            Denial(at=time.time(), kind=DenialKind.VAULT, by=FORGED, action="read",
                   resource="secret:x", reason="\x1b]0;x\x07" * 99, project="others")
        ),
    ),
    "nothing": lambda c: _take(c),
    "questions": lambda c: frame(
        _encode(
            c.choice([
                GetHead(c.getrandbits(31)), Find(1, Query(contains=("forged",))),
                Prove(1, (1 << 56) - 1), Ask(1, "listErrors", b"\xc1"), Ask(1, "eraseAll", b""),
                ReleaseRecords(1, "nobody"), TakeOver(1, "session", ((1, 2, 3),)),
                TakeOver(1, "x; DROP TABLE line", ((None,),)), EndTakingOver(1),
            ])
        )
    ),
}  # fmt: skip
"""What is kept, refused or answered, and ends nothing."""


def duplicates(chance: random.Random) -> bytes:
    """Return the same message three times."""
    return _take(chance, _signed_in(by="user:told-thrice")) * 3


def large(chance: random.Random) -> bytes:
    """Return a message of nearly 8 MB that may be sent."""
    return _take(chance, *(_signed_in(by="x" * 45_000),) * 170)
