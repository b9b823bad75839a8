"""Calls to a process of ours: requests with numbers, many at once, each answered once."""

from __future__ import annotations

import itertools
import logging
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, NamedTuple, TypeVar

import msgspec

from casemate.child import frames
from casemate.child.channel import Bounds, FrameSocket
from casemate.child.failure import Failure
from casemate.decoding import DECODING_ERRORS, decodable
from casemate.model.errors import CasemateError

if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")

Number = Annotated[int, msgspec.Meta(ge=0, lt=1 << 32)]


class Reply(msgspec.Struct, frozen=True, array_like=True):
    """The answer to request `n`: a result, or why there is none."""

    n: Number
    failure: Failure | None
    result: msgspec.Raw


_log = logging.getLogger(__name__)
_encoder = msgspec.msgpack.Encoder()
_NONE = msgspec.Raw(_encoder.encode(None))
encode = _encoder.encode
decode_reply = msgspec.msgpack.Decoder(Reply).decode


def framed(message: msgspec.Struct) -> bytes:
    """Return the frame of a message."""
    return frames.frame(encode(message))


def reply(number: int, result: object) -> bytes:
    """Return the body of a reply that holds a result."""
    return encode(Reply(number, None, msgspec.Raw(encode(result))))


def refusal(number: int, failure: Failure) -> bytes:
    """Return the body of a reply that holds a failure."""
    return encode(Reply(number, failure, _NONE))


def result_of(answer: bytes, kind: type[T], name: str, unavailable: type[CasemateError]) -> T:
    """Return what the process `name` has answered with; raises `unavailable` if that is none."""
    try:
        return msgspec.msgpack.decode(answer, type=decodable(kind))
    except DECODING_ERRORS as error:
        # The text of an error may quote what came; only its type is told.
        _log.error("the %s has answered with what is none: %s", name, type(error).__name__)
        raise unavailable(
            f"The {name} has sent something that is not an answer.",
            next_step="Start the node again; report it if that happens once more.",
        ) from error


class Errors:
    """The errors that one process may answer with, by their names."""

    def __init__(self, default: type[CasemateError], *kinds: type[CasemateError]) -> None:
        """Take an error of any other kind for a `default`."""
        self._default = default
        self._kinds: Mapping[str, type[CasemateError]] = {
            kind.__name__: kind for kind in (default, *kinds)
        }

    def failure(self, error: CasemateError) -> Failure:
        """Return one of our errors as it travels."""
        kind = type(error).__name__
        known = kind if kind in self._kinds else self._default.__name__
        return Failure(known, error.message, error.next_step)

    def error(self, failure: Failure) -> CasemateError:
        """Return the error again."""
        kind = self._kinds.get(failure.kind, self._default)
        return kind(failure.message, next_step=failure.next_step)


class Callee(msgspec.Struct, frozen=True, kw_only=True):
    """Whom calls are made to, and within which bounds."""

    name: str
    """As in "The vault is gone."."""
    bounds: Bounds
    pending: int
    """Calls that may wait for their answers at a time."""
    seconds: float
    """An answer that takes longer, and the connection is given up."""
    errors: Errors
    unavailable: type[CasemateError]
    """Raised for a process that is gone, or that has too much to do."""
    invalid: type[CasemateError]
    """Raised for a request that is larger than a frame, or that it does not take."""
    takes: Callable[[bytes], object] | None = None
    """What it decodes requests by: for one that is none it ends the connection, which is
    everybody's. None where nothing that is asked was chosen by somebody."""

    def lost(self) -> CasemateError:
        """Return the error for a process that is gone."""
        return self.unavailable(
            f"The {self.name} is gone.",
            next_step=f"Start the node again; its log says why the {self.name} ended.",
        )


def require_taken(
    takes: Callable[[bytes], object] | None, data: bytes, name: str, invalid: type[CasemateError]
) -> None:
    """Raise `invalid` for a request that a process would not take, before it is sent."""
    if takes is None:
        return
    try:
        takes(data)
    except DECODING_ERRORS as error:
        raise invalid(
            f"The {name} takes no such request: {error}.", next_step="Ask for less at once."
        ) from error


class _Pending(NamedTuple):
    """An answer that is waited for."""

    future: asyncio.Future[msgspec.Raw]
    asked_at: float
    what: str
    """The name of the request's type."""


class Calls:
    """The caller's end of one connection. In the event loop's thread only."""

    def __init__(
        self, callee: Callee, sock: socket.socket, loop: asyncio.AbstractEventLoop
    ) -> None:
        """Use the connected stream socket `sock` in `loop`."""
        self._callee = callee
        self._loop = loop
        self._numbers = itertools.count(1)
        self._pending: dict[int, _Pending] = {}
        self._watch: asyncio.TimerHandle | None = None
        self.lost: asyncio.Future[None] = loop.create_future()
        """Done when the process is gone."""
        self._socket = FrameSocket(
            sock, loop, callee.bounds, received=self._received, ended=lambda _why: self.close()
        )

    @property
    def pending(self) -> int:
        """How many answers are waited for."""
        return len(self._pending)

    async def ask(
        self, make: Callable[[int], msgspec.Struct], descriptors: Sequence[int] = ()
    ) -> msgspec.Raw:
        """Send the request that `make` makes of a number; return its result.

        Raises what the process answers with, and the callee's errors.
        """
        if self.lost.done():
            raise self._callee.lost()
        number = next(self._numbers) & 0xFFFFFFFF
        request = make(number)
        data = encode(request)
        bounds = self._callee.bounds
        if len(self._pending) >= self._callee.pending or (
            self._socket.unsent_bytes and self._socket.unsent_bytes + len(data) > bounds.unsent
        ):
            raise self._callee.unavailable(
                f"The {self._callee.name} has {len(self._pending)} requests to answer first.",
                next_step="Try again in a moment.",
            )
        if len(data) > bounds.frame:
            raise self._callee.invalid(
                f"The request has {len(data)} bytes, expected at most {bounds.frame}.",
                next_step="Ask for less at once.",
            )
        require_taken(self._callee.takes, data, self._callee.name, self._callee.invalid)
        future: asyncio.Future[msgspec.Raw] = self._loop.create_future()
        self._pending[number] = _Pending(future, self._loop.time(), type(request).__name__)
        if self._watch is None:
            self._watch = self._loop.call_later(self._callee.seconds, self._check_answers)
        try:
            self._socket.send(data, descriptors)
        except OSError as error:
            # Else it counts as one that is not answered, for which the connection is given up.
            del self._pending[number]
            raise self._callee.unavailable(
                f"The {self._callee.name} cannot be passed a descriptor: {error.strerror}.",
                next_step="Try again in a moment.",
            ) from error
        return await future

    async def ask_for(
        self,
        kind: type[T],
        make: Callable[[int], msgspec.Struct],
        descriptors: Sequence[int] = (),
    ) -> T:
        """Likewise, and return its result as a `kind`."""
        answer = await self.ask(make, descriptors)
        return result_of(answer, kind, self._callee.name, self._callee.unavailable)

    def _received(self, body: bytes) -> None:
        answer = decode_reply(body)
        pending = self._pending.pop(answer.n, None)
        if pending is None or pending.future.done():
            return
        future = pending.future
        if answer.failure is None:
            future.set_result(answer.result)
        else:
            future.set_exception(self._callee.errors.error(answer.failure))

    def _check_answers(self) -> None:
        """Give the process up if it has not answered for too long."""
        self._watch = None
        oldest = next(iter(self._pending.values()), None)
        if oldest is None:
            return
        left = oldest.asked_at + self._callee.seconds - self._loop.time()
        if left <= 0:
            _log.error(
                "the %s has not answered %s for %g s, and is given up",
                *(self._callee.name, oldest.what, self._callee.seconds),
            )
            self.close()
        else:
            self._watch = self._loop.call_later(left, self._check_answers)

    def close(self) -> None:
        """Close the connection; what is waited for fails. Closing twice is fine."""
        if self.lost.done():
            return
        self._socket.close()
        if self._watch is not None:
            self._watch.cancel()
        pending, self._pending = self._pending, {}
        for each in pending.values():
            if not each.future.done():
                each.future.set_exception(self._callee.lost())
        self.lost.set_result(None)
