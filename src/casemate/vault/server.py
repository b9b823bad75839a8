"""The vault's loop: one connection for each gateway, one control socket; redaction has a thread.

Whatever is wrong with a message ends the connection it came on and nothing else. The loop ends
when the control socket does: the vault lives no longer than its supervisor.
"""

from __future__ import annotations

import logging
import os
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from casemate.child.heartbeat import BEAT_SECONDS, Heart
from casemate.model.errors import CasemateError
from casemate.model.frames import FrameBuffer, FrameError
from casemate.vault import protocol
from casemate.vault.delivery import Delivery, check_pipe
from casemate.vault.engine import VaultEngine
from casemate.vault.errors import VaultError
from casemate.vault.redaction_worker import RedactionWorker

MAX_CONNECTIONS = 8
MAX_DELIVERIES = 256
_MAX_DESCRIPTORS = 64
_READ_BYTES = 64 * 1024
_MAX_UNSENT = 32 * 1024 * 1024

_log = logging.getLogger("casemate.vault")

_HANDLERS: dict[type[protocol.Message], Callable[[VaultEngine, Any], object]] = {
    protocol.GetDataKey: lambda v, r: v.data_key(r.project, r.purpose, r.version),
    protocol.GetPublicKey: lambda v, r: v.public_key(),
    protocol.PutSecret: lambda v, r: v.put_secret(r.project, r.name, r.sealed, r.by),
    protocol.PutSecrets: lambda v, r: v.put_secrets(r.project, r.sealed, r.by),
    protocol.ListSecrets: lambda v, r: v.secrets(r.project),
    protocol.DeleteSecret: lambda v, r: v.delete_secret(r.project, r.name),
    protocol.HasSecrets: lambda v, r: v.has_secrets(r.project),
    protocol.Wrap: lambda v, r: v.wrap(r.use, r.value),
    protocol.Unwrap: lambda v, r: v.unwrap(r.use, r.wrapped),
    protocol.SignToken: lambda v, r: v.sign_token(r.claims),
    protocol.GetPublicKeys: lambda v, r: v.public_keys(),
    protocol.RotateMaster: lambda v, r: v.rotate_master(r.sealed),
    protocol.RotateDataKeys: lambda v, r: v.rotate_data_keys(r.project),
    protocol.RenewSecrets: lambda v, r: v.renew_secrets(r.project),
    protocol.RotateSigningKey: lambda v, r: v.rotate_signing_key(),
    protocol.GetStatus: lambda v, r: v.status(),
    protocol.ExportNames: lambda v, r: v.export_names(),
    protocol.ExportFile: lambda v, r: v.export_file(r.name),
    protocol.VerifyHmac: lambda v, r: v.verify_hmac(
        r.project, r.secret, r.algorithm, r.message, r.signature
    ),
    protocol.VerifyEqual: lambda v, r: v.verify_equal(r.project, r.secret, r.value),
}


class Server:
    """Serves an engine until the supervisor closes `control`."""

    def __init__(
        self, engine: VaultEngine, control: socket.socket, heart: Heart | None = None
    ) -> None:
        """Serve `engine`; `control` is a connected SOCK_SEQPACKET socket."""
        self._heart = heart or Heart(None)
        self.engine = engine
        self.selector = selectors.EpollSelector()
        self._control = control
        self._connections: set[Connection] = set()
        self.deliveries: dict[int, tuple[Connection, Delivery]] = {}
        self.worker = RedactionWorker()

    def run(self) -> None:
        """Serve; return when the control socket is closed."""
        self._control.setblocking(False)
        self.selector.register(self._control, selectors.EVENT_READ, None)
        self.selector.register(
            self.worker, selectors.EVENT_READ, lambda _events: self.worker.deliver()
        )
        next_beat = 0.0
        while True:
            if (now := time.monotonic()) >= next_beat:
                self._heart.beat()
                next_beat = now + BEAT_SECONDS
            for key, events in self.selector.select(BEAT_SECONDS):
                if key.data is None:
                    if not self._accept():
                        return
                else:
                    key.data(events)
            if self.deliveries:
                self._end_deliveries(lambda delivery: delivery.expire(time.monotonic()))

    def _accept(self) -> bool:
        """Take a connection from the supervisor; return False if it is gone."""
        try:
            data, descriptors, _flags, _address = socket.recv_fds(self._control, 64, 4)
        except BlockingIOError:
            return True
        except OSError:
            return False
        if (
            data != protocol.CONNECT
            or len(descriptors) != 1
            or len(self._connections) >= MAX_CONNECTIONS
        ):
            for descriptor in descriptors:
                os.close(descriptor)
            return bool(data)
        try:
            sock = socket.socket(fileno=descriptors[0])
        except OSError:  # no socket at all
            os.close(descriptors[0])
            return True
        self._connections.add(Connection(self, sock))
        return True

    def forget(self, connection: Connection) -> None:
        """Drop a closed connection and what was being delivered for it."""
        self._connections.discard(connection)
        for descriptor, (owner, delivery) in list(self.deliveries.items()):
            if owner is connection:
                self.selector.unregister(descriptor)
                del self.deliveries[descriptor]
                delivery.abandon()

    def deliver(self, connection: Connection, delivery: Delivery) -> None:
        """Write a value now, or go on with it when its pipe takes more."""
        if not delivery.advance():
            descriptor = delivery.descriptor
            self.deliveries[descriptor] = (connection, delivery)
            self.selector.register(
                descriptor,
                selectors.EVENT_WRITE,
                lambda _events: self._end_deliveries(
                    lambda each: each is delivery and each.advance()
                ),
            )

    def _end_deliveries(self, ended: Callable[[Delivery], bool]) -> None:
        for descriptor, entry in list(self.deliveries.items()):
            if self.deliveries.get(descriptor) is not entry:
                continue  # its connection was closed meanwhile
            # It leaves the loop first: once it has ended its number may be another's.
            del self.deliveries[descriptor]
            key = self.selector.unregister(descriptor)
            if not ended(entry[1]):
                self.deliveries[descriptor] = entry
                self.selector.register(descriptor, selectors.EVENT_WRITE, key.data)


class Connection:
    """One gateway."""

    def __init__(self, server: Server, sock: socket.socket) -> None:
        """Serve what comes on `sock`."""
        self._server = server
        self._sock = sock
        self._frames = FrameBuffer(protocol.MAX_FRAME)
        self._descriptors: deque[int] = deque()
        self._unsent = bytearray()
        self._closed = False
        sock.setblocking(False)
        server.selector.register(sock, selectors.EVENT_READ, self._ready)

    def _ready(self, events: int) -> None:
        if self._closed:
            return
        try:
            if events & selectors.EVENT_WRITE:
                self._flush()
            if events & selectors.EVENT_READ:
                self._read()
        except Exception as error:  # noqa: BLE001 - whatever came ends this connection only
            # The text of an error may quote what came; only its type is told.
            _log.warning("a connection to the vault is closed: %s", type(error).__name__)
            self._close()

    def _read(self) -> None:
        try:
            data, descriptors, flags, _address = socket.recv_fds(
                self._sock, _READ_BYTES, _MAX_DESCRIPTORS, socket.MSG_CMSG_CLOEXEC
            )
        except BlockingIOError:
            return
        self._descriptors.extend(descriptors)
        if flags & socket.MSG_CTRUNC or len(self._descriptors) > _MAX_DESCRIPTORS:
            raise FrameError("too many descriptors")
        if not data:
            self._close()
            return
        for body in self._frames.feed(data):
            if self._closed:
                return
            self._answer(protocol.decode_request(body))
        self._flush()

    def _answer(self, request: protocol.Request) -> None:
        try:
            if isinstance(request, protocol.DeliverSecret):
                self._deliver(request)
                return
            if isinstance(request, protocol.Redact):
                self._redact(request)
                return
            result = _HANDLERS[type(request)](self._server.engine, request)
            self.send(protocol.reply(request.n, result))
        except CasemateError as error:
            self.send(protocol.refusal(request.n, protocol.Failure.of(error)))
        except FrameError:
            raise
        except Exception as error:  # noqa: BLE001 - the boundary: a fault denies and is told
            # Without the text and the trace: they could quote what the vault must not tell.
            kind = type(error).__name__
            _log.error("a fault of the vault in %s: %s", type(request).__name__, kind)
            fault = VaultError(
                f"The vault could not do this because of a fault of its own ({kind}).",
                next_step="report it; nothing was changed",
            )
            self.send(protocol.refusal(request.n, protocol.Failure.of(fault)))

    def _redact(self, request: protocol.Redact) -> None:
        """Redact what takes no time at once, all else in the worker's thread."""
        redactor = self._server.engine.redactor(request.project)
        if redactor is None:
            self.send(protocol.reply(request.n, request.texts))
        elif redactor.is_quick(request.texts):
            self.send(protocol.reply(request.n, tuple(map(redactor.redact, request.texts))))
        else:

            def answer(result: tuple[bytes, ...] | CasemateError) -> None:
                if self._closed:
                    return
                if isinstance(result, CasemateError):
                    self.send(protocol.refusal(request.n, protocol.Failure.of(result)))
                else:
                    self.send(protocol.reply(request.n, result))
                self._flush()

            self._server.worker.submit(request.project, redactor, request.texts, answer)

    def _deliver(self, request: protocol.DeliverSecret) -> None:
        if not self._descriptors:
            raise FrameError("a delivery without a descriptor")
        descriptor = self._descriptors.popleft()
        try:
            check_pipe(descriptor)
            if len(self._server.deliveries) >= MAX_DELIVERIES:
                raise VaultError(
                    "Too many secrets wait for their readers.", next_step="try again in a moment"
                )
            version, value = self._server.engine.secret_value(
                request.project, request.name, request.version
            )

            def answer(error: VaultError | None) -> None:
                if error is None:
                    self.send(protocol.reply(request.n, version))
                else:
                    self.send(protocol.refusal(request.n, protocol.Failure.of(error)))
                self._flush()

            delivery = Delivery(descriptor, value(), answer)
        except BaseException:
            os.close(descriptor)
            raise
        self._server.deliver(self, delivery)

    def send(self, frame: bytes) -> None:
        """Send a frame, or keep it until the client reads. Ends a client that never does."""
        self._unsent += frame
        if len(self._unsent) > _MAX_UNSENT:
            self._close()

    def _flush(self) -> None:
        if self._closed:
            return
        try:
            while self._unsent:
                del self._unsent[: self._sock.send(self._unsent)]
        except BlockingIOError:
            pass
        except OSError:
            self._close()
            return
        events = selectors.EVENT_READ
        if self._unsent:
            # Whoever does not read its answers is not asked for more questions.
            events = selectors.EVENT_WRITE
        if self._server.selector.get_key(self._sock).events != events:
            self._server.selector.modify(self._sock, events, self._ready)

    def _close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._server.selector.unregister(self._sock)
        self._sock.close()
        for descriptor in self._descriptors:
            os.close(descriptor)
        self._descriptors.clear()
        self._server.forget(self)
