"""The vault's loop: one connection for each gateway, one control socket; redaction has a thread.

Whatever is wrong with a message ends the connection it came on and nothing else. The loop ends
when the control socket does: the vault lives no longer than its supervisor.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Coroutine
from typing import Any

import uvloop

from casemate.child.calls import refusal, reply
from casemate.child.channel import ENDED, FrameSocket
from casemate.child.frames import FrameError
from casemate.child.heartbeat import Heart
from casemate.child.protocol import CONNECT, admit
from casemate.model.errors import CasemateError, NotFoundError
from casemate.vault import protocol
from casemate.vault.delivery import DELIVERY_SECONDS, Delivery, check_pipe
from casemate.vault.draft import ChangeNeededError
from casemate.vault.engine import VaultEngine
from casemate.vault.errors import (
    DecryptionError,
    VaultConflictError,
    VaultError,
    VaultUnavailableError,
)
from casemate.vault.redaction_worker import RedactionWorker
from casemate.vault.shared import SharedVault
from casemate.vault.shared_protocol import KEEPER

MAX_CONNECTIONS = 8
MAX_DELIVERIES = 256
MAX_AWAITED = 512
"""Requests that wait for the database of a vault that nodes share."""
_MISSED = (NotFoundError, DecryptionError, VaultConflictError)
"""What may be so only because another node's change has not come yet."""
_KINDS = frozenset({CONNECT, protocol.RECORDER, protocol.MONITOR, KEEPER})

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
    protocol.GetJournalKey: lambda v, r: v.journal_key(),
    protocol.SignHead: lambda v, r: v.sign_head(r.head),
    protocol.AreRecordsKept: lambda v, r: v.records_kept(),
    protocol.KeepRecords: lambda v, r: v.keep_records(),
    protocol.GetNode: lambda v, r: v.node(),
    protocol.Attest: lambda v, r: v.attest(r.digest),
    protocol.IsAttested: lambda v, r: v.is_attested(r.node, r.digest, r.code),
    protocol.SignHmac: lambda v, r: v.sign_hmac(r.project, r.secret, r.message),
    protocol.LendSecret: lambda v, r: v.lend_secret(r.project, r.name, r.public_key),
    protocol.PrepareSecret: lambda v, r: v.prepare_secret(
        r.project, r.name, r.made, r.expected, r.by
    ),
    protocol.FinishSecret: lambda v, r: v.finish_secret(r.project, r.name, r.version, r.overlap),
    protocol.SignPlaybook: lambda v, r: v.sign_playbook(r.statement),
    protocol.VerifyPlaybook: lambda v, r: v.verify_playbook(r.statement, r.signature),
    protocol.NextBackup: lambda v, r: v.counts.next_backup(),
    protocol.SignBackup: lambda v, r: v.sign_backup(r.number, r.digest),
    protocol.VerifyBackup: lambda v, r: v.verify_backup(r.number, r.digest, r.signature),
    protocol.GetStarts: lambda v, r: v.counts.starts(),
    protocol.KeepStarts: lambda v, r: v.counts.keep_starts(r.starts),
    protocol.GetJournalEntries: lambda v, r: v.counts.entries(),
    protocol.KeepJournalEntries: lambda v, r: v.counts.keep_entries(r.entries, lost=r.lost),
    protocol.VerifyEqual: lambda v, r: v.verify_equal(r.project, r.secret, r.value),
    protocol.ResistsGuessing: lambda v, r: v.resists_guessing(r.project, r.secret),
}


class Server:
    """Serves an engine until the supervisor closes `control`."""

    def __init__(
        self,
        engine: VaultEngine,
        control: socket.socket,
        heart: Heart | None = None,
        *,
        monitors: frozenset[str] = frozenset(),
        shared: SharedVault | None = None,
    ) -> None:
        """Serve `engine`; `control` is a connected SOCK_SEQPACKET socket.

        `monitors` are the secrets that the monitor may use, as `PROJECT/NAME`; `shared` changes
        the vault where nodes share it.
        """
        self.monitors = monitors
        self.shared = shared
        self.changing: set[asyncio.Task[None]] = set()
        self._heart = heart or Heart(None)
        self.engine = engine
        self._control = control
        self._ended = asyncio.Event()
        self.connections: set[Connection] = set()
        self.deliveries: dict[int, tuple[Connection, Delivery]] = {}
        self.worker = RedactionWorker()

    def run(self) -> None:
        """Serve; return when the control socket is closed."""
        uvloop.run(self._serve())

    async def _serve(self) -> None:
        self.loop = loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._failed)
        admit(self._control, _KINDS, self._accept, ended=self._ended.set)
        loop.add_reader(self.worker.fileno(), self.worker.deliver)
        self._heart.beat_in(loop)
        await self._ended.wait()
        loop.remove_reader(self._control.fileno())
        for connection in list(self.connections):
            connection.close()

    def _failed(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """End a vault that has a fault, without its text and trace: they could quote values."""
        kind = type(context.get("exception")).__name__
        _log.error("a fault of the vault ends it: %s", kind)
        self._ended.set()

    def _accept(self, kind: bytes, sock: socket.socket) -> None:
        """Serve a connection that the supervisor passes, if there is room."""
        if kind == KEEPER and self.shared is not None:
            self.shared.attach(sock)
            return
        if kind == KEEPER or len(self.connections) >= MAX_CONNECTIONS:
            sock.close()
            return
        self.connections.add(Connection(self, sock, kind))

    def forget(self, connection: Connection) -> None:
        """Drop a closed connection and what was being delivered for it."""
        self.connections.discard(connection)
        for owner, delivery in list(self.deliveries.values()):
            if owner is connection:
                self._leave(delivery)
                delivery.abandon()

    def deliver(self, connection: Connection, delivery: Delivery) -> None:
        """Write a value now, or go on with it when its pipe takes more."""
        if not delivery.advance():
            self._wait_for(connection, delivery)
            self.loop.call_later(DELIVERY_SECONDS, self._expire, connection, delivery)

    def _wait_for(self, connection: Connection, delivery: Delivery) -> None:
        self.deliveries[delivery.descriptor] = (connection, delivery)
        self.loop.add_writer(delivery.descriptor, self._advance, connection, delivery)

    def _leave(self, delivery: Delivery) -> None:
        del self.deliveries[delivery.descriptor]
        self.loop.remove_writer(delivery.descriptor)

    def _advance(self, connection: Connection, delivery: Delivery) -> None:
        # It leaves the loop first: once it has ended its number may be another's.
        self._leave(delivery)
        if not delivery.advance():
            self._wait_for(connection, delivery)

    def _expire(self, connection: Connection, delivery: Delivery) -> None:
        if self.deliveries.get(delivery.descriptor) == (connection, delivery):
            self._leave(delivery)
            delivery.expire()


class Connection:
    """One gateway, recorder or monitor."""

    def __init__(self, server: Server, sock: socket.socket, kind: bytes = CONNECT) -> None:
        """Serve what comes on `sock`."""
        self._server = server
        self._kind = kind
        self._socket = FrameSocket(
            sock,
            server.loop,
            protocol.ANSWERING,
            received=lambda body: self._answer(protocol.decode_request(body)),
            ended=self._lost,
        )

    def _lost(self, why: str) -> None:
        if why != ENDED:
            _log.warning("a connection to the vault is closed: %s", why)
        self._server.forget(self)

    def close(self) -> None:
        """End it."""
        self._socket.close()
        self._server.forget(self)

    def _answer(self, request: protocol.Request) -> None:
        if not protocol.is_allowed(request, self._kind, self._server.monitors):
            raise FrameError(f"{type(request).__name__} is not for this kind of connection")
        try:
            if isinstance(request, protocol.DeliverSecret):
                self._take_pipe(request)
                return
            if isinstance(request, protocol.Redact):
                self._redact(request)
                return
            if isinstance(request, protocol.FollowDatabase):
                self._await(request, self._shared().follow())
                return
            handler = _HANDLERS[type(request)]
            try:
                result = handler(self._server.engine, request)
            except ChangeNeededError:
                change = self._shared().change(lambda engine: handler(engine, request))
                self._await(request, change)
                return
            except _MISSED:
                # Another node may have made it a moment ago.
                if self._server.shared is None:
                    raise
                self._await(request, self._again(self._server.shared, handler, request))
                return
            self._socket.send(reply(request.n, result))
        except FrameError:
            raise
        except Exception as error:  # noqa: BLE001 - the boundary: a fault denies and is told
            self._refuse(request, error)

    def _refuse(self, request: protocol.Request, error: Exception) -> None:
        if not isinstance(error, CasemateError):
            # Without the text and the trace: they could quote what the vault must not tell.
            kind = type(error).__name__
            _log.error("a fault of the vault in %s: %s", type(request).__name__, kind)
            error = VaultError(
                f"The vault could not do this because of a fault of its own ({kind}).",
                next_step="Report it; nothing was changed.",
            )
        self._socket.send(refusal(request.n, protocol.ERRORS.failure(error)))

    def _shared(self) -> SharedVault:
        if self._server.shared is None:
            raise VaultConflictError(
                "The vault is shared by the nodes of a cluster, and this node was started alone.",
                next_step="Start it with the cluster's store.",
            )
        return self._server.shared

    async def _again(
        self,
        shared: SharedVault,
        handler: Callable[[VaultEngine, Any], object],
        request: protocol.Request,
    ) -> object:
        await shared.look()
        try:
            return handler(shared.engine, request)
        except ChangeNeededError:
            return await shared.change(lambda engine: handler(engine, request))

    def _await(self, request: protocol.Request, work: Coroutine[Any, Any, object]) -> None:
        """Answer once a change is made, or not; what only reads goes on meanwhile."""

        async def answer() -> None:
            try:
                self._socket.send(reply(request.n, await work))
            except Exception as error:  # noqa: BLE001 - as above
                self._refuse(request, error)

        try:
            self._start(answer())
        except VaultUnavailableError:
            work.close()
            raise

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        if len(self._server.changing) >= MAX_AWAITED:
            work.close()
            raise VaultUnavailableError(
                f"{MAX_AWAITED} requests wait for the cluster's database.",
                next_step="Try again in a moment.",
            )
        task = self._server.loop.create_task(work)
        self._server.changing.add(task)
        task.add_done_callback(self._server.changing.discard)

    def _redact(self, request: protocol.Redact) -> None:
        """Redact what takes no time at once, all else in the worker's thread."""
        redactor = self._server.engine.redactor(request.project)
        if redactor is None:
            self._socket.send(reply(request.n, request.texts))
        elif redactor.is_quick(request.texts):
            self._socket.send(reply(request.n, tuple(map(redactor.redact, request.texts))))
        else:

            def answer(result: tuple[bytes, ...] | CasemateError) -> None:
                if isinstance(result, CasemateError):
                    self._socket.send(refusal(request.n, protocol.ERRORS.failure(result)))
                else:
                    self._socket.send(reply(request.n, result))

            self._server.worker.submit(request.project, redactor, request.texts, answer)

    def _take_pipe(self, request: protocol.DeliverSecret) -> None:
        descriptor = self._socket.take_descriptor()
        try:
            delivery = self._delivery(request, descriptor)
        except NotFoundError:
            if self._server.shared is None:
                os.close(descriptor)
                raise
            # Another node may have set it a moment ago.
            try:
                self._start(self._deliver_again(self._server.shared, request, descriptor))
            except VaultError:
                os.close(descriptor)
                raise
        except BaseException:
            os.close(descriptor)
            raise
        else:
            self._server.deliver(self, delivery)

    async def _deliver_again(
        self, shared: SharedVault, request: protocol.DeliverSecret, descriptor: int
    ) -> None:
        try:
            await shared.look()
            delivery = self._delivery(request, descriptor)
        except BaseException as error:
            os.close(descriptor)
            if not isinstance(error, Exception):
                raise
            self._refuse(request, error)
        else:
            if self._socket.closed:
                delivery.abandon()
            else:
                self._server.deliver(self, delivery)

    def _delivery(self, request: protocol.DeliverSecret, descriptor: int) -> Delivery:
        """Return the delivery to a pipe, which is the caller's if this raises."""
        check_pipe(descriptor)
        if len(self._server.deliveries) >= MAX_DELIVERIES:
            raise VaultError(
                "Too many secrets wait for their readers.", next_step="Try again in a moment."
            )
        version, value = self._server.engine.secret_value(
            request.project, request.name, request.version
        )

        def answer(error: VaultError | None) -> None:
            if error is None:
                self._socket.send(reply(request.n, version))
            else:
                self._socket.send(refusal(request.n, protocol.ERRORS.failure(error)))

        return Delivery(descriptor, value(), answer)
