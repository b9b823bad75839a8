"""The vault of a node as its supervisor has it: before all that needs it, and again if it ends."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path

from casemate.child.heartbeat import Pulse
from casemate.folder.folders import Folders, default_master_key
from casemate.folder.ownership import mark
from casemate.folder.presence import Presence
from casemate.model.errors import UnavailableError
from casemate.model.processes import GATEWAY_UID, VAULT_UID
from casemate.nodes.vault_copy import fetch_vault
from casemate.supervisor.log import report
from casemate.supervisor.shared_places import SharedPlaces
from casemate.vault.errors import (
    MasterKeySourceError,
    VaultError,
    VaultUnavailableError,
    WrongMasterKeyError,
)
from casemate.vault.key_material import has_key_file
from casemate.vault.protocol import MONITOR, RECORDER
from casemate.vault.shared_protocol import KEEPER
from casemate.vault.sources import READ_ONCE, SourceKind, parse_source
from casemate.vault.start import VaultProcess, start_vault

MAX_CHANGED = 4
"""Other sources of the master key that are tried, the newest."""


class NodeVault:
    """Holds the vault's process, whichever it is at the time."""

    def __init__(
        self,
        folders: Folders,
        master_key: str | None,
        accepted_losses: tuple[str, ...],
        *,
        root: bool,
        places: SharedPlaces | None = None,
        monitors: tuple[str, ...] = (),
        tells_key: bool = False,
    ) -> None:
        """Start the vault, which makes the master key on the very first start.

        `places` are where the node's state is that it shares with others: the vault as well.

        `master_key` is where that is, None where the node keeps one itself; `monitors` are the
        secrets that the monitor may use. With `tells_key` the log says where a new master key is,
        for a node whose gateway does not tell people beside the first token.
        """
        self._tells_key = tells_key
        self._monitors = monitors
        self._folders = folders
        self._master_key = master_key
        self._accepted_losses = accepted_losses
        self._root = root
        self._places = places
        self._changed: tuple[str, ...] = ()
        """Where the master key may be by now, the newest last."""
        self._process = self._open()

    @property
    def alive(self) -> bool:
        """Whether its process lives."""
        return self._process.alive

    @property
    def pulse(self) -> Pulse:
        """The pulse of its process."""
        return self._process.pulse

    def kill(self) -> None:
        """End its process: it hangs."""
        self._process.kill()

    def close(self) -> None:
        """End its process."""
        self._process.close()

    def connect(self) -> socket.socket:
        """Return a connection to the vault, to another one if it ends at this very moment."""
        try:
            return self._process.connect()
        except VaultUnavailableError:
            self.restart()
            return self._process.connect()

    def connect_recorder(self) -> socket.socket:
        """Return a connection for the recorder. Raises VaultUnavailableError.

        A vault that has ended is started again with the gateway, which needs it as well.
        """
        return self._process.connect(RECORDER)

    def connect_monitor(self) -> socket.socket:
        """Return a connection for the monitor; see `connect_recorder`."""
        return self._process.connect(MONITOR)

    def connect_keeper(self) -> socket.socket | None:
        """Return the connection by which a vault that nodes share is answered by the gateway."""
        return None if self._places is None else self._process.connect(KEEPER)

    def _fetched(self) -> int | None:
        """Return the descriptor of what the cluster's database has of the vault."""
        if self._places is None:
            return None
        return fetch_vault(
            self._places.store,
            uid=GATEWAY_UID if self._root else None,
            unproved=self._places.unproved,
        )

    @property
    def key_file(self) -> str | None:
        """File of the master key, None where it is kept in another way."""
        kind, _, path = self._key_source.partition(":")
        return path if kind == "file" else None

    @property
    def _key_source(self) -> str:
        return self._master_key or default_master_key(self._folders.data)

    def restart(self) -> None:
        """Start a vault that has ended again, from a master key that can be read once more."""
        report("the vault has ended; it is started again")
        self._process.close()
        self._process = self._open_again()

    def may_be_opened_by(self, source: str) -> None:
        """Keep where the master key may be from now on, as it is being changed.

        Who says so is root or this user, as which processes of the node may run that are confined:
        so a file alone, of which nothing is run. It is read only if the one before opens nothing
        any more.
        """
        with contextlib.suppress(MasterKeySourceError):
            if parse_source(source).kind is SourceKind.FILE:
                others = [each for each in self._changed if each != source]
                self._changed = (*others, source)[-MAX_CHANGED:]

    def _open_again(self) -> VaultProcess:
        """Open the vault from where its master key was, or may be by now."""
        given, refused = self._master_key, list[VaultError]()
        for source in (given, *reversed(self._changed)):
            self._master_key = source
            if self._is_read_once(self._key_source):
                continue
            try:
                opened = self._open(restart=True)
            except (WrongMasterKeyError, MasterKeySourceError) as error:
                refused.append(error)
                continue
            if source != given:
                report(f"its master key is in {source} by now: start the node with --master-key")
            return opened
        self._master_key = given
        self.require_key_again()
        raise refused[0]

    def handover_problem(self) -> str:
        """Return why no other version could open the vault, an empty text if it could."""
        if self._changed:
            return (
                "its master key was changed, or was to be: start the node again, with "
                f"--master-key {self._changed[-1]} if it was"
            )
        return self.key_problem()

    @staticmethod
    def _is_read_once(source: str) -> bool:
        return source.partition(":")[0] in READ_ONCE

    def require_key_again(self) -> None:
        """Raise UnavailableError if the master key cannot be read once more."""
        if problem := self.key_problem():
            raise UnavailableError(
                f"The vault has ended, and {problem}.", next_step="Start the node again."
            )

    def key_problem(self) -> str:
        """Return why the master key cannot be read once more, an empty text if it can."""
        if not all(map(self._is_read_once, (self._key_source, *self._changed))):
            return ""
        kind = self._key_source.partition(":")[0]
        return f"a master key from {kind} can be read only once"

    def _open(self, *, restart: bool = False) -> VaultProcess:
        source = self._key_source
        kind, _, path = source.partition(":")
        if self._master_key is None and kind == "file":
            Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = Presence(self._folders)
        # A restart of the vault finds what the node itself has made meanwhile.
        if not restart:
            found.require_alike(shares=self._places is not None)
            if self._places is None:
                found.require_store(self._accepted_losses)
            found.begin()
        # Once it was open, this node has a copy, and asks for what is newer while it serves.
        brought = None if restart else self._fetched()
        makes_key = kind == "file" and not has_key_file(Path(path))
        try:
            vault = start_vault(
                self._folders.vault,
                source,
                # Where there is something encrypted, a new vault would only hide the loss.
                create=found.may_make_vault,
                uid=VAULT_UID if self._root else None,
                monitors=self._monitors,
                shared=self._places is not None,
                brought=brought,
                accepted_losses=() if restart else self._accepted_losses,
            )
        finally:
            if brought is not None:
                os.close(brought)
        # Once there is a store, what can be read only by a newer release has refused by itself.
        mark(self._folders.data)
        if makes_key and self._tells_key:
            report(
                f"the master key was made in {path}. Copy it to a safe place: without it nothing "
                f"in {self._folders.data} can be read, and no backup be restored"
            )
        if not vault.memory_locked:
            report("the host does not let the vault lock its memory: keys may reach swap")
        return vault
