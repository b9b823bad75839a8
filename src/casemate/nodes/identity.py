"""Who a node is: a random id in its data folder, and the incarnation of its last start.

A copy of the folder has the same id: only one of the two can be that node (`BeginNode`).
"""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path

import msgspec

from casemate.decoding import DECODING_ERRORS, decodable
from casemate.folder.presence import IDENTITY
from casemate.kernel.durability import replace_private
from casemate.model.errors import CasemateError

_MAX_BYTES = 4096
_ID = re.compile(r"[0-9a-f]{32}")


class IdentityError(CasemateError):
    """The file that says who a node is cannot be used."""


class _Kept(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    id: str
    incarnation: int


class IdentityFile:
    """The file in a data folder."""

    def __init__(self, folder: Path) -> None:
        """Of this data folder; nothing is read yet."""
        self._path = folder / IDENTITY

    def read(self) -> tuple[str, int]:
        """Return the id and the last incarnation; a new id, and 0, before the first start.

        Raises IdentityError for a file that is damaged or cannot be read.
        """
        kept = self.kept()
        if kept is None:
            self.write(made := secrets.token_hex(16), 0)
            return made, 0
        return kept

    def kept(self) -> tuple[str, int] | None:
        """Return what the file says, None where there is none. Raises IdentityError."""
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            with os.fdopen(descriptor, "rb") as file:
                content = file.read(_MAX_BYTES)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unusable(error.strerror or "it cannot be read") from error
        try:
            kept = msgspec.json.decode(content, type=decodable(_Kept))
        except DECODING_ERRORS as error:
            raise self._unusable("it is damaged") from error
        if _ID.fullmatch(kept.id) is None or kept.incarnation < 0:
            raise self._unusable("it is damaged")
        return kept.id, kept.incarnation

    def write(self, id: str, incarnation: int) -> None:
        """Keep them, durably; the old ones are there until then. Raises IdentityError."""
        content = msgspec.json.encode(_Kept(id=id, incarnation=incarnation))
        try:
            replace_private(self._path, self._path.with_suffix(".new"), content)
        except OSError as error:
            raise self._unusable(error.strerror or "it cannot be written") from error

    def _unusable(self, why: str) -> IdentityError:
        return IdentityError(
            f"{self._path}, which says which node this is, cannot be used: {why}.",
            next_step="Delete it if it is damaged: the node is then a new one.",
        )
