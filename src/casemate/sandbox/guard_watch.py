"""What the sink guard of an instance tells, and the end of an invocation that it has stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from casemate.guard.acts import MAX_TOLD
from casemate.model.function import GuardMode
from casemate.model.invocation import Outcome
from casemate.runner import wire
from casemate.sandbox.frames import (
    MAX_PACKAGES_BYTES,
    MAX_SHAPES_BYTES,
    GuardHead,
    PackagesHead,
    Reply,
    ShapesHead,
)

_BLOCKED_SECONDS = 2.0
"""How long a handler goes on once the sink guard has stopped one of its calls."""
_MAX_FRAMES = 64
"""Guard frames of one invocation; the runner sends at most 50."""
GUARD_KINDS = (wire.GUARD, wire.PACKAGES)
_HANDLERS_DOING = frozenset(
    (
        Outcome.OK,
        Outcome.HANDLER_ERROR,
        Outcome.BAD_RESULT,
        Outcome.RESPONSE_TOO_LARGE,
        Outcome.EXPOSED,
        Outcome.TIMEOUT,
        Outcome.CRASHED,
    )
)
"""Outcomes that a handler can bring about after one of its calls was stopped."""
_decode = msgspec.json.Decoder(GuardHead).decode

_decode_shapes = msgspec.json.Decoder(ShapesHead).decode
_decode_packages = msgspec.json.Decoder(PackagesHead).decode

OnGuard = Callable[[GuardHead | ShapesHead | PackagesHead], None]
"""Takes what the sink guard tells of a call, of what reached sinks, and of packages."""


class GuardWatch:
    """Of one instance, for one invocation after the other."""

    __slots__ = (
        "_frames",
        "_loop",
        "_message",
        "_on_blocked",
        "_on_guard",
        "_packages",
        "_shapes",
        "_timer",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, on_blocked: Callable[[str], None]) -> None:
        """`on_blocked` has an invocation end that was stopped and went on for too long."""
        self._loop = loop
        self._on_blocked = on_blocked
        self._on_guard: OnGuard | None = None
        self._frames = 0
        self._shapes = False
        """Whether shapes were told already."""
        self._packages = 0
        self._message = ""
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, on_guard: OnGuard | None) -> None:
        """Tell `on_guard` from now on; without it a guard frame is not due."""
        self._on_guard = on_guard
        self._frames = self._packages = 0
        self._shapes = False

    @property
    def due(self) -> bool:
        """Whether somebody is to be told."""
        return self._on_guard is not None

    def take(self, head: bytes, body: bytes = b"") -> None:
        """Take a guard frame. Raises FrameError and DECODING_ERRORS."""
        if self._on_guard is None:
            raise wire.FrameError("a record of the sink guard is not due")
        if body:
            if self._shapes or len(body) > MAX_SHAPES_BYTES:
                raise wire.FrameError("shapes that are not due, or too many")
            self._shapes = True
            self._on_guard(_decode_shapes(body))
            return
        self._frames += 1
        if self._frames > _MAX_FRAMES:
            raise wire.FrameError("more records of the sink guard than one invocation has")
        told = _decode(head)
        self._on_guard(told)
        if told.mode == GuardMode.BLOCK.value and not self._message:
            self._stopped(told)

    def take_frame(self, kind: bytes, head: bytes, body: bytes) -> None:
        """Take a frame of one of GUARD_KINDS. Raises FrameError and DECODING_ERRORS."""
        if kind == wire.GUARD:
            self.take(head, body)
        else:
            self._take_packages(head, body)

    def _take_packages(self, head: bytes, body: bytes) -> None:
        self._packages += 1
        if body or len(head) > MAX_PACKAGES_BYTES or self._packages > MAX_TOLD + 1:
            raise wire.FrameError("a record of packages that is not due, or too long")
        if self._on_guard is not None:
            self._on_guard(_decode_packages(head))

    def _stopped(self, told: GuardHead) -> None:
        """Have the invocation end as blocked, and soon.

        The call may have been made by a child of the process or in a callback, whose caller waits
        for ever for what does not come. It says so of its own invocation only.
        """
        self._message = f"{told.sink} at {told.place}: {told.pointer or 'all'} {told.changed}"
        self._timer = self._loop.call_later(_BLOCKED_SECONDS, self._on_blocked, self._message)

    def end(self, reply: Reply) -> Reply:
        """Return how an invocation ended: as blocked, whatever the handler made of it."""
        self._on_guard = None
        if not self._message:
            return reply
        message, self._message = self._message, ""
        self.close()
        if reply.outcome not in _HANDLERS_DOING:
            return reply
        return Reply(
            Outcome.BLOCKED,
            type="BlockedError",
            message=message,
            trace=reply.trace,
            reusable=reply.reusable,
        )

    def close(self) -> None:
        """End nothing any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
