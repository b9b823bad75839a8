"""The gateway's way to the supervisor: opens zygotes, has them fork, hears of deaths."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import socket
from collections.abc import Callable

import msgspec

from casemate.model.deployment import Version
from casemate.model.errors import CasemateError, UnavailableError
from casemate.model.function import Isolation
from casemate.runner import wire
from casemate.sandbox import protocol
from casemate.sandbox.instance import ErrorHead, Instance

_MAX_PACKETS_PER_TURN = 64
_IMPORT_SECONDS_LEAST = 10.0
_PRINTED_BYTES = 64 * 1024
_decode_event = msgspec.json.Decoder(protocol.Event).decode


def _collect(descriptor: int, printed: bytearray) -> None:
    """Read what an import prints, so that it never waits for us; keep the first of it."""
    try:
        data = os.read(descriptor, 65536)
    except OSError:
        return
    printed += data[: _PRINTED_BYTES - len(printed)]


class SupervisorLostError(UnavailableError):
    """The supervisor is gone; nothing can run until the node is started again."""


class ImportFailedError(CasemateError):
    """The function's module cannot be imported."""

    def __init__(self, error: ErrorHead, output: str) -> None:
        """Keep the exception as the zygote described it, and what the import printed."""
        super().__init__(f"{error.type}: {error.message}")
        self.error = error
        self.output = output


class Zygote:
    """The gateway's handle of one function zygote."""

    def __init__(self, client: SandboxClient, number: int, version: Version) -> None:
        """Made by SandboxClient.open only."""
        self._client = client
        self._max_body = version.spec.limits.response
        self._reuse = version.spec.isolation is Isolation.INSTANCE
        self.number = number
        self.version = version
        self.alive = True
        self.instances: dict[int, Instance] = {}
        self.forks = 0
        """How many instances were asked for so far."""
        self.on_ended: Callable[[str], None] = lambda reason: None

    def spawn(
        self, on_ready: Callable[[Instance], None], on_end: Callable[[Instance], None]
    ) -> Instance:
        """Ask for an instance. `on_ready` or `on_end` is called later. Raises OSError."""
        number = self.forks
        self.forks += 1
        ours, theirs = socket.socketpair()
        with theirs:
            reading, writing = os.pipe2(os.O_CLOEXEC)
            try:
                ours.setblocking(False)
                os.set_blocking(reading, False)
                request = protocol.Spawn(self.number, number)
                self._client.send(request, [theirs.fileno(), writing])
            except BaseException:
                ours.close()
                os.close(reading)
                raise
            finally:
                os.close(writing)
        instance = Instance(
            number,
            sock=ours,
            output=reading,
            max_body=self._max_body,
            reuse=self._reuse,
            loop=self._client.loop,
            on_ready=on_ready,
            on_end=on_end,
            kill=self._kill,
        )
        self.instances[number] = instance
        return instance

    def _kill(self, number: int) -> None:
        if self.alive and number in self.instances:
            # Without a supervisor there is no instance either.
            with contextlib.suppress(SupervisorLostError):
                self._client.send(protocol.Kill(self.number, number), ())

    def close(self) -> None:
        """End the zygote and its instances."""
        if self.alive:
            with contextlib.suppress(SupervisorLostError):
                self._client.send(protocol.Close(self.number), ())

    def handle(self, event: protocol.Event) -> None:
        """Take an event of this zygote."""
        match event:
            case protocol.Exited():
                instance = self.instances.pop(event.i, None)
                if instance is not None:
                    instance.exited(event.status, out_of_memory=event.out_of_memory)
            case protocol.SpawnFailed():
                instance = self.instances.pop(event.i, None)
                if instance is not None:
                    instance.exited(0, out_of_memory=False)
            case protocol.ZygoteEnded():
                self.alive = False
                instances, self.instances = self.instances, {}
                for instance in instances.values():
                    instance.exited(9, out_of_memory=False)
                self.on_ended(event.reason)
            case protocol.Opened():
                pass


class SandboxClient:
    """One per gateway."""

    def __init__(self, sock: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
        """Speak to the supervisor over a connected SOCK_SEQPACKET socket."""
        sock.setblocking(False)
        # Room for a burst of requests while the supervisor is busy; a full socket is an error.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
        self._sock = sock
        self.loop = loop
        self._numbers = itertools.count(1)
        self._zygotes: dict[int, Zygote] = {}
        self._opening: dict[int, asyncio.Future[str | None]] = {}
        self.lost: asyncio.Future[None] = loop.create_future()
        loop.add_reader(sock.fileno(), self._readable)

    def send(self, request: protocol.Request, descriptors: list[int] | tuple[int, ...]) -> None:
        """Send a request. Raises SupervisorLostError."""
        payload = msgspec.json.encode(request)
        try:
            if descriptors:
                socket.send_fds(self._sock, [payload], descriptors)
            else:
                self._sock.send(payload)
        except OSError as error:
            raise SupervisorLostError(f"the supervisor takes no requests: {error}") from error

    def prepare(self, minor: str) -> None:
        """Have an interpreter ready for the first call."""
        self.send(protocol.Prepare(minor), ())

    async def open(self, version: Version) -> Zygote:
        """Start a zygote for a version and wait for its import.

        Raises ImportFailedError with the function's own error, UnavailableError otherwise.
        """
        spec, limits = version.spec, version.spec.limits
        number = next(self._numbers)
        opened: asyncio.Future[str | None] = self.loop.create_future()
        self._opening[number] = opened
        zygote = self._zygotes[number] = Zygote(self, number, version)
        report, theirs = socket.socketpair()
        reading, writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        printed = bytearray()
        os.set_blocking(writing, True)
        try:
            with theirs:
                request = protocol.Open(
                    z=number,
                    python=str(spec.python),
                    digest=version.digest,
                    project=version.project,
                    function=version.function,
                    handler=spec.handler,
                    isolation=spec.isolation,
                    trust=spec.trust,
                    memory=limits.memory,
                    cpu=limits.cpu,
                    processes=limits.processes,
                    open_files=limits.open_files,
                    tmp=limits.tmp,
                    response=limits.response,
                )
                try:
                    self.send(request, [theirs.fileno(), writing])
                except BaseException:
                    del self._zygotes[number]
                    raise
                finally:
                    os.close(writing)
            self.loop.add_reader(reading, _collect, reading, printed)
            report.setblocking(False)
            reason = await self._opened(opened, limits.timeout)
            if reason is not None:
                _collect(reading, printed)
                raise self._failure(reason, report, printed.decode(errors="replace"))
        except BaseException:
            zygote.close()
            raise
        finally:
            del self._opening[number]
            report.close()
            self.loop.remove_reader(reading)
            os.close(reading)
        return zygote

    @staticmethod
    async def _opened(opened: asyncio.Future[str | None], timeout: float) -> str | None:  # noqa: ASYNC109
        """Wait for the import; return why it failed, None if it did not."""
        seconds = max(timeout, _IMPORT_SECONDS_LEAST)
        try:
            return await asyncio.wait_for(opened, seconds)
        except TimeoutError:
            return f"the import took longer than {seconds:g} s"

    @staticmethod
    def _failure(reason: str, report: socket.socket, printed: str) -> CasemateError:
        """Return the error to raise, with the function's own words where there are any."""
        try:
            data = report.recv(wire.MAX_HEAD_BYTES)
            frames = wire.FrameReader(frozenset((wire.ERROR, wire.READY)), 0).feed(data)
            for kind, head, _body in frames:
                if kind == wire.ERROR:
                    return ImportFailedError(msgspec.json.decode(head, type=ErrorHead), printed)
        except (OSError, wire.FrameError, msgspec.MsgspecError):
            pass
        if "import" in reason or "zygote is gone" in reason:
            return ImportFailedError(ErrorHead("init-error", "InitFailed", reason, ""), printed)
        return UnavailableError(f"The function cannot be started: {reason}.")

    def _readable(self) -> None:
        for _ in range(_MAX_PACKETS_PER_TURN):
            try:
                data = self._sock.recv(protocol.MAX_PACKET)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self._supervisor_lost()
                return
            self._on_event(_decode_event(data))

    def _on_event(self, event: protocol.Event) -> None:
        zygote = self._zygotes.get(event.z)
        if zygote is None:
            return
        opening = self._opening.get(event.z)
        if opening is not None and not opening.done():
            if isinstance(event, protocol.Opened):
                opening.set_result(None)
            elif isinstance(event, protocol.ZygoteEnded):
                opening.set_result(event.reason)
        if isinstance(event, protocol.ZygoteEnded):
            del self._zygotes[event.z]
        zygote.handle(event)

    def _supervisor_lost(self) -> None:
        self.loop.remove_reader(self._sock.fileno())
        for number in list(self._zygotes):
            self._on_event(protocol.ZygoteEnded(number, "the supervisor is gone"))
        if not self.lost.done():
            self.lost.set_result(None)

    @property
    def zygotes(self) -> int:
        """Number of zygotes open or opening."""
        return len(self._zygotes)

    @property
    def instances(self) -> int:
        """Number of instances alive or starting."""
        return sum(len(z.instances) for z in self._zygotes.values())
