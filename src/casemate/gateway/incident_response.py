"""Builds what acts on what the monitor finds, and what holds evidence of it."""

from __future__ import annotations

from collections.abc import Callable

from casemate.api.evidence_sealing import Sealing
from casemate.api.service import Service
from casemate.budgets import Budgets
from casemate.evidence import Evidences, Holds
from casemate.gateway.control import NodeControl
from casemate.gateway.foundations import Foundations
from casemate.nodes import Others
from casemate.playbooks import Acting, Paging, Playbooks
from casemate.rotations import Rotations


class IncidentResponse:
    """Playbooks, the people who are paged, and evidence with its holds."""

    def __init__(
        self,
        base: Foundations,
        control: NodeControl,
        budgets: Budgets,
        rotations: Rotations,
        service: Callable[[], Service],
    ) -> None:
        """Act by these; `service` returns what the control API works with."""
        self._base = base
        self.others = (
            None if base.nodes.shared is None else Others(base.nodes, base.monitor.tell_first)
        )
        self.paging = Paging(base.monitor, base.facts, base.recorder.durable)
        self.playbooks = Playbooks(
            base.store,
            base.vault,
            base.monitor,
            Acting(
                control,
                base.accounts,
                budgets,
                base.restrictions,
                rotations,
                Sealing(service),
                self.paging,
            ),
            base.policy,
            base.facts,
            base.recorder.durable,
            owner=self._owner,
            person=base.accounts.principal_of,
            acts=base.config.playbooks,
            peers=self.others,
        )
        base.monitor.on_noticed = self.playbooks.wake
        self.holds = Holds(
            base.store, base.records, deleting=base.deleting.now, running=base.deleting.running
        )
        base.recordings.is_held = self.holds.covers
        self.evidences = Evidences(
            base.folders.recordings, base.store, base.vault, node=base.nodes.name
        )

    def _owner(self, project: str, function: str) -> str:
        """Return who answers for who deployed what is live of a function, empty if unknown."""
        version = self._base.catalogue.most_live(project, function)
        return "" if version is None else self._base.accounts.answerable(version.created_by)
