"""An instance: takes invocations from its socket, runs the handler, answers.

Started by `zygote.py` right after the fork; `lock_down` comes before everything else.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import inspect
import os
import resource
import select
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from types import CoroutineType
from typing import Any

from ..guard.core import Guard, place_of
from ..guard.labels import Labels
from ..guard.leaks.judgement import Judge, described
from ..guard.sample import SAMPLE
from ..guard.sinks.file import check_written
from ..guard.sinks.response import check_answer, check_result
from ..kernel import flagging, landlock, linux
from . import allocating, seeding, wire
from . import event as events
from .answers import BadResultError, answer, json_bytes
from .channel import Channel
from .context import Context, Log
from .failures import MAX_MESSAGE, describe, error_frame, held_at
from .json_codec import decode, encode
from .loaded import LateImports
from .measures import Measures
from .shared_at_import import NEVER_CLOSED, ByCall
from .trace import of as trace_of
from .trace import tell

Handler = Callable[[Any, Context], Any]

SOCKET_FD = 3
"""Where an instance has its socket; its zygote has the control socket there before the fork."""
_MAX_READ_AGAIN = 64 * 1024
"""Bytes of an event that is read once more if a sink asks about it; a larger one is looked at
before its handler runs."""
_FIRST_READ = 4000
"""Bytes of a call that are read first where it is restored: room for more would be written on, and
is more than most calls need."""
_whatever_it_is = contextlib.suppress(Exception)
_ASKED_OF_EVENTS = ("__getitem__", "__contains__", "get", "data")
"""Types find these by a table, which is written on where they are not in it."""
REHEARSALS = 60


_TOUCHES = tuple(
    wire.pack(
        wire.INVOKE,
        b'{"id":"","deadline":0.5,"http":%b,"version":"","shape":"","at":0.5}' % more,
        b'{"a":["b",1]}',
    )
    for more in (b"false", b"true", b'false,"guard_sampled":true')
)
"""Made-up events: of a direct call, as of a route, and of one whose guard is measured."""


def lock_down(
    *,
    tmpfs: int,
    restriction: landlock.Restriction | None,
    processes: int,
    program: linux.PreparedFilter,
    flag: linux.PreparedFilter | None = None,
) -> None:
    """Take the last rights away. The order matters, each step needs what the next one removes.

    The private /tmp is mounted first: Landlock forbids mounts, and the capabilities that the new
    user namespace brought are dropped after it. The filter comes last: it forbids the rest. Since
    it forbids other filters too, the one that flags calls is loaded before it.
    """
    linux.attach_mount(tmpfs, "/tmp")  # noqa: S108
    resource.setrlimit(resource.RLIMIT_NPROC, (processes, processes))
    if restriction is not None:
        restriction.apply(tmpfs)
    os.close(tmpfs)
    linux.drop_capabilities(bounding=False)
    linux.set_not_dumpable()
    if flag is not None:
        flag.install()
    program.install()


def flush_output() -> None:
    """Write out what was printed. A handler may have closed or replaced the streams."""
    for name in ("stdout", "stderr"):
        with _whatever_it_is:
            getattr(sys, name).flush()


def _run_in_new_loop(coroutine: Any) -> Any:
    """Run a coroutine in a loop of its own, of which nothing stays open."""
    import asyncio

    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(coroutine)
    finally:
        loop.close()


def _echo(event: Any, _context: Context) -> Any:
    """Handle a made-up event."""
    return event


class Instance:
    """Serves invocations one at a time."""

    def __init__(
        self,
        handler: Handler,
        assignment: dict[str, Any],
        sock: socket.socket,
        guard: Guard,
        late: LateImports,
        *,
        restored: ByCall | None = None,
        allocators: Sequence[allocating.Choice] = (),
    ) -> None:
        """Prepare everything that can be prepared before an event is there.

        One that is `restored` from outside after each call, with what it has open for one alone,
        waits for the next. `allocators` are those that are changed for it: whatever its handler
        does not make is to be together.
        """
        self._handler = handler
        self._guard = guard
        self._place = place_of(handler)
        self._judge = Judge(guard.raised)
        guard.report = self._report
        guard.acts.tell = self._tell_denied
        self._sock = sock
        self._project = assignment["project"]
        self._function = assignment["function"]
        self._memory = assignment["memory"]
        self._max_response = assignment["response"]
        self._restored = restored
        self._allocators = allocators
        self._reuse = restored is not None or assignment["isolation"] == "instance"
        self._log = Log(self.emit)
        self._measures = Measures()
        self._late = late
        self._channel = Channel(sock)
        self._channel.labels = Labels(guard)
        self._channel.acting = guard.acts.operation
        self._run_async: Callable[[Any], Any] | None = None
        called = type(handler).__call__  # of an object that is a handler
        if inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(called):
            import asyncio

            # The descriptors of a loop would be among those that one that is restored keeps.
            once = None if restored is None else _run_in_new_loop
            self._run_async = once or asyncio.new_event_loop().run_until_complete
        self._reader = wire.FrameReader(frozenset((wire.INVOKE,)), 1 << 31)
        self._next: select.poll | None = None
        if self._reuse and restored is None:
            self._next = select.poll()
            self._next.register(sock, select.POLLIN)

    def emit(self, level: str, text: str) -> None:
        """Send a log line."""
        head = encode({"level": level, "at": time.time()}).encode()
        self._channel.send(wire.pack(wire.LOG, head, text[:MAX_MESSAGE].encode(errors="replace")))

    def _report(self, record: dict[str, Any]) -> None:
        """Tell the host of a call that the sink guard stopped, before anybody can catch that."""
        head = encode(record).encode(errors="replace")
        self._channel.send(wire.pack(wire.GUARD, head))

    def _tell_denied(self, package: str, kind: str, what: str) -> None:
        """Tell the host of what a package was not let do, before anybody can catch that."""
        if not self._channel.open:
            return  # what is told between invocations is of none
        place = self._guard.place()
        where = place.text if place is not None else ""
        head = encode({"denied": [[package, kind, what, where]]}).encode(errors="replace")
        self._channel.send(wire.pack(wire.PACKAGES, head))

    def touch(self) -> None:
        """Go along the path of an invocation, so that its memory is this process's own.

        All of it but the handler, which gets to see no made-up event. Where it begins again here
        for each call, also of calls of other kinds.
        """
        handler, self._handler = self._handler, _echo
        run, self._run_async = self._run_async, None
        for made_up in _TOUCHES if self._restored is not None else _TOUCHES[:1]:
            for _kind, raw, body in self._reader.feed(made_up):
                self._measures.before(self._frame(decode(raw.decode()), body))
        self._handler, self._run_async = handler, run
        flush_output()
        if self._restored is not None:
            self._restored.open()
            self._restored.close()
        for name in _ASKED_OF_EVENTS:
            getattr(events.Event, name)

    def _read(self, head: dict[str, Any], body: bytes) -> tuple[Any, events.Event, str]:
        """Return what the handler gets, its event, and the shape it came in; tell the guard."""
        shape: str = head.get("shape", events.PLAIN)
        origin = events.Origin(head, self._project, self._function, self._note)
        decoded = decode(body.decode())
        given, event = events.read(shape, decoded, origin)
        self._begin(given, shape, body, head)
        if shape == events.AWS:
            # What handlers of this shape hardly ask for: it holds the same once more.
            self._guard.add("event", decoded["events"])
        return given, event, shape

    def _begin(self, given: Any, shape: str, body: bytes, head: dict[str, Any]) -> None:
        """Tell the guard of an event, which may be taken apart before it is asked about."""
        if len(body) > _MAX_READ_AGAIN:
            self._guard.begin(given)
            self._guard.remember()
            return

        # No function of its own: CPython notes of each that is made, and ends, which it was.
        self._guard.begin(given, again=functools.partial(self._read_again, shape, body, head))

    def _read_again(self, shape: str, body: bytes, head: dict[str, Any]) -> Any:
        """Return what the handler got, made anew."""
        origin = events.Origin(head, self._project, self._function)
        return events.read(shape, decode(body.decode()), origin)[0]

    def _note(self, data: Any) -> Any:
        """Tell the guard of data that is taken from the event only now."""
        self._guard.add("event", data, "/data")
        return data

    def _context(self, head: dict[str, Any], event: events.Event) -> Context:
        trace = trace_of(head)
        tell(trace)
        return Context(
            event=event,
            request_id=head["id"],
            deadline=head["deadline"],
            project=self._project,
            function_name=self._function,
            function_version=head["version"],
            memory_limit=self._memory,
            log=self._log,
            channel=self._channel,
            measures=self._measures,
            trace=trace,
        )

    def _frame(self, head: dict[str, Any], event: bytes) -> bytes:
        """Run the handler once and return the frame to send.

        What the sink guard has stopped was stopped, whatever the handler made of it.
        """
        guard = self._guard
        guard.raised.clear()
        self._measures.clear()
        sampled = "guard_sampled" in head
        if sampled:
            SAMPLE.begin()
        frame = self._answered(head, event)
        if sampled:
            self._measures.guard_us = SAMPLE.end()
        blocked, guard.blocked = guard.blocked, None
        guard.end()
        guard.raised.clear()
        if blocked is not None and frame[:1] != wire.ERROR:
            detail = {"type": "BlockedError", "message": blocked, "trace": ""}
            frame = error_frame("blocked", detail)
        if guard.acts.met:
            frame = self._acts() + frame
        return self._shapes() + frame if guard.shapes.met or guard.shapes.refused else frame

    def _shapes(self) -> bytes:
        """Return the frame of what reached sinks in shapes that the host does not know."""
        shapes = self._guard.shapes
        told = {"met": list(shapes.met), "refused": list(shapes.refused)}
        return wire.pack(wire.GUARD, b"{}", encode(told).encode(errors="replace"))

    def _acts(self) -> bytes:
        """Return the frame of what packages did."""
        met = self._guard.acts.met.items()
        used = [[package, kind, count] for (package, kind), count in met]
        return wire.pack(wire.PACKAGES, encode({"used": used}).encode(errors="replace"))

    def _answered(self, head: dict[str, Any], event: bytes) -> bytes:
        guard = self._guard
        try:
            given, seen, shape = self._read(head, event)
            result = self._handled(given, self._context(head, seen))
            check_written(guard, self._place)
            if head["http"]:
                check_answer(guard, result, self._place)
            else:
                check_result(guard, result, self._place)
            reply, body = answer(result, http=head["http"], shape=shape)
            answer_head = json_bytes(reply) if reply else b"{}"
        except BadResultError as error:
            return self._failed("bad-result", describe(error))
        except BaseException as error:  # noqa: BLE001 - SystemExit is the handler's outcome too
            return self._failed("handler-error", describe(error), held_at(error))
        if len(body) > self._max_response:
            size = f"{len(body)} bytes; the function's limit is {self._max_response}"
            detail = {"type": "ResponseTooLarge", "message": size, "trace": ""}
            return self._failed("response-too-large", detail)
        return self._outward(answer_head, body, head.get("open", ()))

    def _handled(self, given: Any, context: Context) -> Any:
        """Return what the handler returns, which has pools for what it makes, as usual."""
        if self._allocators:
            allocating.use_pools(self._allocators)
        try:
            result = self._handler(given, context)
            if self._run_async is not None:
                return self._run_async(result)
            # Of an asynchronous one, which something that is not leads to, such as a decorator.
            return _run_in_new_loop(result) if type(result) is CoroutineType else result
        finally:
            if self._allocators:
                allocating.use_malloc(self._allocators)

    def _outward(self, head: bytes, body: bytes, open_kinds: Sequence[str]) -> bytes:
        """Return the frame of an answer, or of the error that is in its place."""
        try:
            # What is read here is not the handler's to be asked about.
            self._guard.end()
            exposure = self._judge.find(head, body, open_kinds)
            if exposure is None:
                return wire.pack(wire.ANSWER, head, body)
            detail = described(exposure, head, body)
        except BaseException as error:  # noqa: BLE001 - what was not looked through stays here
            detail = describe(error)
        return self._failed("exposed", detail)

    def _failed(self, kind: str, detail: dict[str, str], held: bytes = b"") -> bytes:
        """Return the frame of an error; what came of a call that was stopped is that stop."""
        return error_frame(kind if self._guard.blocked is None else "blocked", detail, held)

    def serve(self) -> None:
        """Answer invocations until the socket closes, or after one if not reused."""
        receive, reader = self._sock.recv, self._reader
        self._sock.sendall(wire.pack(wire.READY))
        has_served = False
        while data := self._wait():
            if self._restored is not None:
                # Set back it has not: who sets it back was killed while it stood before its wait,
                # which the kernel has it make then, in memory as the call has left it.
                if has_served:
                    return
                has_served = True
                seeding.reseed()
                if len(data) == _FIRST_READ:
                    # Much is made of it, for which pools are the faster ones.
                    allocating.use_pools(self._allocators)
                self._restored.open()
            answered = False
            while not answered:
                for _kind, raw, event in reader.feed(data):
                    self._channel.open = True
                    head = decode(raw.decode())
                    frame = self._late.before(self._frame(head, event), head["id"])
                    flush_output()
                    self._channel.finish(self._measures.before(frame))
                    if not self._reuse:
                        return
                    if self._restored is not None:
                        self._restored.close()
                    answered = True
                if not answered and not (data := receive(reader.read_size)):
                    return

    def _wait(self) -> bytes:
        """Return the first of what comes next; empty if nothing will."""
        if self._restored is None:
            if self._next is not None:
                # In recv(2) it would be woken whenever its own answer is read, to wait on.
                self._next.poll()
            return self._sock.recv(self._reader.read_size)
        try:
            # Before this very call it is stopped, and set back.
            return self._sock.recv(_FIRST_READ, flagging.WAITING)
        except OSError as error:
            if error.errno == errno.ENOSYS:
                return b""  # nobody is there to restore it
            raise


def _rehearsed(sock: socket.socket, *, restored: bool) -> Instance:
    """Return an instance of no function."""
    assignment = {
        "project": "",
        "function": "",
        "memory": 0,
        "response": 1024,
        "isolation": "request",
    }
    by_call = NEVER_CLOSED if restored else None
    return Instance(_echo, assignment, sock, Guard(), LateImports(), restored=by_call)


@contextlib.contextmanager
def rehearsing_calls() -> Iterator[Callable[[], None]]:
    """Give what takes one made-up event along what every call runs, and nothing else."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        rehearsed = _rehearsed(theirs, restored=False)

        def once() -> None:
            for made_up in _TOUCHES:
                ours.sendall(made_up)
                rehearsed.serve()
                seeding.reseed()
                ours.recv(wire.SHORT_READ)

        yield once


def rehearse(landlock_abi: int) -> None:
    """Run the path of an invocation often enough for the interpreter to specialise its code."""
    restriction = landlock.Restriction(landlock_abi) if landlock_abi else None
    anywhere = os.open("/", os.O_PATH | os.O_CLOEXEC)
    for number in range(2 * REHEARSALS):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.sendall(_TOUCHES[number // 2 % len(_TOUCHES)])
            ours.shutdown(socket.SHUT_WR)
            # Where one waits must not change by what the interpreter makes of its code.
            rehearsed = _rehearsed(theirs, restored=number % 2 == 1)
            rehearsed.touch()
            rehearsed.serve()
            if restriction is not None:
                os.close(restriction.prepare(anywhere))
    # A descriptor of the base's root would lead every function to every bundle.
    os.close(anywhere)
    if restriction is not None:
        restriction.close()


def reseed() -> None:
    """Give the random generators that do not notice a fork new seeds."""
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()
