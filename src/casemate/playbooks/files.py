"""Files of playbooks, as people put them in force, revert, remove and pause them: each is told."""

from __future__ import annotations

import asyncio
import logging
import time

from casemate.facts import FactStream
from casemate.model.errors import ConflictError, NoNamedError
from casemate.model.facts import NOT_BY_NETWORK, Actor
from casemate.model.playbook import Playbook
from casemate.model.response_facts import PlaybookChanged, PlaybookRefused
from casemate.model.still import require_still
from casemate.monitor.interface import Monitor
from casemate.playbooks.books import Book, Books
from casemate.playbooks.errors import PlaybookError, UnverifiedError
from casemate.playbooks.pausing import Pauses
from casemate.playbooks.reading import digest_of, read_playbook
from casemate.playbooks.versions import Change, Signer, Version
from casemate.store.interface import Store

_log = logging.getLogger(__name__)


class Files:
    """Those of a node."""

    def __init__(self, store: Store, signer: Signer, monitor: Monitor, facts: FactStream) -> None:
        """Keep them in `store`, signed by `signer`; `monitor` knows the rules that they name."""
        self.books = Books(store, signer, self._refused, self._taken_over)
        self.pauses = Pauses()
        self._monitor = monitor
        self._facts = facts
        self._changing = asyncio.Lock()

    def book(self, name: str) -> Book:
        """Return a playbook. Raises NotFoundError."""
        book = self.books.get(name)
        if book is None:
            raise NoNamedError(
                "playbook",
                name,
                f"There is no playbook {name[:64]}.",
                next_step="`casemate playbook ls` shows what there is.",
            )
        return book

    def usable(self, name: str) -> tuple[Book, Playbook]:
        """Return a playbook that can be run.

        Raises NotFoundError, PlaybookError, UnverifiedError.
        """
        book = self.book(name)
        if book.playbook is None and book.unverified:
            raise UnverifiedError(name, book.unverified)
        if book.playbook is None:
            raise PlaybookError(f"The playbook {name} is broken: {book.problem}")
        return book, book.playbook

    async def put(
        self,
        name: str,
        text: str,
        by: Actor,
        *,
        reason: str = "",
    ) -> Book:
        """Have a file in force, as a new version. Raises PlaybookError, MonitorUnavailableError."""
        playbook = read_playbook(text.encode(), f"{name}.toml")
        for rule in playbook.when.rules:
            if not await self._monitor.has_rule(rule):
                raise PlaybookError(
                    f"{name}.toml: there is no rule {rule}, so that nothing would ever be done.",
                    next_step="`casemate detect ls` shows what there is.",
                )
        async with self._changing:
            # The monitor, and the vault that signs the change before this one, were waited for.
            require_still()
            self.books.require_room(name)
            number = self.books.next_version(name)
            self._changed(name, "put", digest_of(text), by, version=number, reason=reason)
            await self.books.put(name, text, time.time(), by.principal)
        return self.book(name)

    async def revert(self, name: str, number: int, by: Actor) -> Book:
        """Have the text of a former version in force again, as a new one.

        Raises NotFoundError, UnverifiedError, PlaybookError, MonitorUnavailableError.
        """
        version, signed = await self.books.version(name, number)
        if not signed:
            raise UnverifiedError(name, f"version {number} is not what the vault has signed")
        if version.change is Change.REMOVE:
            raise ConflictError(
                f"Version {number} of {name} is that by which it was removed.",
                next_step=f"`casemate playbook history {name}` shows the others.",
            )
        return await self.put(name, version.text, by, reason=f"as version {number} was")

    async def remove(self, name: str, by: Actor) -> None:
        """Have a file of one's own in force no more.

        Raises NotFoundError, ConflictError.
        """
        async with self._changing:
            require_still()
            book = self.book(name)
            if not self.books.is_own(name):
                raise ConflictError(
                    f"{name} comes with Casemate.",
                    next_step="Put one of its name with `enabled = false`",
                )
            number = self.books.next_version(name)
            self._changed(name, "remove", book.digest, by, version=number)
            await self.books.drop(name, time.time(), by.principal)

    def pause(self, project: str, seconds: int, reason: str, by: Actor) -> None:
        """Have nothing done about what is found of a project for a while; 0 ends it."""
        self._changed("", "pause", "", by, project=project, reason=reason, seconds=seconds)
        self.pauses.put(project, seconds, reason)

    def _changed(
        self,
        name: str,
        change: str,
        digest: str,
        by: Actor,
        *,
        project: str = "",
        reason: str = "",
        seconds: int = 0,
        version: int = 0,
    ) -> None:
        self._facts.happened(
            PlaybookChanged(
                at=time.time(),
                by=by.principal,
                remote_address=by.remote_address,
                project=project,
                playbook=name,
                change=change,
                digest=digest,
                reason=reason,
                seconds=seconds,
                playbook_version=version,
            )
        )

    def _refused(self, name: str, version: int, problem: str) -> None:
        _log.error("the playbook %s is not believed: %s", name, problem)
        self._facts.happened(
            PlaybookRefused(
                at=time.time(), playbook=name, playbook_version=version, problem=problem
            )
        )

    def _taken_over(self, name: str, version: Version) -> None:
        by = Actor("", NOT_BY_NETWORK)
        why = f"there before versions were signed, by {version.by}"
        self._changed(name, "take-over", version.digest, by, version=1, reason=why)
