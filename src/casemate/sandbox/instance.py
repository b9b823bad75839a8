"""The gateway's end of one instance: its socket, its output, its answer."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence

import msgspec

from casemate.decoding import DECODING_ERRORS
from casemate.model.invocation import Outcome
from casemate.model.metrics import Told
from casemate.runner import snapshot, wire
from casemate.runner.loaded import SAMPLED
from casemate.sandbox.frames import (
    ERROR_KINDS,
    MAX_MEASURES_BYTES,
    Output,
    Reply,
    decode_error,
    decode_loaded,
    decode_log,
    decode_measures,
    describe_status,
)
from casemate.sandbox.guard_watch import GUARD_KINDS, GuardWatch, OnGuard
from casemate.sandbox.meter import Meter
from casemate.sandbox.outgoing import DELIVERY_SECONDS, Outgoing
from casemate.sandbox.output_pipe import FLOOD_BYTES, FLOOD_PAUSE_SECONDS, OutputPipe
from casemate.sandbox.quiet import has_read_all, is_quiet
from casemate.sandbox.waking import Waking
from casemate.turn_end import TurnEnd

_log = logging.getLogger(__name__)
EXIT_SECONDS = 0.05
_EXIT_NOTICE_SECONDS = 1.0
_GONE_SECONDS = 1.0
"""Within this an instance that is to be killed is gone."""
_REST_BYTES = 16 << 20
"""What may still be in the socket of a process that has ended; no socket's buffer holds as much."""
_FRAME_COST = 64
"""What a line costs us beyond its bytes."""
MAX_REQUEST_BYTES = 8 << 20
"""Body of a capability request."""
_MAX_REQUESTS = 4
"""Capability requests under way at once; an honest instance makes one after the other. One is
under way until its reply is taken, and until what was read together with it is dealt with."""
OnCapability = Callable[["Instance", bytes, bytes], None]
"""Takes the head and body of a capability request; answers it with `Instance.reply`."""


class Instance:
    """One instance. Callbacks come on the event loop; `on_ready` and `on_end` at most once.

    Everything that arrives here was written by a function and is treated as hostile: whatever
    is not exactly a frame that is due now ends the instance.
    """

    __slots__ = (
        "_discarded",
        "_ended",
        "_exit_timer",
        "_freed",
        "_guard",
        "_guard_us",
        "_held",
        "_kill",
        "_loaded_by",
        "_loop",
        "_max_response",
        "_on_capability",
        "_on_end",
        "_on_ready",
        "_outgoing",
        "_own",
        "_paused",
        "_pipe",
        "_reader",
        "_reading",
        "_ready",
        "_requests",
        "_reuse",
        "_sock",
        "_waiter",
        "_waking",
        "begun",
        "born",
        "holds_secret",
        "last",
        "meter",
        "number",
        "on_loaded",
        "pages",
        "restorable",
        "sampled",
        "served",
        "serving",
    )

    def __init__(
        self,
        number: int,
        *,
        sock: socket.socket,
        output: int,
        max_response: int,
        reuse: bool,
        loop: asyncio.AbstractEventLoop,
        on_ready: Callable[[Instance], None],
        on_end: Callable[[Instance], None],
        kill: Callable[[int], None],
        restorable: bool = False,
        held: bool = False,
    ) -> None:
        """Take over a socket and the reading end of a pipe, both non-blocking.

        One that is `held` is told to be ready, and takes an event, only once it is admitted.
        """
        self.number = number
        self.served = 0
        self.holds_secret = False
        """True once a secret's value was given to it; what it says from then on may hold it."""
        self.serving = ""
        """Id of the invocation that it serves, empty if it serves none."""
        self.sampled = False
        """Whether the invocation that it serves is to tell what the sink guard's hooks took."""
        self.last: Reply | None = None
        """How it ended, if it ended while it served nobody."""
        self.meter: Meter | None = None
        """What it uses of the CPU and of memory."""
        self._sock = sock
        waking = self._waking = Waking(lambda: loop.call_soon(self._too_costly))
        self._pipe = OutputPipe(output, loop, waking)
        self._max_response = max_response
        self._reader = wire.FrameReader(
            wire.KINDS_FROM_INSTANCE, max(max_response, MAX_REQUEST_BYTES)
        )
        self._loop = loop
        self._on_ready = on_ready
        self._on_end = on_end
        self._kill = kill
        self._reuse = reuse or restorable
        self.restorable = restorable
        """True for one that is made ready again by a restorer, and used no more without it."""
        self.born = self.begun = loop.time()
        self.pages = 0
        """How many were written back when it was made ready last."""
        self._ready = False
        self._held = held
        self._ended = False
        self._waiter: asyncio.Future[Reply] | None = None
        self._outgoing = Outgoing(
            sock, loop, waking, on_taken=self._reply_taken, on_stalled=self._reply_stalled
        )
        self._on_capability: OnCapability | None = None
        self._guard = GuardWatch(loop, self._blocked)
        self._own: tuple[Told, ...] = ()
        self._guard_us: int | None = None
        self.on_loaded: Callable[[list[str]], None] = lambda _files: None
        """Told of files of dependencies that a call has loaded."""
        self._loaded_by = ""
        """Id of the latest invocation that told any."""
        self._requests = 0
        self._freed = 0
        self._reading = False
        self._paused = False
        self._discarded = 0
        self._exit_timer: asyncio.TimerHandle | None = None
        loop.add_reader(sock.fileno(), self._readable)

    # -- invoking ------------------------------------------------------------------------------

    def admit(self) -> None:
        """Let one that was held take events."""
        if self._held:
            self._held = False
            if self._ready and not self._ended:
                self._on_ready(self)

    def invoke(
        self,
        head: bytes,
        event: bytes,
        output: Output,
        on_capability: OnCapability | None = None,
        on_guard: OnGuard | None = None,
        turn_end: TurnEnd | None = None,
    ) -> asyncio.Future[Reply]:
        """Send an event; the future holds the reply, however the invocation ends.

        Capability requests go to `on_capability` until then; without it they are a violation. So
        does what the sink guard tells to `on_guard`. With `turn_end` it is sent then.
        """
        self._pipe.output = output
        self._guard.begin(on_guard)
        self._discarded = 0
        self._on_capability = on_capability
        waiter = self._waiter = self._loop.create_future()
        if self._held:
            self._fail(Outcome.INTERNAL_ERROR, "InternalError", "its files were not examined")
            return waiter
        if self._ended:
            self._finish(Reply(Outcome.CRASHED, type="InstanceGone", message="it had ended"))
            return waiter
        header = wire.header(wire.INVOKE, head, event)
        if turn_end is None:
            self._outgoing.put(header, event, reply=False)
        else:
            self._outgoing.put_later(turn_end, header, event)
        return waiter

    def reply(
        self, served: int, head: bytes, body: bytes = b"", descriptors: Sequence[int] = ()
    ) -> bool:
        """Answer a capability request of the invocation that began when `served` was that.

        A reply to an invocation that is over goes nowhere. Returns False if descriptors could
        not be sent because the instance does not read. One that does not read a reply within
        DELIVERY_SECONDS is ended.
        """
        if self._ended or self._waiter is None or served != self.served:
            return True
        start = wire.header(wire.REPLY, head, body)
        sent = 0
        if descriptors:
            if self._outgoing:
                return False
            begun = self._waking.begin()
            try:
                sent = socket.send_fds(self._sock, [start], list(descriptors))
                self._waking.end(begun)
            except BlockingIOError:
                return False
            except OSError:
                return True  # its end is about to be read
        self._outgoing.put(memoryview(start)[sent:], body, reply=True)
        return True

    async def taken(self) -> None:
        """Wait until it has taken all that was sent to it, or has ended."""
        await self._outgoing.sent()

    def _reply_taken(self) -> None:
        # What is read together came before any reply to it could be read.
        if self._reading:
            self._freed += 1
        else:
            self._requests -= 1

    def _reply_stalled(self) -> None:
        self._fail(
            Outcome.PROTOCOL_VIOLATION,
            "ReplyNotRead",
            f"it did not read the reply to its request within {DELIVERY_SECONDS:g} s",
        )

    def _too_costly(self) -> None:
        self._fail(
            Outcome.PROTOCOL_VIOLATION,
            "TooManyWait",
            "so much of it waits at its socket or output, by epoll, poll or forks, that waking it"
            " takes the node too long; have each waited for once",
        )

    @property
    def output(self) -> Output | None:
        """Where what it writes goes now."""
        return self._pipe.output

    def _blocked(self, message: str) -> None:
        self._fail(Outcome.BLOCKED, "BlockedError", message)

    def expire(self) -> None:
        """End the invocation under way: its time is up."""
        self._fail(Outcome.TIMEOUT, "Timeout", "the handler did not answer within its time")

    # -- reading -------------------------------------------------------------------------------

    def _readable(self) -> None:
        begun = self._waking.begin()
        try:
            data = self._sock.recv(self._reader.read_size)
            self._waking.end(begun)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._lost()
            return
        self._feed(data)
        if self._paused and not self._ended:
            self._loop.remove_reader(self._sock.fileno())
            self._loop.call_later(FLOOD_PAUSE_SECONDS, self._resume)

    def _resume(self) -> None:
        self._paused = False
        if not self._ended and self._exit_timer is None:
            self._loop.add_reader(self._sock.fileno(), self._readable)

    def _feed(self, data: bytes) -> None:
        """Take what was read; whatever is wrong with it ends the instance."""
        self._reading = True
        try:
            for kind, head, body in self._reader.feed(data):
                self._on_frame(kind, head, body)
        except (wire.FrameError, *DECODING_ERRORS) as error:
            self._fail(Outcome.PROTOCOL_VIOLATION, "ProtocolViolation", str(error))
        except Exception:  # noqa: BLE001
            # A fault of ours must not leave an instance that nobody ends.
            _log.exception("a frame of instance %d could not be dealt with", self.number)
            self._fail(Outcome.INTERNAL_ERROR, "InternalError", "the host failed")
        finally:
            self._reading = False
            self._requests -= self._freed
            self._freed = 0

    def _on_frame(self, kind: bytes, head: bytes, body: bytes) -> None:
        if kind == wire.ANSWER and self._waiter is not None:
            if len(body) > self._max_response:
                raise wire.FrameError(f"an answer of {len(body)} bytes is over the limit")
            self._finish(Reply(Outcome.OK, head, body, reusable=self._reusable))
        elif kind == wire.READY and not self._ready:
            self._be_ready()
        elif kind == wire.LOG and self._waiter is not None:
            self._on_log(head, body)
        elif kind == wire.CAPABILITY and self._waiter is not None and self._on_capability:
            self._requests += 1
            if self._requests > _MAX_REQUESTS:
                raise wire.FrameError("more capability requests than may be under way")
            self._on_capability(self, head, body)
        elif kind in GUARD_KINDS and self._waiter is not None and self._guard.due:
            self._guard.take_frame(kind, head, body)
        elif kind == wire.MEASURES and self._waiter is not None:
            self._on_measures(head, body)
        elif kind == wire.LOADED and self._waiter is not None:
            self._on_loaded_frame(head, body)
        elif kind == wire.ERROR:
            error = decode_error(head)
            outcome = ERROR_KINDS.get(error.kind)
            if outcome is None or (self._waiter is None) != (outcome is Outcome.INIT_ERROR):
                raise wire.FrameError("an error that is not due")
            reusable = self._reusable and outcome is not Outcome.INIT_ERROR
            held, values = snapshot.parts(bytes(body))
            self._finish(
                Reply(
                    outcome,
                    type=error.type,
                    message=error.message,
                    trace=error.trace,
                    held=held,
                    values=values,
                    reusable=reusable,
                )
            )
        else:
            raise wire.FrameError(f"a frame of kind {kind!r} is not due")

    def _be_ready(self) -> None:
        self._ready = True
        if not self._held:
            self._on_ready(self)

    def _on_measures(self, head: bytes, body: bytes) -> None:
        if self._own or self._guard_us is not None or body or len(head) > MAX_MEASURES_BYTES:
            raise wire.FrameError("measurements that are not due, or too many")
        told = decode_measures(head)
        if not (told.own if told.guard_us is None else self.sampled):
            raise wire.FrameError("measurements that are not due")
        self._own, self._guard_us = told.own, told.guard_us

    def _on_loaded_frame(self, head: bytes, body: bytes) -> None:
        if body or self._loaded_by == self.serving or not self.serving.endswith(SAMPLED):
            raise wire.FrameError("a list of what was loaded that is not due")
        self._loaded_by = self.serving
        self.on_loaded(decode_loaded(head).files)

    def _on_log(self, head: bytes, body: bytes) -> None:
        entry = decode_log(head)
        output = self._pipe.output
        if output is not None:
            self._pipe.read_rest()  # what was printed before it comes before it
        if output is None or output.add(entry.at, entry.level[:16], body + b"\n"):
            return
        # As with what is printed: a flood costs its writer.
        self._discarded += _FRAME_COST + len(head) + len(body)
        self._paused = self._discarded > FLOOD_BYTES

    @property
    def _reusable(self) -> bool:
        # What it has not read would be taken for a reply to the next caller's request.
        return self._reuse and not self._reader.pending and not self._outgoing

    def has_read_all(self) -> bool:
        """Tell whether it has taken all that was sent to it: only then it is made ready again."""
        return not self._outgoing and has_read_all(self._sock.fileno())

    def quiet(self) -> bool:
        """Tell whether it, made ready again, has nothing left of its last call on the way."""
        self.holds_secret = False
        if is_quiet(self._sock.fileno(), self._pipe.fileno()):
            return True
        self._pipe.read()  # what is left belongs to the call before
        return is_quiet(self._sock.fileno(), self._pipe.fileno())

    # -- ending --------------------------------------------------------------------------------

    def _finish(self, reply: Reply) -> None:
        """Give the reply to whoever waits; what was written before it belongs to it."""
        if not self._ended:
            self._pipe.read_rest()
        waiter, self._waiter = self._waiter, None
        self._on_capability = None
        self._requests = self._freed = 0
        reply = self._guard.end(reply)
        if self._own:
            reply = msgspec.structs.replace(reply, own=self._own)
            self._own = ()
        if self._guard_us is not None:
            reply = msgspec.structs.replace(reply, guard_us=self._guard_us)
            self._guard_us = None
        self.sampled = False
        self.serving = ""
        self.served += 1
        if waiter is not None and not waiter.done():
            waiter.set_result(reply)
        if not reply.reusable:
            # One that has answered ends by itself; who does not is killed a little later.
            self.close(gently=reply.outcome is Outcome.OK)
        if waiter is None:
            self.last = reply
            self._on_end(self)

    def _fail(self, outcome: Outcome, kind: str, message: str) -> None:
        self._finish(Reply(outcome, type=kind, message=message))

    def _lost(self) -> None:
        """The socket is closed: wait shortly for the supervisor to say how the process ended."""
        self._loop.remove_reader(self._sock.fileno())
        if self._exit_timer is None:
            # A process may close its socket and live on.
            self._exit_timer = self._loop.call_later(
                _EXIT_NOTICE_SECONDS,
                self._fail,
                Outcome.CRASHED,
                "SocketClosed",
                "the process closed its socket without an answer",
            )

    def exited(self, status: int, *, out_of_memory: bool, ended_by_node: str = "") -> None:
        """Take the supervisor's word that the process is gone.

        `ended_by_node` is why, where it is no doing of the function's.
        """
        if self._ended:
            return
        # An answer may still be in the socket.
        self._readable_rest()
        if self._ended:
            return
        if self._waiter is None and self._ready:
            self.close()
            self._on_end(self)
        elif out_of_memory:
            self._fail(
                Outcome.OUT_OF_MEMORY, "OutOfMemory", "the instance took more than its memory limit"
            )
        elif ended_by_node:
            self._fail(Outcome.INTERNAL_ERROR, "EndedByNode", f"the node ended it: {ended_by_node}")
        else:
            self._fail(Outcome.CRASHED, "Crashed", f"the process {describe_status(status)}")

    def _readable_rest(self) -> None:
        left = _REST_BYTES
        while not self._ended:
            try:
                data = self._sock.recv(self._reader.read_size)
            except OSError:
                return
            if not data:
                return
            left -= len(data)
            if left < 0:
                # Somebody else writes to it, a zygote that was taken over.
                message = "its socket is written to after its end"
                self._fail(Outcome.PROTOCOL_VIOLATION, "ProtocolViolation", message)
                return
            self._feed(data)

    def close(self, *, gently: bool = False) -> None:
        """Kill the instance and release its descriptors. Closing twice is fine.

        `gently` gives it EXIT_SECONDS to end by itself first.
        """
        if self._ended:
            return
        self._ended = True
        if self._exit_timer is not None:
            self._exit_timer.cancel()
        self._loop.remove_reader(self._sock.fileno())
        self._guard.close()
        self._outgoing.close()
        self._pipe.close()
        if self._waking.is_excessive:
            # To close it wakes all of them once more: only when they are gone.
            self._loop.call_later(_GONE_SECONDS, self._sock.close)
        else:
            self._sock.close()
        if gently:
            self._loop.call_later(EXIT_SECONDS, self._kill, self.number)
        else:
            self._kill(self.number)

    @property
    def alive(self) -> bool:
        """True until it was closed."""
        return not self._ended
