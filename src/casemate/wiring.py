"""Builds every object of a gateway once, in the order in which they depend on each other."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
import time
import traceback
from functools import partial
from http import HTTPStatus
from pathlib import Path

from casemate import __version__
from casemate.accounts import Accounts
from casemate.admission import Admission, Catalogue
from casemate.api import create_app
from casemate.api.operations import Service
from casemate.capabilities import Broker, Operations, UseCounter
from casemate.data import SqliteProjectData
from casemate.delivery import Delivery
from casemate.delivery.acceptance import Acceptance
from casemate.delivery.subscriptions import Subscriptions
from casemate.delivery.wish import LATER
from casemate.dispatch import Dispatcher
from casemate.egress import EgressClient
from casemate.egress.interface import EgressEvent
from casemate.invocation import LoadRefusals, Pipeline
from casemate.model.denial import Denial, DenialKind
from casemate.model.deployment import Version
from casemate.model.http import HttpResponse
from casemate.model.principal import ANONYMOUS
from casemate.model.trusted_proxies import TrustedProxies
from casemate.node.backup import BackupMaker
from casemate.node.bundles import BundleStore
from casemate.node.certificates import Names
from casemate.node.check import NodeCheck
from casemate.node.control import NodeControl
from casemate.node.given_certificate import GivenFiles
from casemate.node.health import Health, parts_of
from casemate.node.host_names import host_names
from casemate.node.identity import IdentityRoutes
from casemate.node.known_projects import KnownProjects
from casemate.node.options import Folders, GatewayConfig
from casemate.node.own_certificate import OwnCertificate
from casemate.node.presence import lost_projects
from casemate.node.tls import AuthorityRoute, CertificateSource, NodeTls
from casemate.policy import CedarPolicy
from casemate.sandbox.client import SandboxClient, Zygote
from casemate.sandbox.system_calls import DeniedCall
from casemate.seal import Redactor, Seal
from casemate.store.denials import DenialRecorder
from casemate.store.interface import Store
from casemate.store.sqlite import SqliteStore
from casemate.triggers.hooks import HookRoutes, Hooks
from casemate.triggers.http import HttpTrigger
from casemate.triggers.http_server import HttpServer, asgi_handler, problem_response
from casemate.triggers.load_gate import LoadGate
from casemate.triggers.outside import OutsideTriggers
from casemate.triggers.schedule import Schedules
from casemate.vault import VaultClient
from casemate.vault.interface import DataKey, Purpose

_logger = logging.getLogger(__name__)
_UNPACKED_SHARE = 4
"""What part of the host's memory the files of unused bundles may take: one of so many."""
_FAULTS = (HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.SERVICE_UNAVAILABLE)
"""What is answered for the node's sake, not for what the request is."""


class Gateway:
    """All objects of a gateway process."""

    def __init__(
        self,
        config: GatewayConfig,
        folders: Folders,
        store: SqliteStore,
        vault: VaultClient,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        """Build; nothing is served before `load` and before the server is started."""
        self.store = store
        self.vault = vault
        self.denials = DenialRecorder(store.deny, loop)
        deny = self.denials.deny
        self.policy = CedarPolicy()
        self.accounts = Accounts(store, vault, roles=self.policy.roles, deny=deny)
        self.catalogue = Catalogue()
        self._lost = lost_projects(config.accepted_losses)
        self.data = SqliteProjectData(folders.projects, vault.data_key, accepted_losses=self._lost)
        self.known = KnownProjects(store, self.data.projects)
        self.data.on_created = self.known.add
        self.uses = UseCounter(store)
        self.redactor = Redactor(store, vault)
        self.egress = EgressClient(None, loop, socket.socket(fileno=config.egress))
        self.egress.on_event = self._on_egress
        unpacked = Path(config.unpacked)
        self.bundles = BundleStore(
            folders.bundles,
            unpacked,
            partial(_bundle_key, vault),
            capacity=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // _UNPACKED_SHARE,
        )
        self.client = SandboxClient(
            socket.socket(fileno=config.supervisor),
            loop,
            bundles=self.bundles,
            egress=self.egress,
            on_denied_call=self._on_denied_call,
            on_filter_kill=self._on_filter_kill,
            learn=config.learn,
        )
        self.tls = _tls(config, store, vault)
        acceptance, subscriptions = self._build_path(config, loop)
        self.control = NodeControl(
            config=config,
            store=store,
            catalogue=self.catalogue,
            dispatcher=self.dispatcher,
            client=self.client,
            bundles=self.bundles,
            data=self.data,
            uses=self.uses,
            redactor=self.redactor,
            denials=self.denials,
            subscriptions=subscriptions,
            delivery=self.delivery,
        )
        self.control.live_changed = self._live_changed
        self.check = NodeCheck(store, self.data, self.bundles, vault)
        self._build_server(config, folders, acceptance)

    def _build_path(
        self, config: GatewayConfig, loop: asyncio.AbstractEventLoop
    ) -> tuple[Acceptance, Subscriptions]:
        """Build the path, what brings kept events to it, and what keeps them."""
        deny, vault = self.denials.deny, self.vault
        self.dispatcher = Dispatcher(self.client)
        self.operations = Operations(self.data, vault, config.public_url or "")
        broker = Broker(
            policy=self.policy,
            operations=self.operations,
            uses=self.uses,
            deny=deny,
            learn=config.learn,
        )
        self.outside = OutsideTriggers(
            self.data, vault, deny, socket.socket(fileno=config.sources), loop
        )
        self.seal = Seal(self.redactor)
        admission = Admission(self.catalogue, self.accounts, self.policy, deny)
        self.refusals = LoadRefusals(self.seal, self.accounts, self.policy, deny, loop)
        self.pipeline = Pipeline(admission, self.dispatcher, broker, self.seal, self.refusals)
        subscriptions = Subscriptions(self.data, self.catalogue)
        acceptance = Acceptance(
            admission, self.seal, self.data, self.pipeline.finish, subscriptions.ensure
        )
        broker.invoke = self.pipeline.invoke
        broker.keep = lambda raw: acceptance.take(raw, LATER)
        self.delivery = Delivery(
            self.data,
            self.catalogue,
            self.pipeline.finish,
            loop,
            cores=len(os.sched_getaffinity(0)),
        )
        return acceptance, subscriptions

    def _build_server(
        self, config: GatewayConfig, folders: Folders, acceptance: Acceptance
    ) -> None:
        """Build what answers requests: the API, routes, hooks and what stands before them."""
        deny, store, vault = self.denials.deny, self.store, self.vault
        self.schedules = Schedules(self.data)
        self.health = Health(
            parts_of(
                store=store,
                vault=vault,
                data=self.data,
                client=self.client,
                bundles=self.bundles,
                catalogue=self.catalogue,
                egress=self.egress,
                outside=self.outside,
                folder=folders.data,
                faults=self.check.faults,
            )
        )
        service = Service(
            control=self.control,
            # In memory: what is received is in clear until it is checked and sealed.
            spool=Path(config.unpacked),
            accounts=self.accounts,
            policy=self.policy,
            vault=vault,
            data=self.data,
            store=store,
            deny=deny,
            checks=self.check,
            make_backup=BackupMaker(
                folders, store=store, data=self.data, vault=vault, version=__version__
            ).prepare,
            sources=self.outside.statuses,
            schedules=self.schedules.statuses,
            ensure_inbox=self.control.ensure_inbox,
            health=self.health.now,
        )
        self.trigger = HttpTrigger(
            self.catalogue,
            self.accounts,
            self.seal,
            deny,
            acceptance.take,
            asgi_handler(create_app(service), scheme="https" if config.tls else "http"),
        )
        self.hooks = Hooks(vault, self.data, self.policy, deny, self.trigger.lead_nowhere)
        hooks = HookRoutes(self.hooks, self.trigger.handle, self.trigger.body_limit)
        identity = IdentityRoutes(
            vault, lambda: self.operations.issuer, hooks.handle, hooks.body_limit
        )
        gate = LoadGate(self.catalogue, self.dispatcher, self.refusals, identity.body_limit)
        handle, body_limit = identity.handle, gate.body_limit
        if self.tls is not None:
            route = AuthorityRoute(self.tls, handle, body_limit)
            handle, body_limit = route.handle, route.body_limit
        self.server = HttpServer(
            handle,
            body_limit,
            on_error=report_fault,
            problem=self._problem,
            proxies=TrustedProxies(config.trusted_proxies),
        )

    async def load(self, *, recover_owner: bool = False) -> str | None:
        """Read what is stored; return an owner's token on the very first start, or if asked to."""
        for project in await self.known.require(self._lost):
            self.data.set_aside(project)
        self.policy.activate(self.policy.prepare(await self.store.policies()))
        token = await self.accounts.load(recover_owner=recover_owner)
        await self.control.load()
        self.health.start()
        return token

    async def close(self) -> None:
        """Write what waits in memory and let go of everything but the store."""
        await self.health.close()
        self.dispatcher.close()
        await self.check.close()
        self.refusals.flush()
        self.denials.flush()
        self.uses.close()
        await self.uses.flush()
        await self.redactor.flush()
        await self.accounts.close()
        await self.schedules.close()
        await self.outside.close()
        await self.data.close()
        if self.tls is not None:
            await self.tls.close()
        self.vault.close()

    def _live_changed(self) -> None:
        """Have the schedules, hooks and sources of what is live now."""
        live = self.catalogue.declaring()
        self.schedules.replace(live)
        self.hooks.replace(live)
        self.outside.replace(live)

    def _problem(self, status: int, detail: str, error_id: str | None) -> HttpResponse:
        """Answer what is no request that the server takes, and record it."""
        if status not in _FAULTS:
            self.denials.deny(
                Denial(
                    at=time.time(),
                    kind=DenialKind.REQUEST,
                    principal=ANONYMOUS.text,
                    action="http",
                    resource="node",
                    reason=f"{status}: {detail}",
                )
            )
        return problem_response(status, detail, error_id)

    def _on_denied_call(self, zygote: Zygote, call: DeniedCall) -> None:
        """Record a system call that a function's filter denied."""
        serving = {i.serving for i in zygote.instances.values() if i.serving}
        self.denials.deny(
            _denial(
                zygote.version,
                DenialKind.SYSTEM_CALL,
                action=call.name,
                resource="kernel",
                reason="no function may make this system call",
                # One filter tells of all instances; with one at work it is clear which.
                invocation=serving.pop() if len(serving) == 1 else "",
                at=call.at,
                count=call.count,
            )
        )

    def _on_filter_kill(self, zygote: Zygote, invocation: str) -> None:
        """Record that a function's filter has ended an instance."""
        self.denials.deny(
            _denial(
                zygote.version,
                DenialKind.SYSTEM_CALL,
                action="system call",
                resource="kernel",
                reason="the instance was ended by its system-call filter",
                invocation=invocation,
                at=time.time(),
                count=1,
            )
        )

    def _on_egress(self, event: EgressEvent) -> None:
        """Count a connection that was let through, record one that was not."""
        version = self.client.version_of(event.zygote)
        if version is None:
            return
        if event.allowed:
            self.uses.note(version, event.grant, "connect", "", event.count)
            return
        self.denials.deny(
            _denial(
                version,
                DenialKind.EGRESS,
                action="egress:connect",
                resource=f"host:{event.host}:{event.port}",
                reason=event.reason,
                invocation="",
                at=event.at,
                count=event.count,
            )
        )


def _denial(
    version: Version,
    kind: DenialKind,
    *,
    action: str,
    resource: str,
    reason: str,
    invocation: str,
    at: float,
    count: int,
) -> Denial:
    return Denial(
        at=at,
        kind=kind,
        principal=f"function:{version.project}/{version.function}",
        action=action,
        resource=resource,
        reason=reason,
        project=version.project,
        function=version.function,
        version=version.number,
        invocation=invocation,
        count=count,
    )


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


async def _bundle_key(vault: VaultClient, version: int | None) -> DataKey:
    return await vault.data_key("", Purpose.BUNDLES, version)


def report_fault(error: BaseException) -> str:
    """Log a fault of ours in full and return the id by which a caller can name it."""
    error_id = "err_" + secrets.token_hex(12)
    trace = "".join(traceback.format_exception(error))
    _logger.error("%s %s", error_id, trace)
    return error_id
