"""The mark of a store that was moved away, or is being moved here and not whole yet.

A file beside the database. Whoever opens a store is refused while it is there, but for the move.
"""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path

import msgspec

from casemate.decoding import DECODING_ERRORS, decodable
from casemate.kernel.durability import replace_private, sync_folder
from casemate.store.errors import StoreError

NAME = "records.db.move"
_MAX_BYTES = 4096


class MoveState(StrEnum):
    """What a mark says."""

    AWAY = "away"
    UNFINISHED = "unfinished"


class Mark(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What became of a store, and where the other one is. No user, no password."""

    state: MoveState
    place: str


def read_mark(folder: Path) -> Mark | None:
    """Return the mark in a store's folder. Raises StoreError for one that cannot be read."""
    try:
        descriptor = os.open(folder / NAME, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            return msgspec.json.decode(file.read(_MAX_BYTES), type=decodable(Mark))
    except FileNotFoundError:
        return None
    except (OSError, *DECODING_ERRORS) as error:
        raise StoreError(
            f"{folder / NAME}, which says where this store was moved, cannot be read.",
            next_step="Look where the state of this node is before it is deleted.",
        ) from error


def write_mark(folder: Path, mark: Mark) -> None:
    """Put the mark in place, durably. Raises OSError."""
    replace_private(folder / NAME, folder / f"{NAME}.new", msgspec.json.encode(mark))


def remove_mark(folder: Path) -> None:
    """Take it away, durably. Raises OSError."""
    (folder / NAME).unlink(missing_ok=True)
    sync_folder(folder)


def require_unmoved(folder: Path) -> None:
    """Refuse a store that is marked. Raises StoreError."""
    mark = read_mark(folder)
    if mark is None:
        return
    if mark.state is MoveState.AWAY:
        raise StoreError(
            f"The state of this node was moved to {mark.place}. Nothing was changed.",
            next_step="Start it with --store and --objects, or another node that shares them.",
        )
    raise StoreError(
        f"The state of this node is being moved here from {mark.place}, and not whole yet.",
        next_step="Finish it with the same casemate store migrate as before.",
    )
