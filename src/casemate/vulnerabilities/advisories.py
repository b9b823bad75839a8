"""What a node does with advisories on request: take others, show how they stand, set rules."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec

from casemate.advisories import Standing, receive
from casemate.model.advisory_facts import AdvisoriesImported
from casemate.model.facts import Actor, Fact
from casemate.model.licence import LicenceRules
from casemate.model.vulnerability import AdvisoryRules
from casemate.operations.advisories import AdvisoriesStatus, ListLiveHoles, LiveHoles
from casemate.vulnerabilities.gate import Gate
from casemate.vulnerabilities.watch import Pace, Watch

UPLOAD_PREFIX = "upload-"


class Advisories:
    """One per gateway. Belongs to its event loop."""

    def __init__(self, gate: Gate, watch: Watch, happened: Callable[[Fact], None]) -> None:
        """Have `gate` judge by what is taken, and `watch` judge again."""
        self.gate = gate
        self._watch = watch
        self._happened = happened

    def folder(self) -> Path:
        """Return the folder in which what is sent is received. Blocks."""
        folder = self.gate.place.folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder

    async def clean(self) -> None:
        """Delete what was being received when the node ended."""

        def clean() -> None:
            for leftover in self.gate.place.folder.glob(f"{UPLOAD_PREFIX}*"):
                leftover.unlink(missing_ok=True)

        await asyncio.to_thread(clean)

    async def status(self) -> AdvisoriesStatus:
        """Return how the advisories stand."""
        return _status(await self.gate.standing(), self.gate.rules, self.gate.licences.rules)

    async def take(self, file: Path, by: Actor, *, fewer: bool) -> AdvisoriesStatus:
        """Put a database in force, and judge by it. Raises SourceError, OlderError, BusyError."""
        now = time.time()
        receiving = partial(receive, file, self.gate.place, now, fewer=fewer, pause=Pace())
        header = await asyncio.to_thread(receiving)
        await self.gate.note_time(anew=True)
        self._happened(
            AdvisoriesImported(
                at=now,
                by=by.principal,
                remote_address=by.remote_address,
                source=header.source,
                imported=header.imported,
                records=sum(header.records.values()),
            )
        )
        self._watch.follow()
        return await self.status()

    async def set_rules(self, rules: AdvisoryRules) -> AdvisoryRules:
        """Do other things about holes from now on, also about those that are known already."""
        await self.gate.set_rules(rules)
        self._watch.follow(again=True)
        return rules

    async def set_licence_rules(self, rules: LicenceRules) -> LicenceRules:
        """Allow other licences; what lives is only told of. Raises InvalidInputError."""
        kept = await self.gate.licences.set_rules(rules)
        self._watch.follow()
        return kept

    def live(self, wanted: ListLiveHoles) -> LiveHoles:
        """Return the holes that live."""
        holes, problems = self._watch.found(wanted.project)
        return LiveHoles(
            judged_at=self._watch.judged_at,
            holes=holes,
            licences=self._watch.licences(wanted.project),
            problems=problems,
        )


def _status(standing: Standing, rules: AdvisoryRules, licences: LicenceRules) -> AdvisoriesStatus:
    told = AdvisoriesStatus(
        good=standing.good,
        problems=tuple(f"{each.kind.value}: {each.text}" for each in standing.problems),
        warnings=standing.warnings,
        next_step=standing.next_step or "",
        rules=rules,
        licences=licences,
    )
    header = standing.header
    if header is None:
        return told
    return msgspec.structs.replace(
        told,
        imported=header.imported,
        source=header.source,
        newest=header.newest,
        records=header.records,
        exploited=header.exploited,
        likelihoods=header.likelihoods,
    )
