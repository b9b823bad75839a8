"""Builds every object of a gateway once, in the order in which they depend on each other."""

from __future__ import annotations

import asyncio
import socket
import time
from functools import partial
from pathlib import Path

from casemate.access_reviews import OnlyHolder, Reviews
from casemate.advisories import place_of_node
from casemate.api.service import Service
from casemate.folder.folders import Folders
from casemate.folder.presence import lost_projects
from casemate.gateway.backups import backups_of
from casemate.gateway.blob_sweeps import BlobSweeps
from casemate.gateway.call_path import CallPath
from casemate.gateway.check import NodeCheck
from casemate.gateway.control import NodeControl
from casemate.gateway.followed import Followed, rights_of
from casemate.gateway.followed import parts_of as followed_parts
from casemate.gateway.foundations import Foundations
from casemate.gateway.happenings import PackageActs
from casemate.gateway.health import Health, parts_of, problems_of, told
from casemate.gateway.held_back import HeldBack
from casemate.gateway.incident_response import IncidentResponse
from casemate.gateway.node_state import LookedAt, NodeLook
from casemate.gateway.observing import Observing
from casemate.gateway.release_told import tell_release
from casemate.gateway.sandboxes import Sandboxes
from casemate.gateway.serving import Serving
from casemate.gateway.state import State
from casemate.gateway.trigger_sources import TriggerSources
from casemate.gateway.vouched import Vouching
from casemate.model.facts import (
    NOT_BY_NETWORK,
    Actor,
    RiskAccepted,
)
from casemate.model.processes import GatewayConfig
from casemate.node_audit import NodeAudit
from casemate.node_audit.state import NodeState
from casemate.nodes import Part
from casemate.operations.policies import ReadPolicies
from casemate.vault import VaultClient
from casemate.vulnerabilities import Advisories, Gate, Watch, read_packages


class Gateway:
    """All objects of a gateway process, in groups. None is told of another one afterwards."""

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
        self.base = base = Foundations(config, folders, state, vault, loop)
        self.accounts, self.tls = base.accounts, base.tls
        self.sandboxes = Sandboxes(base)
        self.client = client = self.sandboxes.client
        self.path = path = CallPath(base, client, url)
        self.delivery = path.delivery
        self.sources = TriggerSources(base)
        self._build_operations()
        self._build_health()
        self._build_audit(url)
        self.observing = Observing(
            base,
            self.control,
            path.dispatcher,
            client,
            health=self.health.now,
            audit_score=lambda: self.audit.score,
            starts=self._starts,
            connections=self._connections,
        )
        self.response = IncidentResponse(
            base, self.control, self.observing.budgets, path.rotations, lambda: self.service
        )
        HeldBack(
            base.restrictions, path.rotations, client, base.catalogue, path.dispatcher,
            self.sources.outside,
        )  # fmt: skip
        self.service = self._service()
        self.serving = Serving(
            base,
            path,
            self.sources.nowhere,
            self.sources.hooks,
            self.observing.observed,
            self.service,
            url,
        )
        self.server = self.serving.server

    def _build_operations(self) -> None:
        """Build what owners do with the node, and what they are told of it."""
        base = self.base
        place = place_of_node(base.folders.data)
        gate = Gate(place, base.store, base.facts.happened, deleting=base.deleting.now)
        self._rights = rights_of(base.store, base.accounts, base.policy, base.restrictions)
        self.control = NodeControl(
            config=base.config,
            store=base.store,
            records=base.records,
            catalogue=base.catalogue,
            dispatcher=self.path.dispatcher,
            client=self.sandboxes.client,
            bundles=self.sandboxes.bundles,
            vouching=Vouching(base.signatures, self.sandboxes.bundles, base.facts.happened),
            data=base.data,
            uses=base.uses,
            redactor=base.redactor,
            denials=base.denials,
            facts=base.facts,
            subscriptions=self.path.subscriptions,
            delivery=self.path.delivery,
            gate=gate,
            require_movable=base.restrictions.require_movable,
            on_live=self._follow_live,
            answerable=base.accounts.answerable,
            approves_alone=OnlyHolder(base.accounts, base.policy).is_only,
            decisions=base.nodes.decisions.besides(*self._rights),
        )
        self._build_advisories(gate)
        sweep = base.state.sweep_bundles
        self.sweeps = None if sweep is None else BlobSweeps(sweep, base.nodes.is_first)
        self.check = NodeCheck(
            base.store,
            base.data,
            self.sandboxes.bundles,
            base.vault,
            own=base.state.own,
            check_records=base.records.check,
            # Built later: it asks how the node is.
            check_evidence=lambda pace: self.response.evidences.checked(pace),  # noqa: PLW0108
            is_first=base.nodes.is_first,
        )

    def _build_health(self) -> None:
        """Build what looks at the parts of the node."""
        base, bucket = self.base, self.base.state.bucket
        self.health = Health(
            {
                "nodes": (told(base.nodes.problems), True),
                "databases": (
                    told(lambda: problems_of(base.state.databases(), base.state.moves)),
                    False,
                ),
            }
            | ({} if bucket is None else {"bucket": (bucket, False)})
            | ({} if self.sweeps is None else {"sweeps": (told(self.sweeps.problems), False)})
            | (
                {}
                if base.shipping is None
                else {"records of others": (told(base.shipping.problems), False)}
            )
            | ({} if self.tls is None else {"certificate": (told(self.tls.problem), False)})
            | parts_of(
                store=base.store,
                vault=base.vault,
                data=base.data,
                client=self.sandboxes.client,
                bundles=self.sandboxes.bundles,
                catalogue=base.catalogue,
                egress=self.sandboxes.egress,
                outside=self.sources.outside,
                recorder=base.recorder,
                unsigned=base.seen_journal.problem,
                clock=base.deleting.held,
                monitor=base.monitor,
                folder=base.folders.data,
                faults=self.check.faults,
            ),
            base.nodes.standing.refusal,
        )

    def _build_advisories(self, gate: Gate) -> None:
        """Build what judges again what is live."""
        base = self.base
        self.watch = Watch(
            gate,
            base.store,
            live=self.control.live,
            digests=base.catalogue.digests,
            packages=lambda digest: self.sandboxes.bundles.read(digest, read_packages),
            quarantine=partial(self.control.quarantine, by=Actor("", NOT_BY_NETWORK)),
            happened=base.facts.happened,
        )
        self.advisories = Advisories(gate, self.watch, base.facts.happened)
        PackageActs(base.uses, gate.inventory).listen(base.facts)

    def _build_audit(self, url: str) -> None:
        """Build what tells how weak the node itself is."""
        base = self.base
        self.reviews = Reviews(base.store)
        self.audit = NodeAudit(base.store, partial(self._look, url), base.facts.happened)

    async def _look(self, url: str) -> NodeState:
        """Return what the node is, for its audit."""
        base = self.base
        parts = LookedAt(
            base.config, base.folders.data, url, base.store, base.vault, base.tls, base.accounts,
            base.policy, base.signatures, self.advisories, base.decoys, base.monitor, self.control,
            base.catalogue, self.reviews, self.check, self.health.now, base.uses.flush,
            base.nodes.others,
        )  # fmt: skip
        return await NodeLook(parts)()

    def _connections(self) -> tuple[int, int]:
        """Return how many connections are open, and how many handshakes failed."""
        return self.server.open_connections, self.server.failed_handshakes

    def _starts(self) -> dict[str, int]:
        """Return how often each process beside this one was started."""
        base = self.base
        return {
            "recorder": base.recorder.starts,
            "monitor": base.monitor.starts,
            "egress": self.sandboxes.egress.starts,
            "sources": self.sources.outside.starts,
            **self.serving.starts(),
        }

    def _service(self) -> Service:
        """Return what the control API works with."""
        base = self.base
        return Service(
            control=self.control,
            # In memory: what is received is in clear until it is checked and sealed.
            spool=Path(base.config.unpacked),
            accounts=base.accounts,
            policy=base.policy,
            vault=base.vault,
            data=base.data,
            store=base.store,
            rekey_store=self._rekey_store,
            facts=base.facts,
            recorder=base.recorder,
            monitor=base.monitor,
            decoys=base.decoys,
            baselines=base.baselines,
            recordings=base.recordings,
            budgets=self.observing.budgets,
            advisories=self.advisories,
            playbooks=self.response.playbooks,
            paging=self.response.paging,
            restrictions=base.restrictions,
            nodes=base.nodes,
            projects_with_data=partial(asyncio.to_thread, base.data.projects),
            has_project=base.projects.has,
            databases=base.state.databases,
            place_project=None if base.state.moves is None else base.state.moves.place,
            rotations=self.path.rotations,
            rotators=self.path.rotators,
            evidences=self.response.evidences,
            holds=self.response.holds,
            signatures=base.signatures,
            evidence=self.sandboxes.evidence,
            reviews=self.reviews,
            audit=self.audit,
            checks=self.check,
            make_backup=backups_of(base),
            sources=self.sources.outside.statuses,
            schedules=self.sources.schedules.statuses,
            ensure_inbox=self.path.subscriptions.ensure,
            health=self.health.now,
            metrics=self.observing.shared_numbers.metrics,
            behind=tuple if base.shipping is None else base.shipping.behind,
            journals=tuple if base.shipping is None else base.shipping.journals,
        )

    async def _rekey_store(self, key: bytes) -> None:
        """Have a store in files encrypted with another key, and the records with their newest."""
        base = self.base
        if base.state.own is not None:
            await base.state.own.store.rekey(key)
        await base.records.rekey()

    async def serve(self, listener: socket.socket) -> None:
        """Answer on the node's socket from now on. Raises ListenError."""
        await self.serving.start(listener)

    def children(self) -> dict[str, asyncio.Future[None]]:
        """Return the processes without which it does not go on, each done when it cannot be had."""
        children = {"egress proxy": self.sandboxes.egress.lost, "recorder": self.base.recorder.gone}
        return children | self.serving.children()

    def _followed(self) -> tuple[Part, ...]:
        """Return what is read again when other nodes have changed it."""
        base = self.base
        response = self.response
        holders = Followed(
            self._rights, self.control, base.decoys, base.signatures, self.observing.budgets,
            response.playbooks, response.holds, self.advisories.gate, self.reviews,
            self.path.rotations, response.evidences,
        )  # fmt: skip
        return (*followed_parts(holders), *base.state.parts, *self.observing.shared_numbers.parts())

    async def load(self, *, recover_owner: bool = False) -> str | None:
        """Read what is stored; return an owner's token on the very first start, or if asked to."""
        base = self.base
        await base.nodes.follow(self._followed())
        lost = lost_projects(base.config.accepted_losses)
        if base.state.own is None:
            await base.known.require(base.data.projects, lost)
        else:
            own = base.state.own.data
            await base.known.require(base.data.projects, lost, own.set_aside)
        present = await asyncio.to_thread(base.data.projects)
        if base.state.own is not None and base.state.own.starts is not None:
            base.state.own.starts.forget_others(present)
        base.policy.activate(base.policy.prepare(await base.store.read(ReadPolicies())))
        # Nothing is answered before there is a journal to record it in.
        await base.begin_recording()
        token = await base.accounts.load(recover_owner=recover_owner)
        if recover_owner:
            await base.recorder.durable()  # that somebody was let in, before the token is shown
        await base.signatures.load()
        await base.decoys.load(present)
        await self.advisories.gate.load()
        await base.restrictions.load()
        await self.path.rotations.load()
        # Before anything is recorded, which deletes what is old.
        await self.response.holds.load()
        await base.projects.load()
        await self.control.load()
        await base.decoys.ensure_all(base.catalogue.projects())
        await base.baselines.load((v.project, v.function) for v in base.catalogue.live_versions())
        await self.observing.budgets.load()
        self.sandboxes.used.start()
        await self.advisories.clean()
        await self.watch.start()
        await self.response.evidences.load()
        await self.response.playbooks.load()
        self.response.playbooks.start()
        self.path.rotations.start()
        self.health.start()
        if self.sweeps is not None:
            self.sweeps.start()
        if base.shipping is not None:
            base.shipping.start()
        if self.response.others is not None:
            self.response.others.start()
        self.audit.start()
        self.path.running_logs.start()
        self.observing.start()
        await tell_release(base.store, base.facts.happened)
        base.nodes.start()
        for risk in base.config.accepted_risks:
            base.facts.happened(RiskAccepted(at=time.time(), risk=risk))
        return token

    async def close(self, durable_seconds: float) -> None:
        """Write what waits in memory and let go of everything but the store.

        What the recorder has not made durable after so many seconds is left to the next one.
        """
        base = self.base
        await base.nodes.close()
        if self.sweeps is not None:
            await self.sweeps.close()
        if self.response.others is not None:
            await self.response.others.close()
        if base.shipping is not None:
            await base.shipping.close()
        await self.watch.close()
        await self.audit.close()
        await self.response.playbooks.close()
        await self.path.rotations.close()
        await self.health.close()
        await self.observing.budgets.close()
        await self.sandboxes.used.close()
        await self.path.running_logs.close()
        await self.observing.close()
        if base.older_records is not None:
            await base.older_records.close()
        self.path.dispatcher.close()
        await self.check.close()
        self.path.refusals.flush()
        base.decoys.watch.flush()
        self.service.refused_deploys.flush()
        base.denials.flush()
        await base.signatures.close()
        await base.baselines.close()
        await base.recordings.close()
        await self.sandboxes.evidence.settle()
        base.uses.close()
        await base.uses.flush()
        await self.sandboxes.client.meters.settled()
        self.sandboxes.client.meters.close()
        await base.redactor.flush()
        await base.accounts.close()
        await self.sources.close()
        if base.state.moves is not None:
            await base.state.moves.close()
        await base.data.close()
        await base.seen_journal.close()
        if base.seen_records is not None:
            await base.seen_records.close()
        if base.state.own is not None:
            await base.state.own.remember()
        await base.recorder.close(durable_seconds)
        base.monitor.close()
        if base.tls is not None:
            await base.tls.close()
        base.vault.close()

    def _follow_live(self) -> None:
        """Have the schedules, hooks and sources of what is live now."""
        self.sources.follow(self.base.catalogue.declaring())
        self.watch.follow()
