"""The supervisor's side of the vault process. Everything here blocks."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from pathlib import Path

import msgspec

from casemate.child.heartbeat import Pulse
from casemate.vault import protocol
from casemate.vault.config import VaultConfig
from casemate.vault.errors import MasterKeySourceError, VaultError, VaultUnavailableError
from casemate.vault.key_material import take_variable
from casemate.vault.sources import Source, SourceKind, parse_source

START_SECONDS = 90.0
"""Longer than a plug-in may take, twice."""
_END_SECONDS = 5.0
_MAX_REPORT = 64 * 1024
_MAX_VARIABLE = 4096
_SOCKET_BYTES = 1024 * 1024


class VaultProcess:
    """A running vault."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        control: socket.socket,
        pulse: Pulse,
        *,
        memory_locked: bool,
    ) -> None:
        """Made by `start_vault` only."""
        self._process = process
        self.pulse = pulse
        self._control = control
        self.memory_locked = memory_locked
        """False if keys may reach swap, because the host does not let the vault prevent it."""

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Tell whether the process runs."""
        return self._process.poll() is None

    def connect(self) -> socket.socket:
        """Return a new connection, for `VaultClient`. Raises VaultUnavailableError."""
        ours, theirs = socket.socketpair()
        try:
            for end in (ours, theirs):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BYTES)
            socket.send_fds(self._control, [protocol.CONNECT], [theirs.fileno()])
        except OSError as error:
            ours.close()
            raise VaultUnavailableError(
                f"The vault takes no connection: {error.strerror}.",
                next_step="start the node again; its log says why the vault ended",
            ) from error
        finally:
            theirs.close()
        return ours

    def kill(self) -> None:
        """End a vault that hangs."""
        self._process.kill()

    def close(self) -> None:
        """End the vault and wait for its end."""
        self._control.close()
        self.pulse.close()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def start_vault(folder: Path, source: str, *, create: bool, uid: int | None) -> VaultProcess:
    """Start the vault in `folder` (data/vault) and wait until it is open and confined.

    `uid` is the user it becomes, None for an ordinary user's node. With `create` a vault is made
    where there is none. A variable that `source` names is gone from this process afterwards.
    Raises what kept the vault from opening: WrongMasterKeyError, MasterKeySourceError,
    VaultDamagedError, VaultError.
    """
    parsed = parse_source(source)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pulse = Pulse()
    with theirs, contextlib.ExitStack() as opened:
        try:
            passed, variable = _descriptors(parsed, opened)
            config = VaultConfig(
                folder=str(folder.absolute()),
                uid=uid,
                control=theirs.fileno(),
                source=source,
                create=create,
                heart=pulse.theirs,
                variable=variable,
            )
            asking = parsed.kind is SourceKind.PASSPHRASE
            process = subprocess.Popen(
                # -I: neither the working directory nor PYTHONPATH may name other modules.
                [sys.executable, "-I", "-m", "casemate.vault.process", _text(config)],
                pass_fds=(theirs.fileno(), pulse.theirs, *passed),
                stdin=None if asking else subprocess.DEVNULL,
                start_new_session=not asking,
            )
        except BaseException:
            ours.close()
            pulse.close()
            raise
        pulse.started()
    try:
        ready = _wait(ours, None if asking else START_SECONDS)
    except BaseException:
        ours.close()
        pulse.close()
        process.kill()
        process.wait()
        raise
    return VaultProcess(process, ours, pulse, memory_locked=ready.memory_locked)


def _text(config: VaultConfig) -> str:
    return msgspec.json.encode(config).decode()


def _descriptors(
    source: Source, opened: contextlib.ExitStack
) -> tuple[tuple[int, ...], int | None]:
    """Return descriptors for the vault to inherit, and which of them holds a variable's value."""
    if source.kind is SourceKind.DESCRIPTOR:
        descriptor = int(source.argument)
        try:
            os.fstat(descriptor)
        except OSError as error:
            raise MasterKeySourceError(
                f"There is no open descriptor {descriptor}.",
                next_step="open it for the node, as in `casemate serve ... 3< FILE`",
            ) from error
        opened.callback(os.close, descriptor)
        return (descriptor,), None
    if source.kind is SourceKind.ENVIRONMENT:
        reading, writing = os.pipe2(os.O_CLOEXEC)
        opened.callback(os.close, reading)
        with os.fdopen(writing, "wb", buffering=0) as pipe:
            pipe.write(take_variable(source.argument)[:_MAX_VARIABLE])
        return (reading,), reading
    return (), None


def _wait(control: socket.socket, seconds: float | None) -> protocol.Ready:
    """Wait for the vault to open. Raises what it says instead."""
    control.settimeout(seconds)
    try:
        data = control.recv(_MAX_REPORT)
        report = msgspec.json.decode(data, type=protocol.Ready | protocol.NotReady)
    except TimeoutError:
        raise VaultUnavailableError(
            f"The vault did not open within {seconds:g} s.",
            next_step="see whether the source of its master key answers",
        ) from None
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise VaultError(
            "The vault ended while it was being opened; what it wrote is above.",
            next_step="run casemate doctor, then start the node again",
        ) from error
    if isinstance(report, protocol.NotReady):
        raise report.failure.error()
    control.settimeout(None)
    return report
