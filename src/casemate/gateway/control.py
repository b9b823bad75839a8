"""The control service: what owners do with a node, behind the control API."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TypeVar
from weakref import WeakValueDictionary

from casemate import __version__
from casemate.admission import Catalogue
from casemate.api.control import Deployment
from casemate.capabilities import UseCounter
from casemate.data.interface import ProjectData
from casemate.delivery import Delivery
from casemate.delivery.subscriptions import Subscriptions
from casemate.dispatch import Dispatcher
from casemate.facts import FactStream
from casemate.gateway import changes
from casemate.gateway.aliases import Aliases
from casemate.gateway.bundles import BundleStore
from casemate.gateway.deploy_decisions import DeployDecisions
from casemate.gateway.deployed_state import DeployedState
from casemate.gateway.deploying import Deploying
from casemate.gateway.foreseeing import Foreseeing
from casemate.gateway.forgetting import Declaring
from casemate.gateway.ready_instances import ReadyInstances
from casemate.gateway.removals import Removals
from casemate.gateway.turns import Turns
from casemate.gateway.uploaded_bundles import UploadedBundles
from casemate.gateway.vouched import Vouching
from casemate.model.deployment import (
    Quarantine,
    TrialTerms,
    Version,
)
from casemate.model.errors import (
    CasemateError,
    NoFunctionError,
    NotFoundError,
    UnavailableError,
)
from casemate.model.facts import Actor
from casemate.model.invocation import RunningInvocation
from casemate.model.node import NodeStatus
from casemate.model.processes import GatewayConfig
from casemate.model.restoring import Restoring
from casemate.model.route import RouteClaim
from casemate.model.still import require_still
from casemate.nodes import AloneDecisions, Decisions
from casemate.operations.declaration import Operation
from casemate.operations.deployments import ForgetFunction, ForgetVersion
from casemate.operations.grants import ListUses
from casemate.operations.quarantine import QuarantineFunction, ReleaseFunction
from casemate.operations.records import ReadLogs
from casemate.recorder.denials import DenialRecorder
from casemate.recorder.records.interface import Records
from casemate.sandbox.client import SandboxClient
from casemate.sbom import sbom
from casemate.seal import Redactor
from casemate.store.interface import Store
from casemate.vulnerabilities import Gate, Live

AnswerT = TypeVar("AnswerT")
_log = logging.getLogger(__name__)
_Locks = WeakValueDictionary[str, asyncio.Lock]
"""By project: of its turn, and of its starts of functions that nobody calls yet."""


class NodeControl:
    """Implements `casemate.api.control.Control`. Changes are made one after the other."""

    def __init__(
        self,
        *,
        config: GatewayConfig,
        store: Store,
        catalogue: Catalogue,
        dispatcher: Dispatcher,
        client: SandboxClient,
        bundles: BundleStore,
        vouching: Vouching,
        data: ProjectData,
        uses: UseCounter,
        redactor: Redactor,
        records: Records,
        denials: DenialRecorder,
        facts: FactStream,
        subscriptions: Subscriptions,
        delivery: Delivery,
        gate: Gate,
        require_movable: Callable[[str, str], None],
        on_live: Callable[[], None],
        answerable: Callable[[str], str],
        approves_alone: changes.ApprovesAlone,
        decisions: Decisions | None = None,
    ) -> None:
        """Act on these; `require_movable` raises ConflictError for a function whose aliases are
        not to be moved.

        `on_live` is called once what is live has changed and is subscribed: for what follows it
        besides. `answerable` says who answers for a token, `approves_alone` whether nobody
        but one may approve a grant. `decisions` make what was decided on
        what is in memory; a node alone needs none.
        """
        self._config = config
        self._catalogue = catalogue
        self._dispatcher = dispatcher
        self._client = client
        self._bundles = bundles
        self._store, self._uses, self._approves_alone = store, uses, approves_alone
        self._redactor, self._records = redactor, records
        self._denials, self._facts = denials, facts
        self._require_movable = require_movable
        self._turns = turns = Turns()
        ready = ReadyInstances(catalogue, dispatcher, config.caps)
        decides = decisions or AloneDecisions(store)
        self._state = state = DeployedState(
            store, catalogue, dispatcher, ready, subscriptions, delivery, decides, on_live
        )
        self.functions, self.function, self.reload = state.functions, state.function, state.reload
        self._aliases = aliases = Aliases(
            store, catalogue, state, turns, ready, facts.happened, require_movable
        )
        self.set_alias, self.rollback = aliases.set_alias, aliases.rollback
        self.start_trial, self.end_trial = aliases.start_trial, aliases.end_trial
        self.stable_before = aliases.stable_before
        self._uploaded = uploaded = UploadedBundles(catalogue, bundles, turns, answerable)
        self.has_bundle, self.put_bundle = uploaded.has_bundle, uploaded.put_bundle
        self.require_room, self.find_pieces = uploaded.require_room, uploaded.find_pieces
        self.reseal_bundles = uploaded.reseal_bundles
        deciding = DeployDecisions(catalogue, ready, facts.happened, require_movable)
        self._deploying = Deploying(
            config, store, catalogue, dispatcher, client, bundles, vouching, data, gate, deciding,
            state, happened=facts.happened, approves_alone=approves_alone,
        )  # fmt: skip
        self._removals = Removals(store, self._deploying.give_up)
        self._resuming: asyncio.Future[None] | None = None
        foreseeing = Foreseeing(config, deciding, gate, vouching, uploaded, Declaring(data))
        self.foresee, self.forgets = foreseeing.foresee, foreseeing.forgets
        self._stopping = False

    def stop(self) -> None:
        """End followed logs, which would otherwise hold up the end of the node."""
        self._stopping = True
        if self._resuming is not None:
            self._resuming.cancel()
        self._aliases.close()
        self._facts.end_feeds()

    async def load(self) -> None:
        """Read what is stored."""
        await self._state.load()
        await self._uploaded.load()
        for minor in {str(v.spec.python) for v in self._catalogue.live_versions()}:
            if minor in self._config.pythons:
                self._client.prepare(minor)
        await self._state.start()
        await self._removals.load()
        # Much may wait for one: nobody waits for its end but who deploys in that project.
        self._resuming = asyncio.ensure_future(self._resume_removals())

    async def _resume_removals(self) -> None:
        for project, function in self._removals.unfinished():
            async with self._turns.change(project):
                try:
                    await self.function(project, function)
                except NoFunctionError:
                    await self._removals.finish(project, function)
                except CasemateError as error:
                    _log.warning("what waits for %s/%s is kept yet: %s", project, function, error)
                else:
                    await self._removals.withdraw(project, function)

    # -- whose routes are whose --

    async def route_claims(self) -> tuple[RouteClaim, ...]:
        """See Control."""
        return self._catalogue.claims

    async def claim_routes(self, claim: RouteClaim, *, by: Actor) -> None:
        """See Control."""
        async with self._turns.change(claim.project), self._state.loading:
            require_still()
            await self._state.claim(claim)

    # -- functions -----------------------------------------------------------------------------

    async def quarantine(self, operation: QuarantineFunction, *, by: Actor) -> Quarantine:
        """See Control."""
        name = (operation.project, operation.function)
        with self._state.stopping(*name):
            async with self._turns.changing:
                require_still()
                await self.function(*name)
                found = await self._state.quarantines.begin(operation, by)
                self._facts.happened(changes.quarantined(operation, by))
                await self._state.take_over()
                self._state.kill()
                return found

    async def release(self, operation: ReleaseFunction, *, by: Actor) -> Quarantine:
        """See Control."""
        async with self._turns.change(operation.project):
            require_still()
            found = await self._state.quarantines.end(operation.project, operation.function)
            self._facts.happened(changes.released(operation, by))
            await self._state.take_over()
            return found

    async def live(self) -> tuple[Live, ...]:
        """Return what callers reach by an alias, once no change of it is under way."""
        async with self._turns.changing:
            return tuple(
                Live(version.project, version.function, version.number, version.digest)
                for version in self._catalogue.reached()
            )

    async def remove(self, project: str, function: str, *, by: Actor) -> None:
        """See Control."""
        forget = ForgetFunction(project=project, function=function)
        async with self._turns.change(project):
            require_still()
            idle = await self._is_idle(project, function)
            await self._removals.begin(project, function)
            try:
                unused = await self._forgotten(forget)
            except CasemateError:
                await self._removals.withdraw(project, function)
                raise
            await self._removed(project, function, 0, unused, by, idle=idle)
            await self._removals.finish(project, function)

    async def _forgotten(self, operation: ForgetFunction | ForgetVersion) -> Iterable[str]:
        async def decide() -> Operation[tuple[str, ...]]:
            self._state.quarantines.require_none(operation.project, operation.function)
            self._require_movable(operation.project, operation.function)
            return operation

        async with self._state.loading:
            return await self._state.make(decide)

    async def remove_version(
        self,
        project: str,
        function: str,
        number: int,
        *,
        by: Actor,
    ) -> None:
        """See Control."""
        forget = ForgetVersion(project=project, function=function, number=number)
        async with self._turns.change(project):
            require_still()
            idle = await self._is_idle(project, function)
            unused = await self._forgotten(forget)
            await self._removed(project, function, number, unused, by, idle=idle)

    async def _is_idle(self, project: str, function: str) -> bool:
        """Tell whether nothing came of a function; what cannot be found out is not so."""
        try:
            await self._uses.flush()
            uses = await self._store.read(ListUses(project=project, function=function))
            versions = (await self.function(project, function)).versions
        except CasemateError:
            return False
        # One that is live at the end says nothing of those that strangers called before.
        return not uses and not any(version.spec.public for version in versions)

    async def _removed(
        self,
        project: str,
        function: str,
        number: int,
        unused: Iterable[str],
        by: Actor,
        *,
        idle: bool,
    ) -> None:
        try:
            alone = self._approves_alone(project, function, by)
        except Exception:  # noqa: BLE001 - what is not known to be so is found as the graver one
            alone = False
        self._facts.happened(changes.removed(project, function, number, by, alone=alone, idle=idle))
        await self._state.take_over()
        for digest in unused:
            await self._bundles.remove(digest)

    # -- bundles and versions ------------------------------------------------------------------

    async def start_once(self, project: str, function: str, digest: str, *, by: Actor) -> None:
        """See Control."""
        async with self._turns.start((project,), by) as place:
            await self._deploying.start_once(Deployment(project, function, digest), by, place)

    async def deploy(
        self,
        project: str,
        function: str,
        digest: str,
        *,
        approve: bool,
        by: Actor,
    ) -> Version:
        """See Control."""
        wanted = (Deployment(project, function, digest),)
        return (await self.deploy_all(wanted, approve=approve, by=by))[0]

    async def deploy_all(
        self,
        wanted: Sequence[Deployment],
        *,
        approve: bool,
        trial: TrialTerms | None = None,
        by: Actor,
    ) -> tuple[Version, ...]:
        """See Control."""
        projects = tuple(one.project for one in wanted)
        turn = partial(self._turns.change, *projects)
        await self._deploying.require_allowed(wanted, approve=approve, trial=trial, by=by)
        # A function says itself how long it takes to start: meanwhile nobody else waits.
        async with self._turns.start(projects, by) as place:
            require_still()
            versions = await self._deploying.deploy(
                wanted, approve=approve, trial=trial, by=by, turn=turn, place=place
            )
            for version in versions:
                self._uploaded.deployed(version.digest)
            await self._state.take_over()
            return versions

    async def sbom(self, project: str, function: str, version: int | None) -> bytes:
        """See Control."""
        found = await self.function(project, function)
        live = self._catalogue.most_live(project, function)
        wanted = live.number if version is None and live is not None else version
        digest = next((one.digest for one in found.versions if one.number == wanted), None)
        if digest is None:
            raise NotFoundError(
                f"{project}/{function} has no version {wanted or 'that is live'}.",
                next_step="Run casemate show to see the versions there are.",
            )
        return await self._bundles.read(digest, sbom)

    async def _flush(self) -> None:
        # What has ended is recorded once it is known what it has used.
        await self._client.meters.settled()
        self._denials.flush()
        await self._redactor.flush()
        await self._records.flush()

    # -- records -------------------------------------------------------------------------------

    async def recorded(self, operation: Operation[AnswerT]) -> AnswerT:
        """See Control."""
        if self._stopping and isinstance(operation, ReadLogs):
            raise UnavailableError("The node is stopping.", next_step="Try again soon.")
        uses = isinstance(operation, ListUses)
        await (self._uses.flush() if uses else self._flush())
        return await (self._store.read(operation) if uses else self._records.read(operation))

    def running(self, project: str | None, function: str | None) -> tuple[RunningInvocation, ...]:
        """See Control."""
        return tuple(
            running
            for running in self._dispatcher.running()
            if project in (None, running.project) and function in (None, running.function)
        )

    def restoring(self, project: str, function: str) -> Restoring:
        """See Control."""
        return self._dispatcher.tallies.told(project, function)

    # -- the node ------------------------------------------------------------------------------

    async def node_status(self) -> NodeStatus:
        """See Control."""
        pages, page = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
        return NodeStatus(
            version=__version__,
            started_at=self._config.started_at,
            protections=self._config.protections,
            pythons=tuple(self._config.pythons[m] for m in sorted(self._config.pythons)),
            memory_total=pages * page,
            memory_reserved=self._dispatcher.reserved_memory,
            cpus=float(len(os.sched_getaffinity(0))),
            functions=len(self._catalogue),
            zygotes=self._client.zygotes,
            instances=self._dispatcher.busy,
            spares=self._dispatcher.spares,
            queued=self._dispatcher.waiting,
            lost_records=self._records.lost_records,
            memory_resting=self._dispatcher.resting_memory,
            memory_resting_most=self._config.resting_memory,
            caps=self._config.caps,
        )
