"""The supervisor's side of the vault process. Everything here blocks."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path

from casemate.child.proof import UnconfinedError
from casemate.child.protocol import CONNECT, Ready
from casemate.child.start import Child, ChildProgram, NotReadyError
from casemate.vault import protocol
from casemate.vault.config import VaultConfig
from casemate.vault.errors import MasterKeySourceError, VaultError, VaultUnavailableError
from casemate.vault.key_material import take_variable
from casemate.vault.shared_protocol import KEEPER, KEEPING
from casemate.vault.sources import Source, SourceKind, parse_source

START_SECONDS = 90.0
"""Longer than a plug-in may take, twice."""
_MAX_VARIABLE = 4096


class VaultProcess:
    """A running vault."""

    def __init__(self, child: Child, *, memory_locked: bool) -> None:
        """Made by `start_vault` only."""
        self._child = child
        self.pid = child.pid
        """Process id."""
        self.pulse = child.pulse
        self.kill = child.kill
        """End a vault that hangs."""
        self.close = child.close
        """End the vault and wait for its end."""
        self.memory_locked = memory_locked
        """False if keys may reach swap, because the host does not let the vault prevent it."""

    @property
    def alive(self) -> bool:
        """Tell whether the process runs."""
        return self._child.alive

    def connect(self, kind: bytes = CONNECT) -> socket.socket:
        """Return a new connection, for `VaultClient`. Raises VaultUnavailableError.

        Of the kind `protocol.RECORDER` it is for `RecorderVault`, of `protocol.MONITOR` for
        `MonitorVault`, of `KEEPER` for what answers the vault itself.
        """
        ours, theirs = (KEEPING if kind == KEEPER else protocol.ASKING).pair()
        try:
            self._child.pass_connection(theirs.fileno(), kind)
        except OSError as error:
            ours.close()
            raise VaultUnavailableError(
                f"The vault takes no connection: {error.strerror}.",
                next_step="Start the node again; its log says why the vault ended.",
            ) from error
        finally:
            theirs.close()
        return ours


def start_vault(
    folder: Path,
    source: str,
    *,
    create: bool,
    uid: int | None,
    monitors: tuple[str, ...] = (),
    shared: bool = False,
    brought: int | None = None,
    take_back: bool = False,
    accepted_losses: tuple[str, ...] = (),
) -> VaultProcess:
    """Start the vault in `folder` (data/vault) and wait until it is open and confined.

    `uid` is the user it becomes, None for an ordinary user's node. With `create` a vault is made
    where there is none.
    `monitors` are the secrets that the monitor may use, as `PROJECT/NAME`. `shared` tells whether
    nodes share the vault; `brought` is the descriptor of a file with what their database has, the
    caller's to close. With `take_back` this node has one for itself again that nodes shared, whose
    database nobody uses any more. `accepted_losses` are names of states to take that do not follow
    (`loss_of`). A variable that `source` names is gone from this process afterwards.
    Raises what kept the vault from opening: WrongMasterKeyError, MasterKeySourceError,
    VaultDamagedError, VaultError.
    """
    parsed = parse_source(source)
    asking = parsed.kind is SourceKind.PASSPHRASE
    with contextlib.ExitStack() as opened:
        passed, variable = _descriptors(parsed, opened)
        child = Child(
            # What reads the key, a plug-in too, finds the operator's environment.
            ChildProgram(
                module="casemate.vault.process", environment=None, folder=None, terminal=asking
            ),
            lambda control, heart: VaultConfig(
                control=control,
                heart=heart,
                uid=uid,
                folder=str(folder.absolute()),
                source=source,
                create=create,
                variable=variable,
                monitors=monitors,
                shared=shared,
                brought=brought,
                take_back=take_back,
                accepted_losses=accepted_losses,
            ),
            (*passed, *(() if brought is None else (brought,))),
        )
    try:
        ready = _wait(child, None if asking else START_SECONDS)
    except BaseException:
        child.kill()
        child.close()
        raise
    return VaultProcess(child, memory_locked=ready.held.memory_locked)


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
                next_step="Open it for the node, as in `casemate serve ... 3< FILE`",
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


def _wait(child: Child, seconds: float | None) -> Ready:
    """Wait for the vault to open. Raises what it says instead."""
    child.control.settimeout(seconds)
    try:
        ready = child.receive_ready()
    except NotReadyError as error:
        raise protocol.ERRORS.error(error.failure) from None
    except TimeoutError:
        raise VaultUnavailableError(
            f"The vault did not open within {seconds:g} s.",
            next_step="See whether the source of its master key answers.",
        ) from None
    except UnconfinedError as error:
        raise VaultError(
            f"The vault cannot be confined: {error}.", next_step="Run casemate doctor."
        ) from error
    except (OSError, EOFError) as error:
        raise VaultError(
            "The vault ended while it was being opened; what it wrote is above.",
            next_step="Run casemate doctor, then start the node again.",
        ) from error
    child.control.settimeout(None)
    return ready
