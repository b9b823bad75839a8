"""Builds what all other objects of a gateway stand on: what it keeps, tells and decides by."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from contextlib import suppress
from pathlib import Path

from casemate.accounts import Accounts
from casemate.admission import Catalogue
from casemate.baselines import Baselines
from casemate.budgets import Allowance
from casemate.capabilities import UseCounter
from casemate.certificates.given import GivenFiles
from casemate.certificates.host_names import host_names
from casemate.certificates.issuing import Names
from casemate.certificates.own import OwnCertificate
from casemate.certificates.tls import CertificateSource, NodeTls
from casemate.decoys import Decoys
from casemate.facts import FactStream
from casemate.folder.folders import Folders
from casemate.folder.presence import RECORDS
from casemate.gateway.accountable import tell_accounts
from casemate.gateway.existing_projects import ExistingProjects
from casemate.gateway.observed import counting
from casemate.gateway.older_records import OlderRecords
from casemate.gateway.records_shipping import RecordsShipping
from casemate.gateway.seen_journal import SeenJournal
from casemate.gateway.seen_starts import seen_records
from casemate.gateway.state import State
from casemate.model.denial import Denial
from casemate.model.facts import ControlStateRefused
from casemate.model.processes import GatewayConfig
from casemate.monitor import MonitorClient
from casemate.policy import CedarPolicy
from casemate.recorder import RecorderClient
from casemate.recorder.denials import DenialRecorder
from casemate.recorder.records.client import RecordsClient
from casemate.recordings import Recordings
from casemate.restrictions import Restrictions
from casemate.seal import Redactor, Seal
from casemate.set_clock import DeletingClock
from casemate.store.interface import Store
from casemate.supply import BuilderKeys, Signatures
from casemate.vault import VaultClient

_logger = logging.getLogger(__name__)


class Foundations:
    """None of these is told of another one after it was made."""

    def __init__(
        self,
        config: GatewayConfig,
        folders: Folders,
        state: State,
        vault: VaultClient,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        """Build; nothing is read yet."""
        self.config = config
        self.folders = folders
        self.loop = loop
        self.state = state
        self.store = store = state.store
        self.nodes = state.nodes
        self.known = state.known
        self.data = state.data
        self.vault = vault
        self.tls = _tls(config, store, vault)
        self.facts = facts = FactStream()
        self.recorder = RecorderClient(
            socket.socket(fileno=config.recorder), loop, facts, config.memory
        )
        own = state.own
        self.seen_journal = SeenJournal(
            self.recorder, vault, None if own is None else own.store, facts.happened
        )
        self.monitor = MonitorClient(socket.socket(fileno=config.monitor), loop)
        self.records = RecordsClient(self.recorder)
        self.shipping = (
            None
            if state.shipped is None
            else RecordsShipping(self.recorder, state.shipped, lambda: self.nodes.membership.name)
        )
        self.older_records = None if own is None else OlderRecords(own.store, self.records)
        self.seen_records = None if own is None else seen_records(own.store, self.records)
        self.denials = DenialRecorder(self.records.deny, loop)
        facts.listen(Denial, self.denials.deny)
        self.policy = CedarPolicy()
        self.restrictions = Restrictions(store, facts, self.recorder.durable)
        self.decoys = Decoys(store, vault, facts)
        self.baselines = Baselines(store, facts)
        self.deleting = DeletingClock()
        self.recordings = Recordings(folders.recordings, vault, deleting=self.deleting.now)
        self.accounts = accounts = Accounts(
            store,
            vault,
            roles=self.policy.roles,
            happened=facts.happened,
            decisions=self.nodes.decisions,
            deleting=self.deleting.now,
        )
        tell_accounts(facts, accounts.answerable)
        keys = BuilderKeys(store, facts.happened, accounts.there_since)
        self.signatures = Signatures(store, keys, facts.happened, deleting=self.deleting.now)
        self.catalogue, self.uses = Catalogue(), UseCounter(store)
        self.redactor = Redactor(self.records, vault, facts)
        self.registry = counting(facts, self.catalogue)
        self.uses.listen(facts)
        self.allowance = Allowance(facts.happened, accounts.answerable)
        self.nodes.membership.on_nodes = self.allowance.divide
        self.allowance.divide(self.nodes.membership.nodes)
        self.projects = ExistingProjects(
            self.catalogue, self.known, accounts, self.allowance, vault
        )
        self.projects.listen(facts)
        self.seal = Seal(self.redactor, self.registry, self.projects.has)
        state.tell_refusals(self._state_refused)

    async def begin_recording(self) -> None:
        """Have a journal and records, none of which is an older copy. Raises CasemateError."""
        losses = self.config.accepted_losses
        await self.seen_journal.begin(losses)
        if self.seen_records is not None:
            await self.seen_records.begin(accept_loss=RECORDS in losses)
            self.seen_records.follow()
        if self.older_records is not None:
            await self.older_records.begin()

    def _state_refused(self, reason: str) -> None:
        """Tell why what others may have written is not believed; on any thread."""
        fact = ControlStateRefused(at=time.time(), reason=reason)
        with suppress(RuntimeError):  # the loop has ended
            self.loop.call_soon_threadsafe(self.facts.happened, fact)


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
