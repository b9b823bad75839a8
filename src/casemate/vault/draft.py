"""A change of a vault that nodes share, made beside it: nothing is written before all agree.

The open vault's own folder takes no change (`KeptFolder`): what needs one says so, and is done over
a `Draft` of the same state. Its files then go to the database, and only after that to the folder.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NoReturn

from msgspec.structs import replace

from casemate.vault.folder import VaultFolder
from casemate.vault.open_state import OpenState
from casemate.vault.state import STATE_FILE, encode_state

MAX_CHANGES = 32
"""Ids of changes that a state names."""
_ID_BYTES = 12


class ChangeNeededError(Exception):
    """What was asked for changes a vault that is shared."""


class KeptFolder(VaultFolder):
    """The folder of a shared vault as those see it that may not change it."""

    def write(self, name: str, data: bytes) -> NoReturn:
        """Raise ChangeNeededError."""
        raise ChangeNeededError

    def remove(self, name: str) -> NoReturn:
        """Raise ChangeNeededError."""
        raise ChangeNeededError


class DraftFolder(VaultFolder):
    """A folder with changes that are in memory alone."""

    def __init__(self, folder: VaultFolder, written: Mapping[str, bytes] | None = None) -> None:
        """Begin with what `folder` has, and with `written`."""
        super().__init__(folder.path, folder.descriptor)
        self.written: dict[str, bytes] = dict(written or {})
        self.removed: set[str] = set()
        self.changed = False
        """Whether the state was written."""

    def read(self, name: str) -> bytes | None:
        """See `VaultFolder.read`."""
        if name in self.removed:
            return None
        found = self.written.get(name)
        return super().read(name) if found is None else found

    def write(self, name: str, data: bytes) -> None:
        """Keep a file in memory; the state is sealed at the end."""
        if name == STATE_FILE:
            self.changed = True
            return
        self.removed.discard(name)
        self.written[name] = data

    def remove(self, name: str) -> None:
        """Have a file gone."""
        if self.written.pop(name, None) is None:
            self.removed.add(name)


class Draft:
    """A change that is not made yet."""

    def __init__(self, base: OpenState, folder: VaultFolder) -> None:
        """Begin with the state of `base` and the files in `folder`."""
        self.id = os.urandom(_ID_BYTES)
        self.content = b""
        """The file of the state, once it is sealed."""
        self.folder = DraftFolder(folder)
        self.opened = OpenState(self.folder, base.header, base.state, base.master)

    def sealed(self) -> bytes:
        """Return the file of the state, which names this change."""
        opened = self.opened
        changes = (*opened.state.changes, self.id)[-MAX_CHANGES:]
        state = replace(opened.state, changes=changes)
        opened.adopt(opened.header, state, opened.master)
        self.content = encode_state(opened.header, state, opened.master)
        return self.content
