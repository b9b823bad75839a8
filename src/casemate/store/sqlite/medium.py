"""The store's file and connections: opened with a look at the files, renewed when they fail."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress

from casemate.model.errors import CasemateError
from casemate.sqlite import engine
from casemate.sqlite.commit_guard import (
    CommitGuard,
    fault_of,
    is_about_pages,
)
from casemate.sqlite.errors import FileGoneError
from casemate.sqlite.open_file import Reason
from casemate.store.errors import StoreCorruptError, StoreError, StoreMediumError
from casemate.store.sqlite.faults import RESTORE, gone, translate

_LOG = logging.getLogger(__name__)


class StoreMedium:
    """Belongs to one open store."""

    def __init__(
        self,
        guard: CommitGuard,
        key: Callable[[], bytes],
        reopen: Callable[[], engine.Connection],
    ) -> None:
        """`reopen` gives a new connection that may write, `key` what the file is encrypted with."""
        self.guard = guard
        self._key = key
        self._reopen = reopen
        self._damage = ""

    def attach(self) -> None:
        """Look at the log that a connection has opened just now. Raises StoreError."""
        try:
            self.guard.attach()
            self.guard.committed()
        except FileGoneError as error:
            raise gone(error.path.name) from error
        except OSError as error:
            raise StoreMediumError(
                f"The store's log cannot be looked at: {error.strerror}.",
                next_step="Check the disk and the kernel's log.",
            ) from error

    def renew(self, connection: engine.Connection) -> engine.Connection:
        """Return a new connection in the place of one that is of no use. Raises StoreError."""
        try:
            self.guard.check()
        except FileGoneError as error:
            raise gone(error.path.name) from error
        self.end(connection)
        renewed = self._reopen()
        try:
            self.attach()
        except BaseException:
            renewed.close()
            raise
        return renewed

    def end(self, connection: engine.Connection) -> None:
        """Close the connection that writes."""
        try:
            self.guard.closing()
        except OSError as error:
            _LOG.error("the end of the store cannot be noted: %s", error.strerror)
        with suppress(engine.Error):
            connection.close()

    def explain(self, error: CasemateError) -> CasemateError:
        """Return an error that says why the engine failed, after a look at the file. Blocks."""
        fault = fault_of(error)
        if fault is None or not is_about_pages(error):
            return error
        found = self.guard.file.diagnose(self._key())
        if found.reason is Reason.DAMAGE:
            if found.text not in self._damage:
                self._damage = found.text
                _LOG.error("the store is damaged: %s", found.text)
            return StoreCorruptError(
                f"The store's database is damaged: {found.text} is not what was written.",
                next_step=RESTORE,
            )
        if found.reason in (Reason.READ, Reason.NONE):
            return StoreMediumError(
                "The store's database cannot be read now: "
                f"{found.text or 'the disk failed for a moment'}.",
                next_step="Check the disk and the kernel's log; then the call works again.",
            )
        return error if isinstance(error, StoreError) else translate(fault)

    def faults(self) -> tuple[str, ...]:
        """Return what is wrong, in words for the operator; nothing if all is well."""
        return self.guard.faults(self._damage)
