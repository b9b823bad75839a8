"""Builds what has instances run, and hears of what they did and were not let do."""

from __future__ import annotations

import os
import socket
import time
from functools import partial
from pathlib import Path

from casemate.admission.in_force import withdrawn_hosts
from casemate.egress import EgressClient
from casemate.gateway.bundles import BundleStore
from casemate.gateway.foundations import Foundations
from casemate.gateway.happenings import Happenings
from casemate.gateway.use_told import UseTold
from casemate.model.deployment import Version
from casemate.model.facts import BundleTampered
from casemate.model.restriction import EVERYTHING
from casemate.sandbox.client import SandboxClient
from casemate.sandbox.zygotes import Zygotes
from casemate.supply import EvidenceKeeper
from casemate.vault import VaultClient
from casemate.vault.interface import DataKey, Purpose

_UNPACKED_SHARE = 4
"""What part of the host's memory the files of unused bundles may take: one of so many."""


class Sandboxes:
    """The gateway's ends of the supervisor and of the egress proxy, and the bundles that run."""

    def __init__(self, base: Foundations) -> None:
        """Build; `base` has the sockets of both processes."""
        self._base = base
        config, loop, state = base.config, base.loop, base.state
        zygotes = Zygotes(loop)
        happenings = Happenings(zygotes, base.facts)
        self.used = UseTold(
            zygotes, base.data, base.records.use, base.allowance, base.nodes.is_first
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
            partial(_bundle_key, base.vault),
            capacity=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // _UNPACKED_SHARE,
            share=any(one.name == "own inodes" and one.holds for one in config.protections),
            in_clear=state.bundles_in_clear,
            on_tampered=self._tampered,
        )
        self.evidence = EvidenceKeeper(base.store, self.bundles.owners)
        self.client = SandboxClient(
            socket.socket(fileno=config.supervisor),
            loop,
            zygotes=zygotes,
            bundles=self.bundles,
            require=base.signatures.require,
            on_loaded=self.evidence.note,
            egress=self.egress,
            on_denied_call=happenings.on_call,
            on_filter_kill=happenings.on_kill,
            on_replaced=happenings.on_replaced,
            learn=config.learn,
            variables=base.decoys.variables,
            narrow=base.baselines.narrowed,
            usual=base.baselines.shapes,
            asked=base.baselines.calls,
            on_met_calls=happenings.on_met_calls,
            cut=self._cut,
            dependencies=self.bundles.dependencies,
        )
        happenings.on_nobodys = self.client.ahead.spoil
        base.baselines.on_calls_changed = self.client.renew
        base.allowance.cutting.changed = self.client.cut_off
        base.catalogue.on_replaced = self.client.cut_off

    def _cut(self, version: Version) -> tuple[str, ...]:
        """Return which hosts nothing of a version goes to."""
        if self._base.allowance.cutting.cuts(version.project, version.function):
            return (EVERYTHING,)
        restricted = self._base.restrictions.hosts(version.project, version.function)
        if self._base.config.learn:
            return restricted
        return (*restricted, *withdrawn_hosts(version, self._base.catalogue.in_force(version)))

    def _tampered(self, digest: str, reason: str) -> None:
        """Tell that a bundle is not what it was, once for each function that it is of."""
        for project, function in sorted(self._base.catalogue.functions_of(digest)) or [("", "")]:
            self._base.facts.happened(
                BundleTampered(
                    at=time.time(),
                    project=project,
                    function=function,
                    digest=digest,
                    what="bundle",
                    reason=reason,
                )
            )


async def _bundle_key(vault: VaultClient, version: int | None) -> DataKey:
    return await vault.data_key("", Purpose.BUNDLES, version)
