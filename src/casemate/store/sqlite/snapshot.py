"""A copy of the store's database for a backup, made while it is in use."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from casemate.kernel.durability import sync_folder
from casemate.model.errors import ConflictError
from casemate.sqlite import engine
from casemate.sqlite.copying import copy_pages
from casemate.store.errors import StoreError
from casemate.store.sqlite.faults import STORE
from casemate.store.sqlite.files import create_private


def copy_database(database: Path, target: Path, key: bytes, cancelled: Callable[[], bool]) -> None:
    """Write one consistent state of an encrypted database to the new file `target`, durably.

    Others may write to the database meanwhile; its log then grows until the copy is done. The
    copy has the same key and a salt of its own. Blocks. Raises ConflictError if `target` exists,
    StoreClosedError once `cancelled` returns True, StoreError if the medium fails; then nothing
    is left behind.
    """
    if target.exists():
        raise ConflictError(
            f"{target} is there already; a copy goes into a new file.",
            next_step="Give a name that is free.",
        )

    def step() -> None:
        if cancelled():
            raise STORE.closed.of()

    draft = target.with_name(f"{target.name}.part")
    try:
        draft.unlink(missing_ok=True)
        descriptor = create_private(draft)
        try:
            with STORE.translated(), closing(engine.connect(database, key)) as source:
                copy_pages(source, draft, key, step)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        draft.rename(target)
        sync_folder(target.parent)
    except OSError as error:
        raise StoreError(
            f"The store cannot be copied to {target}: {error.strerror}.",
            next_step="Make room on that file system and check its rights.",
        ) from error
    finally:
        for leftover in (draft, draft.with_name(f"{draft.name}-journal")):
            with suppress(OSError):
                leftover.unlink(missing_ok=True)
