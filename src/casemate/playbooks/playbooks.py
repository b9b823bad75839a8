"""Playbooks of a node: what the monitor has found is looked at, and acted on where a file says so.

The monitor tells what it finds and holds no right; what is done about it is decided here, by files
that people put in force, and done by a principal that may do nothing else.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

from msgspec.structs import replace

from casemate.facts import FactStream
from casemate.model.errors import CasemateError, ConflictError, NotFoundError
from casemate.model.facts import Actor
from casemate.model.level import Level
from casemate.model.playbook import Approval, Playbook, PlaybookRun, Step
from casemate.model.principal import Principal
from casemate.model.still import Still, asked_again, asked_besides, require_still, whatever_changes
from casemate.monitor.errors import MonitorUnavailableError
from casemate.monitor.incident_names import names_of_same
from casemate.monitor.interface import Monitor
from casemate.operations.findings import Finding
from casemate.operations.incidents import Noticed
from casemate.playbooks.acting import Acting
from casemate.playbooks.bounding import Ages, why_not_alone
from casemate.playbooks.errors import TakenError, UnverifiedError
from casemate.playbooks.files import Files
from casemate.playbooks.kept import Runs
from casemate.playbooks.matching import is_for, run_id
from casemate.playbooks.performing import Performing
from casemate.playbooks.planning import needs, plan
from casemate.playbooks.turns import Alone, Peers, Turns
from casemate.playbooks.versions import Signer
from casemate.policy.interface import Policy
from casemate.store.interface import Store
from casemate.vault.errors import VaultError

RETRY_SECONDS = 1.0
RESUME_SECONDS = 30.0
"""Between looks at what was begun and not ended"""
OTHERS_SECONDS = 5.0
"""where there are other nodes: one of which may be gone."""
MAX_TRIES = 5
"""For one finding; then it is passed over, and that is told."""
LATE_SECONDS = 10.0
"""How long others wait for a run: one that takes longer goes on beside them."""
MAX_LATE = 16
_log = logging.getLogger(__name__)


def no_owner(_project: str, _function: str) -> str:
    """Tell that nobody is known to have deployed a function."""
    return ""


def nobody(_who: str) -> Principal | None:
    """Tell that nobody is known to be who a text names."""
    return None


class Playbooks:
    """One per gateway. On its event loop only."""

    def __init__(
        self,
        store: Store,
        signer: Signer,
        monitor: Monitor,
        acting: Acting,
        policy: Policy,
        facts: FactStream,
        durable: Callable[[], Awaitable[None]],
        *,
        owner: Callable[[str, str], str] = no_owner,
        person: Callable[[str], Principal | None] = nobody,
        acts: bool = True,
        peers: Peers | None = None,
    ) -> None:
        """Look at what `monitor` has found; where `acts` is false, only when a person says so.

        `signer` signs versions of playbooks, and verifies them. `owner` tells who answers for who
        deployed a function of a project, `person` who a text names, with the roles of now; `peers`
        are the nodes that share `store`, where there can be others.
        """
        self._owner = owner
        self._person = person
        self._policy = policy
        self.files = Files(store, signer, monitor, facts)
        self.books = self.files.books
        self.runs = Runs(store)
        self.turns = Turns(store, self.runs, peers or Alone())
        self._look_seconds = RESUME_SECONDS if peers is None else OTHERS_SECONDS
        self.acts = acts
        self._monitor = monitor
        self._ages = Ages()
        self._performing = Performing(self.runs, acting, policy, facts, durable)
        self._wake = asyncio.Event()
        self._after = -1
        self._running: set[str] = set()
        """Runs that are being done or undone: each by one alone."""
        self._late: set[asyncio.Task[PlaybookRun]] = set()
        self._task: asyncio.Task[None] | None = None

    # -- from start to end -------------------------------------------------------------------------

    async def load(self) -> None:
        """Read what is kept; at any time. Raises StoreError."""
        await self.books.load()
        await self.runs.load()
        await self.turns.load()

    def start(self) -> None:
        """Finish what was begun, and look at what is found from now on."""
        self._task = asyncio.get_running_loop().create_task(self._repeat())

    def wake(self) -> None:
        """There may be more findings."""
        self._wake.set()

    async def close(self) -> None:
        """Look no more; what is under way is left, to be finished at the next start."""
        tasks = [*self._late, *([] if self._task is None else [self._task])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _repeat(self) -> None:
        while True:
            try:
                await self._resume()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), self._look_seconds)
                self._wake.clear()
                await self._look_at_all()
            except Exception as error:  # noqa: BLE001 - logged; else nobody looked any more
                if not isinstance(error, MonitorUnavailableError):
                    _log.exception("playbooks are not looked after for a moment")
                await asyncio.sleep(RETRY_SECONDS)
                self._wake.set()

    async def _look_at_all(self) -> None:
        for each in self.turns.deferred():
            await self._look(each)
        for each in await self._monitor.noticed(self._after):
            await self._look(each)
            self._after = max(self._after, each.index)

    async def _resume(self) -> None:
        """Finish what was begun when the node was killed, or the store failed."""
        for run in [one for one in self.runs if one.state is Step.BEGINS]:
            if run.id in self._running or not self.turns.may_resume(run):
                continue
            book = self.books.get(run.playbook)
            try:
                # Its node is gone, or was killed: whoever had it before goes on no more.
                run = await self.runs.take(run, self.turns.node)  # noqa: PLW2901
                if run.alone and not self.acts:
                    await self._end(run, "the node was told to do nothing by itself")
                elif book is None or book.playbook is None or book.digest != run.digest:
                    await self._end(run, "the playbook was changed while the node was down")
                else:
                    await self.books.require(book)
                    await self._perform(run, book.playbook)
            except UnverifiedError as error:
                await self._end(run, error.message)
            except CasemateError as error:
                _log.error("%s of %s is not finished: %s", run.id, run.playbook, error)

    async def _end(self, run: PlaybookRun, why: str) -> None:
        """Have a run go no further; what it did can be taken back."""
        await self.runs.put(replace(run, state=Step.FAILED, reason=why))
        self._performing.tell(run, Step.FAILED, reason=why)

    # -- findings ----------------------------------------------------------------------------------

    async def _look(self, noticed: Noticed) -> None:
        for attempt in range(1, MAX_TRIES + 1):
            try:
                await self.consider(noticed)
            except CasemateError as error:
                _log.error("finding %s is not acted on yet: %s", noticed.finding.id, error)
                if attempt == MAX_TRIES:
                    self._performing.tell_passed_over(noticed, error.message)
                    return
                await asyncio.sleep(RETRY_SECONDS)
            except Exception:  # noqa: BLE001 - logged; what is found next is looked at
                _log.exception("finding %s cannot be acted on", noticed.finding.id)
                return
            else:
                return

    async def consider(self, noticed: Noticed) -> None:
        """Do what playbooks say about a finding, once. Raises StoreError."""
        found = noticed.finding
        if not self.acts:
            return
        if not self.turns.is_mine(noticed):
            self.turns.defer(noticed)
            return
        paused = self.files.pauses.why(found.project)
        away: VaultError | None = None
        for book in list(self.books):
            playbook = book.playbook
            if playbook is None or not playbook.enabled or not is_for(playbook, noticed):
                continue
            # What was found before a playbook was put is none of its business; one that was put
            # in the future was so before the clock was set back.
            before = found.at < book.changed_at <= time.time()
            if before or self.runs.get(run_id(book.name, found.id)):
                continue
            run = plan(book, playbook, found, noticed.incident)
            if not run.acts:
                continue
            try:
                await self.books.require(book)
                if paused:
                    # Kept, so that it is not done after all once the node has started anew.
                    await self.runs.put(replace(run, state=Step.DISMISSED, reason=paused))
                    continue
                if not await self.turns.claim(run):
                    self.turns.defer(noticed)
                    continue
                owner = self._owner(found.project, found.function)
                await self._begin(replace(run, owner=owner), playbook)
            except TakenError as error:
                _log.info("%s is not done here: %s", run.id, error)
            except UnverifiedError as error:
                _log.error("%s", error)
            except VaultError as error:
                away = error  # those that come with Casemate act all the same
        if away is not None:
            raise away

    async def _begin(self, run: PlaybookRun, playbook: Playbook) -> None:
        why = "its file says that a person is asked first"
        if playbook.approval is Approval.NONE:
            why = why_not_alone(run, playbook.bounds, self.runs, self._ages)
        if why and (asked := await self._asked(run)) is not None:
            # Kept, so that it is not asked after all once that one is answered.
            await self.runs.put(replace(run, state=Step.DISMISSED, reason=f"{asked.id} asks it"))
            return
        if why:
            if not self.runs.has_room_to_wait(run.project, run.owner):
                run = replace(run, state=Step.FAILED, reason="too many runs wait for a person")
            else:
                run = replace(run, state=Step.WAITS, reason=why)
            await self.runs.take(run, self.turns.node)
            self._performing.tell(run, run.state, run.acts[0], reason=run.reason)
            return
        run = replace(run, state=Step.BEGINS, alone=True)
        self._ages.note(run.id)
        run = await self.runs.take(run, self.turns.node)
        await self._perform(run, playbook)

    async def _asked(self, run: PlaybookRun) -> PlaybookRun | None:
        """Return what waits already for leave to do all of a run, in the same incident."""
        names = {one.incident for one in self.runs.asking(run)}
        same = names & {run.incident}
        if names and not same and run.incident:
            with suppress(MonitorUnavailableError):  # then it is asked besides
                same = await names_of_same(self._monitor, run.incident, names)
        # Once more: who is asked may have answered meanwhile.
        found = (one for one in self.runs.asking(run) if run.incident and one.incident in same)
        return next(found, None)

    async def _perform(self, run: PlaybookRun, playbook: Playbook) -> None:
        """Do a run; one that takes long goes on while others are looked at."""
        while len(self._late) >= MAX_LATE:
            await asyncio.wait(self._late, return_when=asyncio.FIRST_COMPLETED)
        task = asyncio.get_running_loop().create_task(self._alone(run, playbook))
        self._late.add(task)
        task.add_done_callback(self._ended)
        await asyncio.wait((task,), timeout=LATE_SECONDS)

    def _ended(self, task: asyncio.Task[PlaybookRun]) -> None:
        self._late.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a playbook was not finished: %s", error)

    async def _alone(self, run: PlaybookRun, playbook: Playbook) -> PlaybookRun:
        """Do a run that is of no request."""
        still = whatever_changes if run.alone else self._by_name(run)
        with self._claimed(run.id), asked_again(still), asked_besides(self._in_force(run)):
            try:
                return await self._performing.perform(run, playbook)
            finally:
                self._ages.note(run.id)  # the last of it was now

    def _in_force(self, run: PlaybookRun) -> Still:
        """Return what is asked before each action of a run."""

        def decide() -> None:
            book = self.books.get(run.playbook)
            if book is None or book.playbook is None or book.digest != run.digest:
                raise ConflictError(f"The playbook {run.playbook} was changed since it was begun.")

        return decide

    def _by_name(self, run: PlaybookRun) -> Still:
        """Return what is asked before each action of a run that a person had done.

        His request has ended with the process that had it: what he may do now counts.
        """

        def decide() -> None:
            who = self._person(run.by)
            for need in needs(run):
                if who is None or not self._policy.allows(who, need.action, need.resource):
                    raise ConflictError(f"{run.by} may no longer {need.action.value}.")

        return decide

    @contextmanager
    def _claimed(self, id: str) -> Iterator[None]:
        """Have a run for oneself within the block. Raises ConflictError."""
        if id in self._running:
            raise ConflictError(f"{id} is being done or undone.", next_step="Try again soon.")
        self._running.add(id)
        try:
            yield
        finally:
            self._running.discard(id)

    # -- what people say ---------------------------------------------------------------------------

    def found(self, id: str) -> PlaybookRun:
        """Return a run. Raises NotFoundError."""
        run = self.runs.get(id)
        if run is None:
            raise NotFoundError(
                f"There is no run {id[:64]}.",
                next_step="`casemate playbook runs` shows what there is.",
            )
        return run

    async def approve(self, id: str, by: Actor) -> PlaybookRun:
        """Do what waits, by a person's word. Raises NotFoundError, ConflictError.

        It is decided again before each action: the vault, a deploy or a function that sets a
        secret may be waited for.
        """
        run = self._waiting(id)
        book, playbook = self.files.usable(run.playbook)
        if book.digest != run.digest:
            raise ConflictError(
                f"{run.playbook} was changed since: {id} is not what it would do now.",
                next_step=f"Run it again: casemate playbook run {run.playbook} "
                f"--incident {run.incident}"
                if run.incident
                else f"Dismiss it: casemate playbook dismiss {id} --reason TEXT",
            )
        await self.books.require(book)
        require_still()
        return await self._by_hand(replace(run, version=book.version), playbook, by)

    async def dismiss(self, id: str, reason: str, by: Actor) -> PlaybookRun:
        """Have what waits not done. Raises NotFoundError, ConflictError."""
        run = self._waiting(id)
        with self._claimed(id):
            run = replace(run, state=Step.DISMISSED, reason=reason, by=by.principal)
            run = await self.runs.take(run, self.turns.node)
        self._performing.tell(run, Step.DISMISSED, by=by, reason=reason)
        return run

    def _waiting(self, id: str) -> PlaybookRun:
        run = self.found(id)
        if run.state is not Step.WAITS or id in self._running:
            raise ConflictError(f"{id} does not wait for a person: it is {run.state.value}.")
        return run

    def by_cause(self, name: str, noticed: Iterable[Noticed]) -> list[Finding]:
        """Return findings as likely to be what a playbook is run for by hand, the likeliest first.

        Those that it is for come first, then the gravest.
        """
        _, playbook = self.files.usable(name)
        levels = list(Level)
        ordered = sorted(
            noticed,
            key=lambda one: (is_for(playbook, one), levels.index(one.finding.level)),
            reverse=True,
        )
        return [one.finding for one in ordered]

    def planned(self, name: str, found: Finding, incident: str) -> PlaybookRun:
        """Return what a playbook would do about a finding now, by hand."""
        book, playbook = self.files.usable(name)
        return plan(book, playbook, found, incident)

    async def run_by_hand(self, run: PlaybookRun, by: Actor) -> PlaybookRun:
        """Do what was planned. Raises ConflictError for what was done, or would do nothing."""
        before = self.runs.get(run.id)
        if before is not None:
            if not before.may_be_done:
                raise ConflictError(f"{run.id} is {before.state.value} already.")
            run = before.done_again(run)
        if not run.acts:
            raise ConflictError(
                f"{run.playbook} would do nothing: finding {run.finding} is about none of what it "
                "acts on."
            )
        book, playbook = self.files.usable(run.playbook)
        await self.books.require(book)
        require_still()
        return await self._by_hand(run, playbook, by)

    async def _by_hand(self, run: PlaybookRun, playbook: Playbook, by: Actor) -> PlaybookRun:
        with self._claimed(run.id), asked_besides(self._in_force(run)):
            run = replace(run, state=Step.BEGINS, by=by.principal, reason="")
            run = await self.runs.take(run, self.turns.node)
            self._performing.tell(run, Step.BEGINS, by=by, reason="by hand")
            return await self._performing.perform(run, playbook)

    async def undo(
        self,
        id: str,
        only: str | None,
        reason: str,
        by: Actor,
    ) -> PlaybookRun:
        """Take back what a run has done. Raises NotFoundError, ConflictError."""
        run = self.found(id)
        if id in self._running or run.state is Step.BEGINS:
            raise ConflictError(f"{id} is being done or undone.", next_step="Try again soon.")
        if not any(act.may_hold and only in (None, act.do) for act in run.acts):
            raise ConflictError(f"{id} has done nothing that is to be taken back.")
        with self._claimed(id):
            run = await self.runs.take(run, self.turns.node)
            return await self._performing.undo(run, only, reason, by)
