"""Checking all that a node keeps: at its own pace in the background, or at once for an operator.

What is read: each page of each database and its log's end (the recorder reads its own), counters,
every object, every bundle and what the store says of it, archives of evidence under hold, and the
vault's files. Reading is all that is done.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Iterable

import msgspec

from casemate.gateway.bundles import BundleStore
from casemate.gateway.state import NodeData, OwnFiles, always
from casemate.model.errors import CasemateError, ConflictError
from casemate.model.integrity import CheckFinding, CheckReport, CheckState, Damaged
from casemate.operations.functions import ListFunctions
from casemate.sqlite.scrub import Pace
from casemate.store.interface import Store
from casemate.vault.interface import Vault

BACKGROUND_BYTES = 8 * 1024 * 1024
"""Read a second by a check that nobody waits for."""
EVERY_SECONDS = 24 * 3600.0
FIRST_SECONDS = 600.0
"""After the start, when a node has other things to do."""
_MOST_FINDINGS = 1000
_LOG = logging.getLogger(__name__)


def _finding(place: str, found: str | Damaged) -> CheckFinding:
    if isinstance(found, str):
        return CheckFinding(place=place, problem=found)
    return CheckFinding(place=place, **msgspec.structs.asdict(found))


class NodeCheck:
    """One check at a time. Belongs to one event loop; reading is done on threads."""

    def __init__(
        self,
        store: Store | None,
        data: NodeData,
        bundles: BundleStore,
        vault: Vault,
        *,
        own: OwnFiles | None = None,
        before: tuple[CheckFinding, ...] = (),
        check_records: Callable[[int], Awaitable[Iterable[str]]] | None = None,
        check_evidence: Callable[[Pace], Awaitable[Iterable[str]] | None] = lambda pace: None,
        is_first: Callable[[], Awaitable[bool]] = always,
    ) -> None:
        """Check these; `before` is what is known already, such as why there is no store.

        `own` is what has pages to read: an engine that others run looks after its own.

        In the background what all nodes share is read by the one that `is_first`.
        `check_records` has the recorder read its database, so many bytes a second;
        `check_evidence` reads archives under hold, None where there are none.
        """
        self._store = store
        self._own = own
        self._data = data
        self._bundles = bundles
        self._vault = vault
        self._before = before
        self._check_records = check_records
        self._check_evidence = check_evidence
        self._is_first = is_first
        self._report = CheckReport()
        self._last: CheckReport | None = None
        self._task: asyncio.Task[None] | None = None
        self._upkeep: asyncio.Task[None] | None = None
        self._ending = threading.Event()
        self._read = 0
        self._rate = 0

    def report(self) -> CheckReport:
        """Return how the present or latest check stands."""
        return msgspec.structs.replace(self._report, bytes_read=self._read)

    def faults(self) -> tuple[str, ...]:
        """Return what is wrong: what calls have met, and what the latest check has found."""
        done = self._last.findings if self._last is not None else ()
        found = (*(f"{f.place}: {f.problem}" for f in done),)
        store = self._store.faults() if self._store is not None else ()
        # A server that has store and data is told of once.
        data = (what for what in self._data.faults() if what not in store)
        return (*(f"store: {what}" for what in store), *data, *found)

    def start(self, *, background: bool = False) -> CheckReport:
        """Begin a check, unless one is under way, which then goes on at full speed."""
        if self._ending.is_set():
            raise ConflictError("The node is stopping.", next_step="Check it when it is back.")
        self._rate = BACKGROUND_BYTES if background else 0
        if self._task is None or self._task.done():
            self._read = 0
            self._report = CheckReport(
                state=CheckState.RUNNING, started_at=time.time(), findings=self._before
            )
            self._task = asyncio.ensure_future(self._run())
        return self.report()

    async def wait(self) -> CheckReport:
        """Return the report of the check under way once it is done."""
        if self._task is not None:
            await asyncio.shield(self._task)
        return self.report()

    def keep_checking(self) -> None:
        """Check in the background from now on."""
        self._upkeep = asyncio.ensure_future(self._repeat())

    async def close(self) -> None:
        """End the check that is under way."""
        self._ending.set()
        for task in (self._upkeep, self._task):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def _repeat(self) -> None:
        await asyncio.sleep(FIRST_SECONDS)
        while True:
            self.start(background=True)
            await self.wait()
            await asyncio.sleep(EVERY_SECONDS)

    def _pace(self, read: int) -> None:
        """Count what was read; on the thread that reads, wait for as long as it may take."""
        self._read += read
        if self._ending.wait(read / self._rate) if self._rate else self._ending.is_set():
            raise ConflictError("The check was ended with the node.")

    async def _run(self) -> None:
        if self._own is not None:
            await self._look("store", self._own.store.scrub(self._pace))
        if self._check_records is not None:
            await self._look("records", self._check_records(self._rate))
        if (archives := self._check_evidence(self._pace)) is not None:
            await self._look("evidence", archives)
        try:
            projects = await asyncio.to_thread(self._data.projects)
            is_due = not self._rate or await self._is_first()
        except OSError as error:
            self._find("data", (f"the folder cannot be read: {error.strerror}",))
            projects, is_due = [], True
        except CasemateError as error:
            self._find("data", (error.message,))
            projects, is_due = [], True
        if is_due:
            for project in projects:
                await self._look(f"data/{project}", self._data.scrub(project, self._pace))
            await self._look_at_bundles()
        await self._look("vault", self._look_at_vault(projects))
        self._report = msgspec.structs.replace(
            self._report, state=CheckState.DONE, ended_at=time.time(), place=""
        )
        self._last = self._report

    async def _look(self, place: str, looking: Awaitable[Iterable[str | Damaged]]) -> None:
        self._report = msgspec.structs.replace(self._report, place=place)
        problems: Iterable[str | Damaged]
        try:
            problems = await looking
        except CasemateError as error:
            problems = (f"{error.message} {error.next_step}".rstrip(),)
        except OSError as error:
            problems = (f"it cannot be read: {error.strerror}.",)
        except Exception as error:  # noqa: BLE001 - the rest has to be looked at all the same
            _LOG.exception("the check of %s failed", place)
            problems = (f"it cannot be checked: {type(error).__name__}",)
        self._find(place, problems)

    def _find(self, place: str, problems: Iterable[str | Damaged]) -> None:
        found = [_finding(place, problem) for problem in problems]
        for finding in found:
            _LOG.error("the check of %s has found: %s", finding.place, finding.problem)
        self._report = msgspec.structs.replace(
            self._report,
            places=self._report.places + 1,
            findings=(*self._report.findings, *found)[:_MOST_FINDINGS],
        )

    async def _look_at_bundles(self) -> None:
        named: dict[str, str] = {}
        try:
            if self._store is not None:
                for function in (await self._store.read(ListFunctions())).functions:
                    for version in function.versions:
                        name = f"{function.project}/{function.name}@{version.number}"
                        named[version.digest] = name
        except CasemateError as error:
            self._find("store", (error.message,))
        kept = await self._bundles.kept()
        for digest in sorted(named.keys() - kept):
            self._find(f"bundles/{digest}", (f"it is gone; {named[digest]} needs it",))
        for digest in sorted(kept):
            await self._look(f"bundles/{digest}", self._look_at_bundle(digest, named.get(digest)))

    async def _look_at_bundle(self, digest: str, version: str | None) -> tuple[str, ...]:
        try:
            read = await self._bundles.verify(digest)
        except CasemateError as error:
            of = f"{version} needs it" if version else "no version needs it"
            return (f"{error.message} ({of})",)
        await asyncio.to_thread(self._pace, read)
        return ()

    async def _look_at_vault(self, projects: list[str]) -> tuple[str, ...]:
        for content in (await self._vault.export()).values():
            await asyncio.to_thread(self._pace, len(content))
        for project in projects:
            # Its values are decrypted in the vault, which tells if one is not what was kept.
            await self._vault.redact(project, (b"",))
        return ()
