"""What belongs to a node is there, or the node does not start: an empty place hides a loss.

The folders of the store, the data, the bundles and the vault are of one node. Where one holds
something and another nothing, that was deleted, or not restored, or its disk is not mounted. The
one time at which it is as it should be is a first start that was interrupted; a mark tells.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from casemate.folder.folders import Folders
from casemate.kernel.durability import sync_folder
from casemate.model.errors import InvalidInputError
from casemate.model.function import NAME_PATTERN
from casemate.store.errors import StoreGoneError
from casemate.store.sqlite.files import DATABASE
from casemate.store.sqlite.moved import MoveState, read_mark
from casemate.vault.folder import STATE_FILE
from casemate.vault.losses import LOSS

STORE = "store"
JOURNAL = "journal"
RECORDS = "records"
VAULT = "vault"
"""An older copy of it, in the place of the one that the node had."""
CLOCK = "clock"
"""What is over by a clock that is far ahead of when the node ran last."""
_PROJECT = "data/"
_ENGINE = "engine/"
_CONTROL = "control/"
_LOSS = re.compile(
    rf"(?:(?:{_ENGINE}|{_CONTROL})(?:[0-9a-f]{{16}}|damaged)|{LOSS}[0-9a-f]{{16}}|{STORE}|{JOURNAL}|{RECORDS}|{VAULT}|{CLOCK}|{_PROJECT}{NAME_PATTERN.removeprefix('^').removesuffix('$')})\Z"
)
FIRST_START = "first-start"
"""The mark, a file in the data folder."""
FENCE = "engine.fence"
"""What a node remembers of the database that it shares with others."""
PROOF = "control.proof"
"""What a node has seen of the proofs in that database."""
IDENTITY = "node.json"
"""Which node it is."""
SHARED = "shared-state"
"""A file in the data folder of a node whose state is in a database and a bucket that it shares."""


def require_losses(names: tuple[str, ...]) -> None:
    """Refuse what is no name of something that can be lost. Raises InvalidInputError."""
    for name in names:
        if _LOSS.match(name) is None:
            raise InvalidInputError(
                f"{name[:80]!r} is nothing whose loss can be accepted.",
                next_step=f"Name `{STORE}`, `{JOURNAL}`, `{RECORDS}`, `{VAULT}`, `{CLOCK}`, "
                f"a project's data: `{_PROJECT}PROJECT`, or what the error of a shared database "
                f"names: `{_ENGINE}...`, `{LOSS}...`, `{_CONTROL}...`",
            )


def require_alone(folders: Folders) -> None:
    """Refuse the folder of a node that shares its state, by its mark. Raises StoreGoneError."""
    if os.path.lexists(folders.data / SHARED):
        raise StoreGoneError(
            "This data folder is that of a node which shares its state with others; alone it "
            "would begin with nothing. Nothing was changed.",
            next_step="Start it with --store and --objects as before, or give another folder.",
        )


def lost_projects(names: tuple[str, ...]) -> frozenset[str]:
    """Return the projects whose data is accepted as lost."""
    return frozenset(n.removeprefix(_PROJECT) for n in names if n.startswith(_PROJECT))


class Presence:
    """What a data folder holds when a node starts."""

    def __init__(self, folders: Folders) -> None:
        """Look. Raises OSError, StoreError."""
        self._folders = folders
        self._mark = folders.data / FIRST_START
        self.first = os.path.lexists(self._mark)
        """A first start was interrupted before there was a store."""
        self.shared = os.path.lexists(folders.data / SHARED)
        """The node shares its state with others."""
        self.vault = os.path.lexists(folders.vault / STATE_FILE)
        self.store = os.path.lexists(folders.store / DATABASE)
        mark = read_mark(folders.store)
        self.moved_away = mark is not None and mark.state is MoveState.AWAY
        """The store and the data that are here were moved to where nodes share them."""
        self.data = _holds(folders.projects, ".db")
        self.bundles = _holds(folders.bundles, ".sealed")

    def require_store(self, accepted: tuple[str, ...]) -> None:
        """Refuse to make a new store beside what belongs to another. Raises StoreGoneError."""
        others = [name for name in ("vault", "data", "bundles") if getattr(self, name)]
        if self.store or self.first or not others or STORE in accepted:
            return
        raise StoreGoneError(
            f"{STORE}/{DATABASE} is gone, with all functions, people and tokens; still there: "
            f"{', '.join(others)}. Nothing was changed.",
            next_step="Restore the data folder from a backup, or mount its disk. To start again "
            f"without the lost data: casemate serve --accept-loss {STORE}",
        )

    def require_alike(self, *, shares: bool) -> None:
        """Refuse a folder whose state is elsewhere than the node is told. Raises StoreGoneError.

        `shares` tells whether the node is to share its state with others.
        """
        if not shares:
            require_alone(self._folders)
        if shares and (self.store or self.data) and not self.moved_away:
            raise StoreGoneError(
                "This data folder has a store or data of its own, which would be left behind. "
                "Nothing was changed.",
                next_step="Move them with casemate store migrate, or give a new data folder.",
            )

    @property
    def may_make_vault(self) -> bool:
        """Whether nothing is there that only another vault could open."""
        return not (self.store or self.data or self.bundles or self.shared)

    def begin(self) -> None:
        """Mark a first start, before anything is made. Raises OSError."""
        if self.vault or self.store or self.data or self.bundles or self.first:
            return
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self._mark, flags, 0o600)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        sync_folder(self._mark.parent)


def end_first_start(folders: Folders) -> None:
    """Take the mark away: there is a store now. Raises OSError."""
    with suppress(FileNotFoundError):
        (folders.data / FIRST_START).unlink()


def mark_shared(folders: Folders) -> None:
    """Have it known from now on that the node shares its state. Raises OSError."""
    (folders.data / SHARED).touch(mode=0o600)
    sync_folder(folders.data)


def _holds(folder: Path, suffix: str) -> bool:
    with os.scandir(folder) as entries:
        return any(entry.name.endswith(suffix) for entry in entries)
