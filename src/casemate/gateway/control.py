"""The control service: what owners do with a node, behind the control API."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar
from weakref import WeakValueDictionary

from casemate import __version__
from casemate.admission import Catalogue
from casemate.api.control import Deployment, Deploys
from casemate.capabilities import UseCounter
from casemate.data.interface import ProjectData
from casemate.delivery import Delivery
from casemate.delivery.subscriptions import Subscriptions
from casemate.dispatch import Dispatcher
from casemate.facts import FactStream
from casemate.gateway import changes
from casemate.gateway.bundles import BundleStore
from casemate.gateway.deploying import Deploying, widening_denied
from casemate.gateway.quarantines import QUARANTINES, Quarantines
from casemate.gateway.ready_instances import ReadyInstances
from casemate.gateway.route_claims import CLAIMS_VALUE, read_claims, write_claims
from casemate.gateway.stable import require_stable_before
from casemate.gateway.start_places import StartPlace, StartPlaces
from casemate.gateway.trials import Trials, require_way_back
from casemate.gateway.uploads import KEPT_SECONDS, Uploads
from casemate.gateway.vouched import Vouching
from casemate.gateway.ways_back import live_lately, widening_of
from casemate.model.deployment import (
    LIVE,
    Alias,
    DeployedFunction,
    Quarantine,
    TrialTerms,
    Version,
)
from casemate.model.errors import ConflictError, NotFoundError, UnavailableError
from casemate.model.facts import NOT_BY_NETWORK, Actor
from casemate.model.invocation import RunningInvocation
from casemate.model.node import NodeStatus
from casemate.model.principal import Action
from casemate.model.processes import GatewayConfig
from casemate.model.restoring import Restoring
from casemate.model.route import RouteClaim
from casemate.model.still import require_still
from casemate.nodes import AloneDecisions, Decisions
from casemate.operations.declaration import Operation
from casemate.operations.deployments import ForgetFunction, ForgetVersion, ShowAliasHistory
from casemate.operations.functions import MAX_ALIASES, ListFunctions, SetAlias, Target
from casemate.operations.grants import ListUses
from casemate.operations.node import KeepNodeValue, ReadNodeValue
from casemate.operations.quarantine import QuarantineFunction, ReleaseFunction
from casemate.operations.records import ReadLogs
from casemate.operations.trials import EndTrial, StartTrial
from casemate.recorder.denials import DenialRecorder
from casemate.recorder.records.interface import Records
from casemate.sandbox.client import SandboxClient
from casemate.sbom import sbom
from casemate.seal import Redactor
from casemate.store.interface import Store
from casemate.vulnerabilities import Gate, Live

AnswerT = TypeVar("AnswerT")
_Locks = WeakValueDictionary[str, asyncio.Lock]
"""By project: of its turn, and of its starts of functions that nobody calls yet."""
TOPICS = frozenset(
    {
        *("version", "alias_state", "alias_target"),
        *(f"value {CLAIMS_VALUE}", f"value {QUARANTINES}"),
    }
)
"""Of what is stored, what is held here in memory."""
_Turns = WeakValueDictionary[str, asyncio.Semaphore]
_MAX_HISTORY = 1000
"""States of an alias that a rollback looks at."""
MAX_STARTS = 16
"""Deploys and trial starts of all projects whose functions are started at a time."""
MAX_STARTS_OF_CALLER = 4
"""Of these, asked for by one person or token, in whatever projects: others find room."""


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
        decisions: Decisions | None = None,
    ) -> None:
        """Act on these; `require_movable` raises ConflictError for a function whose aliases are
        not to be moved.

        `on_live` is called once what is live has changed and is subscribed: for what follows it
        besides. `decisions` make what was decided on what is in memory; a node alone needs none.
        """
        self._config = config
        self._store = store
        self._catalogue = catalogue
        self._dispatcher = dispatcher
        self._client = client
        self._bundles = bundles
        self._data, self._uses = data, uses
        self._redactor, self._records = redactor, records
        self._denials, self._facts = denials, facts
        self._subscriptions, self._delivery = subscriptions, delivery
        self._quarantines = Quarantines(store)
        self._decisions = decisions or AloneDecisions(store)
        self._loading = asyncio.Lock()
        """Held while what is stored is taken over, and while it is decided on; seldom for long."""
        self._ready = ReadyInstances(catalogue, dispatcher, config.caps)
        self._deploying = Deploying(
            ready=self._ready,
            pythons=config.pythons,
            caps=config.caps,
            store=store,
            catalogue=catalogue,
            dispatcher=dispatcher,
            client=client,
            bundles=bundles,
            vouching=vouching,
            data=data,
            gate=gate,
            happened=facts.happened,
            require_movable=require_movable,
            make=self._make,
            loading=self._loading,
        )
        self._require_movable = require_movable
        self._turns, self._starts, self._starters = _Locks(), _Locks(), _Turns()
        self._changing, self._places = asyncio.Lock(), StartPlaces(MAX_STARTS)
        self._stopping_first: Counter[tuple[str, str]] = Counter()
        """Functions whose quarantine waits for another change, by how many times."""
        self._uploads = Uploads()
        self._expiring: set[asyncio.Task[None]] = set()
        self._on_live, self._stopping = on_live, False
        self._trials = Trials(self._lapse)

    def stop(self) -> None:
        """End followed logs, which would otherwise hold up the end of the node."""
        self._stopping = True
        self._trials.close()
        self._facts.end_feeds()

    async def load(self) -> None:
        """Read what is stored."""
        claims = await self._read_claims()
        await self._quarantines.load()
        self._dispatcher.contain(self._contained)
        functions = await self.functions()
        self._catalogue.replace(functions, claims)
        self._trials.follow(functions)
        used, limit = self._catalogue.digests(), time.time() - KEPT_SECONDS
        for digest, size in (await self._bundles.load(used, limit)).items():
            self._note_upload(digest, size)
        for minor in {str(v.spec.python) for v in self._catalogue.live_versions()}:
            if minor in self._config.pythons:
                self._client.prepare(minor)
        self._ready.follow()
        await self._subscriptions.start()
        self._delivery.start()
        self._on_live()

    async def _read_claims(self) -> tuple[RouteClaim, ...]:
        return read_claims(await self._store.read(ReadNodeValue(name=CLAIMS_VALUE)))

    async def reload(self) -> None:
        """Take over what other nodes have changed; at any time. Raises StoreError.

        A deploy that is under way does not keep it waiting: it decides again at its end.
        """
        async with self._loading:
            await self._renew()

    async def _renew(self) -> None:
        """Read again what is decided on; `_loading` is held."""
        claims = await self._read_claims()
        await self._quarantines.load()
        await self._take_over(claims)

    async def _make(self, decide: Callable[[], Awaitable[Operation[AnswerT]]]) -> AnswerT:
        """Make the change that is decided on functions, claims and quarantines; `_loading` is
        held.
        """
        return await self._decisions.make(decide, self._renew, TOPICS)

    @asynccontextmanager
    async def _turn(self, *projects: str) -> AsyncIterator[None]:
        """Make one change after the other, and those of projects in turn.

        Who asks for a hundred of them waits for its own: of each project one at most stands in
        the way of the others. Within it nothing waits for what a function does.
        """
        async with _held(self._turns, projects), self._changing:
            yield

    @asynccontextmanager
    async def _start(self, projects: Iterable[str], by: Actor) -> AsyncIterator[StartPlace]:
        """Start functions beside those of other projects, and of other people and tokens.

        Whoever asks for many waits for his own before he stands in anybody's way.
        """
        projects = frozenset(projects)
        starter = self._starters.setdefault(by.principal, asyncio.Semaphore(MAX_STARTS_OF_CALLER))
        async with starter, _held(self._starts, projects), self._places.hold(projects) as place:
            yield place

    # -- whose routes are whose --

    async def route_claims(self) -> tuple[RouteClaim, ...]:
        """See Control."""
        return self._catalogue.claims

    async def claim_routes(self, claim: RouteClaim, *, by: Actor) -> None:
        """See Control."""
        claims: tuple[RouteClaim, ...] = ()

        async def decide() -> KeepNodeValue:
            nonlocal claims
            self._catalogue.check_claim(claim)
            others = [c for c in self._catalogue.claims if c.project != claim.project]
            mine = (claim,) if claim.prefixes or claim.hosts else ()
            claims = tuple(sorted((*others, *mine), key=lambda one: one.project))
            return KeepNodeValue(name=CLAIMS_VALUE, value=write_claims(claims))

        async with self._turn(claim.project), self._loading:
            require_still()
            await self._make(decide)
            self._catalogue.replace(await self.functions(), claims)

    # -- functions -----------------------------------------------------------------------------

    async def functions(self) -> tuple[DeployedFunction, ...]:
        """See Control."""
        stored = (await self._store.read(ListFunctions())).functions
        return self._quarantines.told(self._ready.told(stored))

    async def function(self, project: str, name: str) -> DeployedFunction:
        """See Control."""
        for function in await self.functions():
            if (function.project, function.name) == (project, name):
                return function
        raise NotFoundError(f"There is no function {project}/{name}.", next_step="run casemate ls")

    async def quarantine(self, operation: QuarantineFunction, *, by: Actor) -> Quarantine:
        """See Control."""
        name = (operation.project, operation.function)
        # At once: a deploy that is under way may take as long as some function takes to start.
        self._stopping_first[name] += 1
        self._dispatcher.contain(self._contained)
        try:
            async with self._changing:
                require_still()
                await self.function(*name)
                found = await self._quarantines.begin(operation, by)
                self._facts.happened(changes.quarantined(operation, by))
                await self._reload()
                if operation.kill:
                    self._dispatcher.kill(*name)
                return found
        finally:
            self._stopping_first -= Counter((name,))
            self._dispatcher.contain(self._contained)

    @property
    def _contained(self) -> frozenset[tuple[str, str]]:
        """Functions that take no calls: in quarantine, or about to be."""
        return self._quarantines.names | frozenset(self._stopping_first)

    async def release(self, operation: ReleaseFunction, *, by: Actor) -> Quarantine:
        """See Control."""
        async with self._turn(operation.project):
            require_still()
            found = await self._quarantines.end(operation.project, operation.function)
            self._facts.happened(changes.released(operation, by))
            await self._reload()
            return found

    async def live(self) -> tuple[Live, ...]:
        """Return what callers reach by an alias, once no change of it is under way."""
        async with self._changing:
            return tuple(
                Live(version.project, version.function, version.number, version.digest)
                for version in self._catalogue.reached()
            )

    async def remove(self, project: str, function: str, *, by: Actor) -> None:
        """See Control."""
        forget = ForgetFunction(project=project, function=function)
        async with self._turn(project):
            require_still()
            unused = await self._forgotten(forget)
            await self._removed(project, function, 0, unused, by)

    async def _forgotten(self, operation: ForgetFunction | ForgetVersion) -> Iterable[str]:
        async def decide() -> Operation[tuple[str, ...]]:
            self._quarantines.require_none(operation.project, operation.function)
            self._require_movable(operation.project, operation.function)
            return operation

        async with self._loading:
            return await self._make(decide)

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
        async with self._turn(project):
            require_still()
            unused = await self._forgotten(forget)
            await self._removed(project, function, number, unused, by)

    async def _removed(
        self, project: str, function: str, number: int, unused: Iterable[str], by: Actor
    ) -> None:
        self._facts.happened(changes.removed(project, function, number, by))
        await self._reload()
        for digest in unused:
            await self._bundles.remove(digest)

    async def _reload(self) -> None:
        """Take over what this node has changed."""
        async with self._loading:
            await self._take_over(self._catalogue.claims)

    async def _take_over(self, claims: tuple[RouteClaim, ...]) -> None:
        """Take over what is stored, and let versions end that no alias leads to any more."""
        self._dispatcher.contain(self._contained)
        functions = await self.functions()
        self._catalogue.replace(functions, claims)
        self._trials.follow(functions)
        keep = {
            (f.project, f.name, target.version)
            for f in functions
            for alias in f.aliases
            for target in alias.targets
            if target.weight > 0
        }
        self._dispatcher.retire(keep)
        self._ready.follow()
        await self._subscriptions.update()
        self._delivery.update()
        self._on_live()

    # -- bundles and versions ------------------------------------------------------------------

    async def has_bundle(self, digest: str, *, by: str, deploys: Deploys) -> bool:
        """See Control."""
        names = self._catalogue.functions_of(digest)
        if not self._uploads.is_of(digest, by) and not any(deploys(*name) for name in names):
            return False
        # What was lost or damaged on the disk is mended by being uploaded again.
        return await self._bundles.is_kept(digest)

    async def put_bundle(self, digest: str, archive: Path, *, by: str, deploys: Deploys) -> bool:
        """See Control."""
        await self._remove_expired()
        known = await self.has_bundle(digest, by=by, deploys=deploys)
        if known:
            return False
        size = (await asyncio.to_thread(archive.stat)).st_size
        self._uploads.require_room(size, by)
        # Noted first: what is uploaded at the same time counts, too.
        self._note_upload(digest, size, by)
        try:
            await self._bundles.put(digest, archive)
        except BaseException:
            self._uploads.withdraw(digest, by)
            raise
        return True

    def _note_upload(self, digest: str, size: int, by: str = "") -> None:
        self._uploads.note(digest, size, by)
        asyncio.get_running_loop().call_later(KEPT_SECONDS + 1, self._expire)

    def _expire(self) -> None:
        task = asyncio.ensure_future(self._remove_expired())
        self._expiring.add(task)
        task.add_done_callback(self._expiring.discard)

    async def _remove_expired(self) -> None:
        """Delete uploads that nobody has deployed in time."""
        for digest in self._uploads.take_expired():
            await self._remove_unused(digest)

    async def _remove_unused(self, digest: str) -> None:
        async with self._changing:  # a deploy of it may be under way
            if not self._catalogue.functions_of(digest):
                await self._bundles.remove(digest)

    async def reseal_bundles(self) -> None:
        """See Control."""
        async with self._changing:
            await self._bundles.rekey()

    async def start_once(self, project: str, function: str, digest: str, *, by: Actor) -> None:
        """See Control."""
        async with self._start((project,), by) as place:
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
        turn = partial(self._turn, *projects)
        # A function says itself how long it takes to start: meanwhile nobody else waits.
        async with self._start(projects, by) as place:
            require_still()
            versions = await self._deploying.deploy(
                wanted, approve=approve, trial=trial, by=by, turn=turn, place=place
            )
            for version in versions:
                self._uploads.forget(version.digest)
            await self._reload()
            return versions

    async def set_alias(
        self,
        operation: SetAlias,
        *,
        approve: bool = False,
        by: Actor,
    ) -> Alias:
        """See Control."""
        async with self._turn(operation.project):
            require_still()
            return await self._point(operation, by, approve=approve)

    async def _point(self, operation: SetAlias, by: Actor, *, approve: bool) -> Alias:
        """Point an alias, unless another function has taken a route that would come back."""

        async def decide() -> Operation[Alias]:
            self._require_movable(operation.project, operation.function)
            found = await self.function(operation.project, operation.function)
            names = {alias.name for alias in found.aliases} | {operation.name}
            if len(names) > MAX_ALIASES:
                raise ConflictError(
                    f"{operation.project}/{operation.function} has {len(names) - 1} aliases, "
                    f"expected at most {MAX_ALIASES}.",
                    next_step="point one that there is at these versions",
                )
            if operation.name == LIVE:
                numbers = {target.version for target in operation.targets if target.weight > 0}
                pointed = [version for version in found.versions if version.number in numbers]
                if pointed:  # the newest of them declares the routes; the store refuses missing
                    self._require_own(max(pointed, key=lambda version: version.number))
                if not approve:
                    await self._require_granted(pointed, by)
                weights = {target.version: target.weight for target in operation.targets}
                self._ready.require_room([(one, weights[one.number]) for one in pointed])
            return operation

        return await self._moved(decide, by)

    async def _require_granted(self, wanted: Sequence[Version], by: Actor) -> None:
        """Raise WideningError, and record it, for a version that would widen what is granted."""
        if not wanted:
            return
        project, function = wanted[0].project, wanted[0].function
        live = self._catalogue.most_live(project, function)
        if widening_of(live, wanted) is None:
            return
        lately = live_lately(await self._live_history(project, function), time.time())
        left = [version for version in wanted if version.number not in lately]
        if (found := widening_of(live, left)) is not None:
            version, error = found
            self._facts.happened(widening_denied(version, error, Action.FUNCTION_ALIAS, by))
            raise error

    def _require_own(self, version: Version) -> None:
        """Refuse a version that declares what another function has."""
        self._catalogue.check_routes(version.project, version.function, version)
        self._catalogue.check_consumers(version.project, version.function, version)

    async def start_trial(
        self,
        operation: StartTrial,
        *,
        approve: bool = False,
        by: Actor,
    ) -> Alias:
        """See Control."""
        project, function = operation.project, operation.function

        async def decide() -> Operation[Alias]:
            self._require_movable(project, function)
            found = await self.function(project, function)
            tried = next((v for v in found.versions if v.number == operation.version), None)
            now = self._catalogue.most_live(project, function)
            if tried is not None and now is not None and now.number != tried.number:
                require_way_back(now, tried.spec, tried.number)
                if not approve:
                    await self._require_granted([tried], by)
                self._require_own(max((now, tried), key=lambda version: version.number))
                weight = operation.terms.weight
                self._ready.require_room([(now, 100 - weight), (tried, weight)])
            return operation

        async with self._turn(project):
            require_still()
            return await self._moved(decide, by, changes.BEGUN)

    async def end_trial(self, operation: EndTrial, *, by: Actor) -> Alias:
        """See Control."""

        async def decide() -> Operation[Alias]:
            self._require_movable(operation.project, operation.function)
            found = await self.function(operation.project, operation.function)
            tried = next((v for v in found.versions if v.number == operation.version), None)
            if operation.promote and tried is not None:
                self._require_own(tried)
                self._ready.require_room([(tried, 100)])
            return operation

        async with self._turn(operation.project):
            require_still()
            why = changes.PROMOTED if operation.promote else changes.GONE_BACK
            return await self._moved(decide, by, why)

    async def _lapse(self, alias: Alias) -> None:
        """End a trial whose time is over."""
        if alias.trial is None:
            return
        operation = EndTrial(
            project=alias.project,
            function=alias.function,
            version=alias.trial.version,
            since=alias.changed_at,
            promote=False,
        )

        async def decide() -> Operation[Alias]:
            return operation

        async with self._changing:
            try:
                await self._moved(decide, Actor("", NOT_BY_NETWORK), changes.LAPSED)
            except ConflictError:
                await self._reload()  # what is stored is not what was taken over
                raise

    async def _moved(
        self, decide: Callable[[], Awaitable[Operation[Alias]]], by: Actor, why: str = ""
    ) -> Alias:
        async with self._loading:
            alias = await self._make(decide)
            before = self._catalogue.most_live(alias.project, alias.function)
        self._facts.happened(changes.moved(alias, by, why))
        await self._reload()
        now = self._catalogue.most_live(alias.project, alias.function)
        if before is not None and now is not None:
            for changed in changes.triggers(before.spec, now, by):
                self._facts.happened(changed)
        return alias

    async def rollback(
        self,
        project: str,
        function: str,
        to: int | None,
        *,
        approve: bool = False,
        by: Actor,
    ) -> Alias:
        """See Control."""
        async with self._turn(project):
            require_still()
            if to is None:
                to = await self._stable_before(project, function)
            targets = (Target(version=to, weight=100),)
            wanted = SetAlias(project=project, function=function, name=LIVE, targets=targets)
            return await self._point(wanted, by, approve=approve)

    async def stable_before(self, project: str, function: str) -> int:
        """Return the version that a rollback would go to. Raises ConflictError."""
        async with self._changing:
            return await self._stable_before(project, function)

    async def sbom(self, project: str, function: str, version: int | None) -> bytes:
        """See Control."""
        found = await self.function(project, function)
        live = self._catalogue.most_live(project, function)
        wanted = live.number if version is None and live is not None else version
        digest = next((one.digest for one in found.versions if one.number == wanted), None)
        if digest is None:
            raise NotFoundError(
                f"{project}/{function} has no version {wanted or 'that is live'}.",
                next_step="run casemate show to see the versions there are",
            )
        return await self._bundles.read(digest, sbom)

    async def _stable_before(self, project: str, function: str) -> int:
        found = await self.function(project, function)
        history = await self._live_history(project, function)
        numbers = {version.number for version in found.versions}
        return require_stable_before(f"{project}/{function}", history, numbers)

    async def _live_history(self, project: str, function: str) -> tuple[Alias, ...]:
        return await self._store.read(
            ShowAliasHistory(project=project, function=function, name=LIVE, limit=_MAX_HISTORY)
        )

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
            raise UnavailableError("The node is stopping.", next_step="try again soon")
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


@asynccontextmanager
async def _held(locks: _Locks, projects: Iterable[str]) -> AsyncIterator[None]:
    """Hold the locks of some projects, in an order in which no two wait for each other."""
    async with AsyncExitStack() as held:
        for project in sorted(set(projects)):
            await held.enter_async_context(locks.setdefault(project, asyncio.Lock()))
        yield
