"""Builds every object of a gateway once, in the order in which they depend on each other."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
import time
import traceback
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from casemate import __version__
from casemate.access_reviews import Reviews
from casemate.accounts import Accounts
from casemate.admission import Admission, Catalogue
from casemate.advisories import place_of_node
from casemate.api import create_app
from casemate.api.evidence_sealing import Sealing
from casemate.api.service import Service
from casemate.backup.making import BackupMaker, PreparedBackup
from casemate.baselines import Baselines
from casemate.budgets import Allowance, Budgets, Shares
from casemate.capabilities import Broker, Operations, UseCounter
from casemate.certificates.given import GivenFiles
from casemate.certificates.host_names import host_names
from casemate.certificates.issuing import Names
from casemate.certificates.own import OwnCertificate
from casemate.certificates.tls import CertificateSource, NodeTls
from casemate.decoys import Decoys
from casemate.delivery import Delivery
from casemate.delivery.acceptance import Acceptance
from casemate.delivery.admitted import AdmissionMarks
from casemate.delivery.keeping import Keeping
from casemate.delivery.subscriptions import Subscriptions
from casemate.dispatch import Dispatcher
from casemate.egress import EgressClient
from casemate.evidence import Evidences, Holds
from casemate.facts import FactStream
from casemate.folder.folders import Folders
from casemate.folder.presence import lost_projects
from casemate.front import (
    API_PREFIX,
    AUTHORITY_PATH,
    DISCOVERY_PATH,
    INVOKE_PREFIX,
    KEYS_PATH,
    METRICS_PATH,
    Authority,
    Calls,
    ControlApi,
    DeclaredRoutes,
    Identity,
    MetricsPage,
    NamedCalls,
    Nowhere,
    Place,
    Resting,
    RouteTable,
    WebHooks,
)
from casemate.gateway.blob_sweeps import BlobSweeps
from casemate.gateway.bundles import BundleStore
from casemate.gateway.check import NodeCheck
from casemate.gateway.control import NodeControl
from casemate.gateway.depths import Depths
from casemate.gateway.existing_projects import ExistingProjects
from casemate.gateway.followed import Followed
from casemate.gateway.followed import parts_of as followed_parts
from casemate.gateway.happenings import Happenings, PackageActs
from casemate.gateway.health import Health, parts_of, problems_of, told
from casemate.gateway.held_back import HeldBack
from casemate.gateway.loop_lag import LoopLag
from casemate.gateway.node_state import LookedAt, NodeLook
from casemate.gateway.numbers_told import NumbersTold
from casemate.gateway.observed import Observed, Parts, counting
from casemate.gateway.older_records import OlderRecords
from casemate.gateway.records_shipping import RecordsShipping
from casemate.gateway.release_told import tell_release
from casemate.gateway.rotators import Rotators
from casemate.gateway.running_logs import RunningLogs
from casemate.gateway.shared_numbers import SharedNumbers
from casemate.gateway.state import State
from casemate.gateway.use_told import UseTold
from casemate.gateway.vouched import Vouching
from casemate.http_workers.workers import HttpWorkers
from casemate.invocation import LoadRefusals, Pipeline
from casemate.model.denial import Denial
from casemate.model.deployment import Version
from casemate.model.errors import ConflictError
from casemate.model.facts import (
    NOT_BY_NETWORK,
    Actor,
    BundleTampered,
    ControlStateRefused,
    RiskAccepted,
)
from casemate.model.processes import GatewayConfig
from casemate.model.restriction import EVERYTHING
from casemate.model.trusted_proxies import TrustedProxies
from casemate.monitor import MonitorClient
from casemate.node_audit import NodeAudit
from casemate.node_audit.state import NodeState
from casemate.nodes import Others, Part
from casemate.operations.policies import ReadPolicies
from casemate.playbooks import Acting, Paging, Playbooks
from casemate.policy import CedarPolicy
from casemate.recorder import RecorderClient
from casemate.recorder.denials import DenialRecorder
from casemate.recorder.journal_copies import JournalCopies
from casemate.recorder.records.client import RecordsClient
from casemate.recordings import Recordings
from casemate.restrictions import Restrictions
from casemate.rotations import Rotations
from casemate.sandbox.client import SandboxClient
from casemate.sandbox.zygotes import Zygotes
from casemate.seal import Redactor, Seal
from casemate.store.interface import Store
from casemate.store.told_numbers import WANTED_TOPIC
from casemate.supply import BuilderKeys, EvidenceKeeper, Signatures
from casemate.triggers.hooks import HOOKS_PREFIX, Hooks
from casemate.triggers.http_server import HttpServer, asgi_handler
from casemate.triggers.outside import OutsideTriggers
from casemate.triggers.schedule import Schedules
from casemate.vault import VaultClient
from casemate.vault.interface import DataKey, Purpose
from casemate.vulnerabilities import Advisories, Gate, Watch, read_packages

_logger = logging.getLogger(__name__)
_UNPACKED_SHARE = 4
"""What part of the host's memory the files of unused bundles may take: one of so many."""


class Gateway:
    """All objects of a gateway process. None is told of another one after it was made."""

    def __init__(
        self,
        config: GatewayConfig,
        folders: Folders,
        url: str,
        *,
        state: State,
        vault: VaultClient,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        """Build; nothing is served before `load` and before the server is started.

        `url` is the node's address.
        """
        self._config = config
        self._folders = folders
        self._loop = loop
        self._own = state.own
        self._shared_parts = state.parts
        self._databases, self._moves = state.databases, state.moves
        self.store = store = state.store
        self.nodes = state.nodes
        self.known = state.known
        self.data = state.data
        self.vault = vault
        self.tls = _tls(config, store, vault)
        self.facts = FactStream()
        self.recorder = _recorder(config, loop, self.facts)
        self.monitor = MonitorClient(socket.socket(fileno=config.monitor), loop)
        self.records = RecordsClient(self.recorder)
        self.shipping = (
            None
            if state.shipped is None
            else RecordsShipping(self.recorder, state.shipped, lambda: self.nodes.membership.name)
        )
        self.older_records = (
            None if state.own is None else OlderRecords(state.own.store, self.records)
        )
        self.denials = DenialRecorder(self.records.deny, loop)
        self.facts.listen(Denial, self.denials.deny)
        self.policy = CedarPolicy()
        self.restrictions = Restrictions(store, self.facts, self.recorder.durable)
        self.decoys = Decoys(store, vault, self.facts)
        self.baselines = Baselines(store, self.facts)
        self.recordings = Recordings(folders.recordings, vault)
        self.accounts = Accounts(
            store,
            vault,
            roles=self.policy.roles,
            happened=self.facts.happened,
            decisions=self.nodes.decisions,
        )
        self.signatures = Signatures(
            store,
            BuilderKeys(store, self.facts.happened, self.accounts.there_since),
            self.facts.happened,
        )
        self.catalogue, self.uses = Catalogue(), UseCounter(store)
        self.redactor = Redactor(self.records, vault, self.facts)
        self.registry = counting(self.facts, self.catalogue)
        self.seal = Seal(self.redactor, self.registry, self._is_project)
        self.uses.listen(self.facts)
        self._build_sandboxes(state)
        self._build_path(url)
        self._build_triggers()
        self._build_operations(state)
        self._build_audit(url)
        self._build_observed(state)
        self._build_playbooks()
        self._build_front(url)

    def _build_sandboxes(self, state: State) -> None:
        """Build what has instances run, and hears of what they were not let do."""
        state.tell_refusals(self._state_refused)
        config, loop = self._config, self._loop
        zygotes = Zygotes(loop)
        happenings = Happenings(zygotes, self.facts)
        self.allowance = Allowance(self.facts.happened, self.accounts.answerable)
        self.projects = ExistingProjects(
            self.catalogue, self.known, self.accounts, self.allowance, self.vault
        )
        self.projects.listen(self.facts)
        self.nodes.membership.on_nodes = self.allowance.divide
        self.allowance.divide(self.nodes.membership.nodes)
        self.used = UseTold(
            zygotes, self.data, self.records.use, self.allowance, self.nodes.is_first
        )
        self.egress = EgressClient(
            None,
            loop,
            socket.socket(fileno=config.egress),
            on_event=happenings.on_connection,
            on_passed=self.used.on_passed,
        )
        self.bundles = BundleStore(
            state.bundles,
            Path(config.unpacked),
            partial(_bundle_key, self.vault),
            capacity=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // _UNPACKED_SHARE,
            share=any(one.name == "own inodes" and one.holds for one in config.protections),
            in_clear=state.bundles_in_clear,
            on_tampered=self._tampered,
        )
        self.evidence = EvidenceKeeper(self.store, self.bundles.owners)
        self.client = SandboxClient(
            socket.socket(fileno=config.supervisor),
            loop,
            zygotes=zygotes,
            bundles=self.bundles,
            require=self.signatures.require,
            on_loaded=self.evidence.note,
            egress=self.egress,
            on_denied_call=happenings.on_call,
            on_filter_kill=happenings.on_kill,
            on_replaced=happenings.on_replaced,
            learn=config.learn,
            variables=self.decoys.variables,
            narrow=self.baselines.narrowed,
            usual=self.baselines.shapes,
            asked=self.baselines.calls,
            on_met_calls=happenings.on_met_calls,
            cut=self._cut,
            dependencies=self.bundles.dependencies,
        )
        happenings.on_nobodys = self.client.ahead.spoil
        self.baselines.on_calls_changed = self.client.renew
        self.allowance.cutting.changed = self.client.cut_off

    def _cut(self, version: Version) -> tuple[str, ...]:
        """Return which hosts nothing of a version goes to."""
        if self.allowance.cutting.cuts(version.project, version.function):
            return (EVERYTHING,)
        return self.restrictions.hosts(version.project, version.function)

    def _state_refused(self, reason: str) -> None:
        fact = ControlStateRefused(at=time.time(), reason=reason)
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self.facts.happened, fact)

    def _tampered(self, digest: str, reason: str) -> None:
        """Tell that a bundle is not what it was, once for each function that it is of."""
        for project, function in sorted(self.catalogue.functions_of(digest)) or [("", "")]:
            self.facts.happened(
                BundleTampered(
                    at=time.time(),
                    project=project,
                    function=function,
                    digest=digest,
                    what="bundle",
                    reason=reason,
                )
            )

    def _build_path(self, url: str) -> None:
        """Build the path, what keeps events, and what brings kept ones to it."""
        config, loop, happened = self._config, self._loop, self.facts.happened
        self.dispatcher = Dispatcher(self.client, resting_memory=config.resting_memory)
        self.subscriptions = Subscriptions(self.data, self.catalogue)
        admission = Admission(
            self.catalogue, self.accounts, self.policy, happened, self.restrictions.blocks
        )
        marks = AdmissionMarks()
        ensure, answerable = self.subscriptions.ensure, self.accounts.answerable
        keeping = Keeping(admission, self.seal, self.data, ensure, marks, answerable)
        broker = Broker(
            policy=self.policy,
            operations=Operations(self.data, self.vault, url),
            facts=self.facts,
            baselines=self.baselines,
            keep=keeping.keep,
            withholds=self.restrictions.withholds,
            learn=config.learn,
        )
        self.refusals = LoadRefusals(self.seal, self.policy, happened, loop)
        pipeline = Pipeline(
            admission,
            self.dispatcher,
            broker,
            self.seal,
            self.refusals,
            self.allowance,
            self._trouble,
            self.recordings.offer,
        )
        self.rotators = Rotators(self.catalogue, pipeline.finish)
        self.rotations = Rotations(
            self.store, self.vault, self.facts, self.recorder.durable, self.rotators.ask
        )
        self.running_logs = RunningLogs(self.dispatcher, self.seal)
        self.acceptance = Acceptance(keeping, self.data, pipeline.finish)
        self.delivery = Delivery(
            self.data,
            self.catalogue,
            pipeline.finish,
            loop,
            marks,
            cores=len(os.sched_getaffinity(0)),
            refusal=self.nodes.standing.refusal,
            coordination=self.data.coordination,
            sent_away=self.accounts.sent_away,
        )
        keeping.hand_to(self.delivery)
        self.nodes.standing.on_rest = self.delivery.rest
        self.nodes.standing.on_return = self.delivery.resume

    def _is_project(self, name: str) -> bool:
        return self.projects.has(name)

    def _trouble(self) -> str:
        """Return why nothing can run; empty: it can."""
        if unrecorded := self.recorder.trouble():
            return f"Nothing can be recorded: {unrecorded}"
        return self.nodes.standing.stale()

    def _build_triggers(self) -> None:
        """Build what turns happenings outside into events."""
        happened = self.facts.happened
        self.nowhere = Nowhere(self.accounts, self.seal, happened)
        self.schedules = Schedules(self.data, coordination=self.data.coordination)
        self.hooks = Hooks(
            *(self.vault, self.data, self.policy, happened, self.nowhere.no_hook),
            # That of what remembers deliveries, whichever node they come to.
            clock=self.data.coordination.clock,
        )
        self.outside = OutsideTriggers(
            self.data,
            self.vault,
            happened,
            socket.socket(fileno=self._config.sources),
            self._loop,
            coordination=self.data.coordination,
        )

    def _build_operations(self, state: State) -> None:
        """Build what owners do with the node, and what they are told of it."""
        place = place_of_node(self._folders.data)
        gate = Gate(place, self.store, self.facts.happened)
        self.control = NodeControl(
            config=self._config,
            store=self.store,
            records=self.records,
            catalogue=self.catalogue,
            dispatcher=self.dispatcher,
            client=self.client,
            bundles=self.bundles,
            vouching=Vouching(self.signatures, self.bundles, self.facts.happened),
            data=self.data,
            uses=self.uses,
            redactor=self.redactor,
            denials=self.denials,
            facts=self.facts,
            subscriptions=self.subscriptions,
            delivery=self.delivery,
            gate=gate,
            require_movable=self.restrictions.require_movable,
            on_live=self._follow_live,
            decisions=self.nodes.decisions,
        )
        self._build_advisories(gate)
        sweep = state.sweep_bundles
        self.sweeps = None if sweep is None else BlobSweeps(sweep, self.nodes.is_first)
        self.check = NodeCheck(
            self.store,
            self.data,
            self.bundles,
            self.vault,
            own=self._own,
            check_records=self.records.check,
            is_first=self.nodes.is_first,
        )
        self.health = Health(
            {
                "nodes": (told(self.nodes.problems), True),
                "databases": (told(lambda: problems_of(self._databases(), self._moves)), False),
            }
            | ({} if state.bucket is None else {"bucket": (state.bucket, False)})
            | ({} if self.sweeps is None else {"sweeps": (told(self.sweeps.problems), False)})
            | (
                {}
                if self.shipping is None
                else {"records of others": (told(self.shipping.problems), False)}
            )
            | parts_of(
                store=self.store,
                vault=self.vault,
                data=self.data,
                client=self.client,
                bundles=self.bundles,
                catalogue=self.catalogue,
                egress=self.egress,
                outside=self.outside,
                recorder=self.recorder,
                monitor=self.monitor,
                folder=self._folders.data,
                faults=self.check.faults,
            ),
            self.nodes.standing.refusal,
        )

    def _build_audit(self, url: str) -> None:
        """Build what tells how weak the node itself is."""
        self.reviews = Reviews(self.store)
        self.audit = NodeAudit(self.store, partial(self._look, url), self.facts.happened)

    async def _look(self, url: str) -> NodeState:
        """Return what the node is, for its audit."""
        parts = LookedAt(
            self._config, self._folders.data, url, self.store, self.vault, self.tls, self.accounts,
            self.policy, self.signatures, self.advisories, self.decoys, self.monitor, self.control,
            self.catalogue, self.reviews, self.check, self.health.now, self.uses.flush,
            self.nodes.others,
        )  # fmt: skip
        return await NodeLook(parts)()

    def _build_observed(self, state: State) -> None:
        """Build what counts what is used, and tells what the node is seen to do."""
        self.budgets = Budgets(
            self.store,
            self.facts,
            self.allowance,
            # With what has ended a moment ago: none of it may be missing from what is counted.
            read=self.control.recorded,
            durable=self.recorder.durable,
            ran=self.registry.ran,
            shares=self._shares(),
        )
        self.lag, self.depths = LoopLag(self._loop), Depths(self.data)
        self.observed = Observed(
            Parts(
                registry=self.registry,
                dispatcher=self.dispatcher,
                client=self.client,
                depths=self.depths,
                lag=self.lag,
                records=self.records,
                recorder=self.recorder,
                monitor=self.monitor,
                health=self.health.now,
                starts=self._starts,
                connections=lambda: (self.server.open_connections, self.server.failed_handshakes),
                functions=lambda: len(self.catalogue),
                started_at=self._config.started_at,
                audit_score=lambda: self.audit.score,
                store_age=self.nodes.age,
                nodes=self.nodes.count,
                databases=self._databases,
                name=self.nodes.name,
            )
        )

        self.shared_numbers = SharedNumbers(
            self.nodes, self.vault, self.observed.metrics, state.numbers, WANTED_TOPIC
        )
        self.numbers_told = NumbersTold(self.observed, self.monitor, self._config.started_at)

    def _shares(self) -> Shares | None:
        """Return what divides budgets among nodes, where there can be others."""
        if self.nodes.shared is None:
            return None
        return Shares(self.nodes.shared, lambda: self.nodes.membership.id)

    def _build_advisories(self, gate: Gate) -> None:
        """Build what judges again what is live."""
        self.watch = Watch(
            gate,
            self.store,
            live=self.control.live,
            digests=self.catalogue.digests,
            packages=lambda digest: self.bundles.read(digest, read_packages),
            quarantine=partial(self.control.quarantine, by=Actor("", NOT_BY_NETWORK)),
            happened=self.facts.happened,
        )
        self.advisories = Advisories(gate, self.watch, self.facts.happened)
        PackageActs(self.uses, gate.inventory).listen(self.facts)

    def _build_playbooks(self) -> None:
        """Build what acts on what the monitor finds."""
        self.others = (
            None if self.nodes.shared is None else Others(self.nodes, self.monitor.tell_first)
        )
        self.paging = Paging(self.monitor, self.facts, self.recorder.durable)
        self.playbooks = Playbooks(
            self.store,
            self.vault,
            self.monitor,
            Acting(
                self.control,
                self.accounts,
                self.budgets,
                self.restrictions,
                self.rotations,
                Sealing(lambda: self.service),
                self.paging,
            ),
            self.policy,
            self.facts,
            self.recorder.durable,
            owner=self._owner,
            person=self.accounts.principal_of,
            acts=self._config.playbooks,
            peers=self.others,
        )
        HeldBack(
            self.restrictions, self.rotations, self.client, self.catalogue, self.dispatcher,
            self.outside,
        )  # fmt: skip
        self.monitor.on_noticed = self.playbooks.wake
        self.holds = Holds(self.store, self.records)
        self.recordings.is_held = self.holds.covers
        self.evidences = Evidences(
            self._folders.recordings, self.store, self.vault, node=self.nodes.name
        )

    def _owner(self, project: str, function: str) -> str:
        """Return who answers for who deployed what is live of a function, empty if unknown."""
        version = self.catalogue.most_live(project, function)
        return "" if version is None else self.accounts.answerable(version.created_by)

    def _starts(self) -> dict[str, int]:
        """Return how often each process beside this one was started."""
        starts = {
            "recorder": self.recorder.starts,
            "monitor": self.monitor.starts,
            "egress": self.egress.starts,
            "sources": self.outside.starts,
        }
        if isinstance(self.server, HttpWorkers):
            starts["http-worker"] = self.server.starts
        return starts

    def _service(self) -> Service:
        """Return what the control API works with."""
        return Service(
            control=self.control,
            # In memory: what is received is in clear until it is checked and sealed.
            spool=Path(self._config.unpacked),
            accounts=self.accounts,
            policy=self.policy,
            vault=self.vault,
            data=self.data,
            store=self.store,
            rekey_store=self._rekey_store,
            facts=self.facts,
            recorder=self.recorder,
            monitor=self.monitor,
            decoys=self.decoys,
            baselines=self.baselines,
            recordings=self.recordings,
            budgets=self.budgets,
            advisories=self.advisories,
            playbooks=self.playbooks,
            paging=self.paging,
            restrictions=self.restrictions,
            nodes=self.nodes,
            databases=self._databases,
            place_project=None if self._moves is None else self._moves.place,
            rotations=self.rotations,
            rotators=self.rotators,
            evidences=self.evidences,
            holds=self.holds,
            signatures=self.signatures,
            evidence=self.evidence,
            reviews=self.reviews,
            audit=self.audit,
            checks=self.check,
            make_backup=self._backups(),
            sources=self.outside.statuses,
            schedules=self.schedules.statuses,
            ensure_inbox=self.subscriptions.ensure,
            health=self.health.now,
            metrics=self.shared_numbers.metrics,
            behind=tuple if self.shipping is None else self.shipping.behind,
            journals=tuple if self.shipping is None else self.shipping.journals,
        )

    def _backups(self) -> Callable[[], Awaitable[PreparedBackup]]:
        """Return what makes a backup of the node, where all that it needs is in its files."""
        if self._own is None:
            return _no_backup
        maker = BackupMaker(
            self._folders,
            store=self._own.store,
            records=self.records,
            journal=JournalCopies(self.recorder),
            data=self._own.data,
            vault=self.vault,
            version=__version__,
        )
        return maker.prepare

    async def _rekey_store(self, key: bytes) -> None:
        """Have a store in files encrypted with another key, and the records with their newest."""
        if self._own is not None:
            await self._own.store.rekey(key)
        await self.records.rekey()

    def _build_front(self, url: str) -> None:
        """Build the table of all that is answered, and the server that asks it."""
        config, nowhere = self._config, self.nowhere
        self.service = self._service()
        api = asgi_handler(create_app(self.service), scheme="https" if config.tls else "http")
        calls = Calls(
            self.catalogue, self.dispatcher, self.refusals, self.seal, self.acceptance.take
        )
        identity = Identity(self.vault, url, nowhere)
        table = RouteTable(
            self.accounts,
            at={
                KEYS_PATH: identity,
                DISCOVERY_PATH: identity,
                AUTHORITY_PATH: Authority(self.tls, nowhere),
                METRICS_PATH: MetricsPage(
                    self.policy, self.facts.happened, self.observed.exposition, nowhere
                ),
            },
            below={
                INVOKE_PREFIX: self._resting(NamedCalls(self.catalogue, calls, nowhere)),
                API_PREFIX: ControlApi(api),
                HOOKS_PREFIX: self._resting(WebHooks(self.hooks.handle)),
            },
            others=self._resting(DeclaredRoutes(self.catalogue, calls, nowhere)),
            on_credential=self.decoys.watch.on_credential,
        )
        self.server: HttpServer | HttpWorkers
        if config.workers:
            self.server = HttpWorkers(
                table.find,
                [socket.socket(fileno=each) for each in config.workers],
                on_error=report_fault,
                problem=nowhere.malformed,
                proxies=config.trusted_proxies,
            )
        else:
            self.server = HttpServer(
                table.find,
                on_error=report_fault,
                problem=nowhere.malformed,
                proxies=TrustedProxies(config.trusted_proxies),
            )

    async def serve(self, listener: socket.socket) -> None:
        """Answer on the node's socket from now on. Raises ListenError."""
        tls = self.tls
        if isinstance(self.server, HttpServer):
            await self.server.start(sock=listener, tls=tls.context if tls is not None else None)
            return
        # While it is open here, clients are let in that nobody answers once the workers end.
        listener.close()
        await self.server.start(tls.pair if tls is not None else None)
        if tls is not None:
            tls.changed = self.server.renew

    def children(self) -> dict[str, asyncio.Future[None]]:
        """Return the processes without which it does not go on, each done when it cannot be had."""
        children = {"egress proxy": self.egress.lost, "recorder": self.recorder.gone}
        if isinstance(self.server, HttpWorkers):
            children["HTTP worker"] = self.server.gone
        return children

    def _resting(self, place: Place) -> Resting:
        return Resting(place, self.nodes.standing.calls_refusal)

    def _followed(self) -> tuple[Part, ...]:
        """Return what is read again when other nodes have changed it."""
        holders = Followed(
            self.store, self.control, self.policy, self.accounts, self.restrictions, self.decoys,
            self.signatures, self.budgets, self.playbooks, self.holds, self.advisories.gate,
            self.reviews, self.rotations, self.evidences,
        )  # fmt: skip
        return (*followed_parts(holders), *self._shared_parts, *self.shared_numbers.parts())

    async def load(self, *, recover_owner: bool = False) -> str | None:
        """Read what is stored; return an owner's token on the very first start, or if asked to."""
        await self.nodes.follow(self._followed())
        lost = lost_projects(self._config.accepted_losses)
        for project in await self.known.require(self.data.projects, lost):
            if self._own is not None:
                self._own.data.set_aside(project)
        present = await asyncio.to_thread(self.data.projects)
        self.policy.activate(self.policy.prepare(await self.store.read(ReadPolicies())))
        # Nothing is answered before there is a journal to record it in.
        await self.recorder.ready()
        if self.older_records is not None:
            await self.older_records.begin()
        token = await self.accounts.load(recover_owner=recover_owner)
        if recover_owner:
            await self.recorder.durable()  # that somebody was let in, before the token is shown
        await self.signatures.load()
        await self.decoys.load(present)
        await self.advisories.gate.load()
        await self.restrictions.load()
        await self.rotations.load()
        # Before anything is recorded, which deletes what is old.
        await self.holds.load()
        await self.projects.load()
        await self.control.load()
        await self.decoys.ensure_all(self.catalogue.projects())
        await self.baselines.load((v.project, v.function) for v in self.catalogue.live_versions())
        await self.budgets.load()
        self.used.start()
        await self.advisories.clean()
        await self.watch.start()
        await self.evidences.load()
        await self.playbooks.load()
        self.playbooks.start()
        self.health.start()
        if self.sweeps is not None:
            self.sweeps.start()
        if self.shipping is not None:
            self.shipping.start()
        if self.others is not None:
            self.others.start()
        self.audit.start()
        self.running_logs.start()
        self.lag.start()
        self.numbers_told.start()
        self.shared_numbers.start()
        await tell_release(self.store, self.facts.happened)
        self.nodes.start()
        for risk in self._config.accepted_risks:
            self.facts.happened(RiskAccepted(at=time.time(), risk=risk))
        return token

    async def close(self) -> None:
        """Write what waits in memory and let go of everything but the store."""
        await self.nodes.close()
        if self.sweeps is not None:
            await self.sweeps.close()
        if self.others is not None:
            await self.others.close()
        if self.shipping is not None:
            await self.shipping.close()
        await self.watch.close()
        await self.audit.close()
        await self.playbooks.close()
        await self.health.close()
        await self.budgets.close()
        await self.used.close()
        await self.running_logs.close()
        self.lag.close()
        await self.numbers_told.close()
        await self.shared_numbers.close()
        await self.depths.close()
        if self.older_records is not None:
            await self.older_records.close()
        self.dispatcher.close()
        await self.check.close()
        self.refusals.flush()
        self.decoys.watch.flush()
        self.denials.flush()
        await self.baselines.close()
        await self.recordings.close()
        await self.evidence.settle()
        self.uses.close()
        await self.uses.flush()
        await self.client.meters.settled()
        self.client.meters.close()
        await self.redactor.flush()
        await self.accounts.close()
        await self.schedules.close()
        await self.outside.close()
        if self._moves is not None:
            await self._moves.close()
        await self.data.close()
        await self.recorder.close()
        self.monitor.close()
        if self.tls is not None:
            await self.tls.close()
        self.vault.close()

    def _follow_live(self) -> None:
        """Have the schedules, hooks and sources of what is live now."""
        live = self.catalogue.declaring()
        self.schedules.replace(live)
        self.hooks.replace(live)
        self.outside.replace(live)
        self.watch.follow()


def _recorder(
    config: GatewayConfig, loop: asyncio.AbstractEventLoop, facts: FactStream
) -> RecorderClient:
    return RecorderClient(socket.socket(fileno=config.recorder), loop, facts, config.memory)


def _tls(config: GatewayConfig, store: Store, vault: VaultClient) -> NodeTls | None:
    """Return where certificates come from, None on an address that needs no TLS."""
    if not config.tls:
        return None
    source: CertificateSource
    if config.tls_certificate and config.tls_key:
        source = GivenFiles(Path(config.tls_certificate), Path(config.tls_key))
    else:
        source = OwnCertificate(
            vault,
            store,
            wanted=Names.of(config.tls_names),
            found=host_names(config.host),
            report=_logger.info,
            new_authority=config.tls_new_authority,
        )
    return NodeTls(source, _logger.info)


async def _no_backup() -> PreparedBackup:
    raise ConflictError(
        "This node shares its state with others: a copy of its files would not be a backup.",
        next_step="Back up the database and the bucket with their own tools, and the master key: "
        "docs/howto/run-many-nodes.md says how.",
    )


async def _bundle_key(vault: VaultClient, version: int | None) -> DataKey:
    return await vault.data_key("", Purpose.BUNDLES, version)


def report_fault(error: BaseException) -> str:
    """Log a fault of ours in full and return the id by which a caller can name it."""
    error_id = "err_" + secrets.token_hex(12)
    trace = "".join(traceback.format_exception(error))
    _logger.error("%s %s", error_id, trace)
    return error_id
