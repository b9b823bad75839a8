"""Calls that ran when their gateway was killed, by what it had noted when they began.

How they ended nobody knows, and what they used was theirs to use: each is one that crashed, and ran
until it was found, or for as long as it may at the most, all the while on one core.
"""

from __future__ import annotations

import time
from typing import Annotated

import msgspec

from casemate.decoding import decodable
from casemate.recorder.protocol import BEGUN, ENDED, Told
from casemate.recorder.records.rows import Ended

_LEAST_SECONDS = 0.001
"""What has run has run, and is counted."""
_MOST_SECONDS = 7 * 86_400.0
"""No call may run for longer: what says so is not noted by a gateway of ours."""
_encode = msgspec.msgpack.Encoder().encode


class Begun(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What is noted of a call that begins."""

    since: float
    """By the clock of `now`."""
    seconds: Annotated[float, msgspec.Meta(ge=0.0, le=_MOST_SECONDS)]
    """For how long it may run."""
    ended: msgspec.Raw
    """What it leaves behind as `Ended`, but for how long it ran."""


def now() -> float:
    """Return a time that nobody sets, which is the same for all processes until the host ends."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def begun(ended: bytes, seconds: float) -> bytes:
    """Return what is noted of a call that begins now."""
    return _encode(Begun(now(), seconds, msgspec.Raw(ended)))


def as_ended(told: Told, at: float) -> Told:
    """Return what is told of a call that ran until `at`, if `told` is that it has begun.

    All else is returned as it is. Raises DECODING_ERRORS for what is none.
    """
    if told.kind != BEGUN:
        return told
    found = msgspec.msgpack.decode(told.fact, type=decodable(Begun))
    ended = msgspec.msgpack.decode(found.ended, type=decodable(Ended))
    ran = max(_LEAST_SECONDS, min(at - found.since, found.seconds))
    invocation = msgspec.structs.replace(
        ended.invocation, run_ms=ran * 1000, cpu_us=int(ran * 1e6), used=None
    )
    return Told(ENDED, _encode(msgspec.structs.replace(ended, invocation=invocation)))
