"""The monitor's work, without its process: reads along, has consumers see it, tells, remembers."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import time
from collections.abc import Sequence
from typing import Any

import msgspec

from casemate.decoding import DECODING_ERRORS
from casemate.metrics.figures import Timed
from casemate.model.level import Level
from casemate.model.metrics import added
from casemate.monitor.alerting import Alerting
from casemate.monitor.consumers import Consumer, Happened
from casemate.monitor.deadman import Deadman
from casemate.monitor.detecting import (
    DAMAGED,
    FORGOTTEN,
    OWN,
    ROLLED_BACK,
    UNSENT,
    Detection,
)
from casemate.monitor.exports.exporting import Exporting
from casemate.monitor.findings import Findings, Found
from casemate.monitor.following import Following, Position
from casemate.monitor.incidents import Incidents
from casemate.monitor.known_incident import Known
from casemate.monitor.memory import Memory, MemoryDamagedError, Remembered
from casemate.monitor.noticed import NoticedLately
from casemate.monitor.places.checkpoints import Checkpoints
from casemate.monitor.protocol import Status
from casemate.monitor.telling import Telling, fact_of
from casemate.recorder.reading_protocol import Seen

REMEMBER_SECONDS = 2.0
"""Between two times at which all is put on disk."""
_SHARE = 20
"""Writing takes at most one part in so many of the time."""
TELL_SECONDS = 0.2
_log = logging.getLogger("casemate.monitor")
_decode = msgspec.json.Decoder(dict).decode


class Noticing:
    """All that the monitor has."""

    def __init__(
        self,
        memory: Memory,
        telling: Telling,
        findings: Findings,
        alerting: Alerting,
        detection: Detection,
        exporting: Exporting,
        checkpoints: Checkpoints,
        *,
        node: str,
        problems: Sequence[str] = (),
    ) -> None:
        """Give what is read to alerting and detection, entry by entry."""
        self.node = node
        self.findings = findings
        self.alerting = alerting
        self.deadman: Deadman | None = None
        self._memory = memory
        self._telling = telling
        self.detection = detection
        self._problems = list(problems)
        detection.tell, detection.replace = self.found, self.replace
        detection.heard = alerting.put_of_another
        detection.taken_back = alerting.tell_again
        alerting.found = findings.get
        for outlet in alerting.outlets.values():
            outlet.changed = self.changed
        self.incidents = Incidents()
        self.incidents.closed = self._closed
        for outlet in alerting.outlets.values():
            outlet.acknowledged = self.incidents.is_acknowledged
        self.noticed = NoticedLately(findings, self.incidents)
        self.exporting = exporting
        self.checkpoints = checkpoints
        exporting.on_change(self.changed)
        checkpoints.on_change(self.changed)
        for place in checkpoints.places:
            place.rolled_back, place.unsent = self._sent_others, self._unsent
        self._consumers: tuple[Consumer, ...] = (
            alerting,
            detection,
            self.incidents,
            self.noticed,
            exporting,
            checkpoints,
        )
        self._lag = Timed()
        self.following: Following
        self._unsaved = False

    async def begin(self) -> None:
        """Go on from what is remembered. Raises VaultError."""
        position = Position(None)
        try:
            remembered = await self._memory.load()
            if remembered is not None:
                for each in self._consumers:
                    if data := remembered.consumers.get(each.name):
                        each.recall(data)
                self._telling.recall(remembered.telling)
                position = Position(remembered.position, remembered.last)
        except (MemoryDamagedError, ValueError, *DECODING_ERRORS) as error:
            self._begin_anew(error)
        self.following = Following(
            position,
            taken=self._take,
            rolled_back=self._rolled_back,
            unreadable=self._unreadable,
        )

    def _begin_anew(self, error: Exception) -> None:
        _log.error("what was remembered is put aside: %s", error)
        kept = self._memory.put_aside()
        self.detection.report(
            FORGOTTEN,
            Level.MEDIUM,
            "What the monitor remembered was damaged; the newest entries are read again",
            f"kept={kept}",
            time.time(),
        )

    # -- what is read ------------------------------------------------------------------------------

    def _take(self, entries: Sequence[Seen]) -> None:
        batch = [found for each in entries if (found := happened(each)) is not None]
        for each in map(self._told_apart, batch):
            # One after the other: what became of an alert comes after what it tells of.
            if not each.node:
                self._telling.read(each)
            self.alerting.take((each,))
            self.detection.take((each,))
            self.incidents.take((each,))
            self.noticed.take((each,))
        if self.following.abreast:
            now = time.time()
            for each in batch:
                # Clocks jump: what happens later than now was looked at at once.
                if not each.node:
                    self._lag.add(max(0.0, now - each.at))
        self._unsaved = True

    def _told_apart(self, each: Happened) -> Happened:
        """Return a finding of another node under an id that is no other finding's.

        Who tells one under the id of somebody else's hides nothing with it: both are kept.
        """
        own = each.event.get("unmapped")
        if each.kind != "Finding" or not isinstance(own, dict):
            return each
        known = self.findings.get(str(own.get("finding")))
        if known is None or known.node == each.node:
            return each
        other = hashlib.sha256(f"{each.node}\0{known.id}".encode()).hexdigest()[:16]
        event = {**each.event, "unmapped": {**own, "finding": other}}
        return msgspec.structs.replace(each, event=event)

    def found(self, found: Found) -> None:
        """Tell of a finding: the journal, and people."""
        self._telling.tell(fact_of(found))
        self.alerting.put(found)

    def replace(self, anew: Found, known: Found) -> None:
        """Know by its id of before what was found anew."""
        self._telling.drop(anew.id)
        for outlet in self.alerting.outlets.values():
            outlet.replace(anew, known)

    def _closed(self, incident: Known, at: float) -> None:
        """Have the next of what a closed incident is of be another finding, and be told.

        It stands under an incident at which nobody looks any more. Where not all of its findings
        are known, those that are not could be any.
        """
        found = [self.findings.get(id) for id in incident.ids]
        known = [each for each in found if each is not None]
        if len(known) < incident.findings:
            self.detection.tell_again(at)
        self.detection.tell_again_of(known)
        for each in known:
            self.alerting.tell_again(each)

    def _rolled_back(self, position: int, size: int) -> None:
        self.detection.report(
            ROLLED_BACK,
            Level.CRITICAL,
            "The journal is not the one that was read",
            f"read={position} size={size}",
            time.time(),
        )

    def _unreadable(self, first: int, end: int, why: str) -> None:
        _log.error("entries %d to %d of the journal cannot be read: %s", first, end - 1, why)
        self.detection.report(
            DAMAGED,
            Level.CRITICAL,
            "Entries of the journal cannot be read",
            f"first={first} end={end}",
            time.time(),
        )

    def _sent_others(self, place: str, sent: int, now: int) -> None:
        self.detection.report(
            ROLLED_BACK,
            Level.CRITICAL,
            "The journal is not the one whose checkpoint was sent out",
            f"place={place} sent={sent} now={now}",
            time.time(),
        )

    def _unsent(self, place: str) -> None:
        self.detection.report(
            UNSENT,
            Level.HIGH,
            "Checkpoints of the journal do not arrive at a second place",
            f"place={place}",
            time.time(),
        )

    # -- what is told and kept ---------------------------------------------------------------------

    async def tell(self) -> None:
        """Have the journal told what was found, for ever."""
        while True:
            facts = self._telling.next()
            if facts and await self.following.tell(tuple(facts.values())):
                self._telling.told(list(facts))
                continue
            await asyncio.sleep(TELL_SECONDS)

    async def remember(self) -> None:
        """Keep on disk what there is, again and again."""
        pause = REMEMBER_SECONDS
        while True:
            await asyncio.sleep(pause)
            began = time.monotonic()
            await self.save()
            pause = max(REMEMBER_SECONDS, _SHARE * (time.monotonic() - began))

    async def save(self) -> None:
        """Keep what there is, if it is new."""
        if not self._unsaved:
            return
        self._unsaved = False
        position = self.following.position
        if position.next is None:
            return
        data = self._memory.sealed(
            Remembered(
                position=position.next,
                last=position.last,
                consumers={each.name: each.remembered() for each in self._consumers},
                telling=self._telling.remembered(),
            )
        )
        try:
            await asyncio.to_thread(self._memory.write, data)
            self._problems = [each for each in self._problems if not each.startswith(_UNSAVED)]
        except OSError as error:
            self._unsaved = True
            if not any(each.startswith(_UNSAVED) for each in self._problems):
                _log.error("%s: %s", _UNSAVED, error.strerror)
                self._problems.append(f"{_UNSAVED}: {error.strerror}")

    def changed(self) -> None:
        """Something is to be kept."""
        self._unsaved = True

    # -- how it is ---------------------------------------------------------------------------------

    def has_rule(self, rule: str) -> bool:
        """Tell whether there is a rule of this name that is told of."""
        return rule in self.detection.rules.told or rule in OWN

    def well(self) -> bool:
        """Tell whether what happens is read, and people can be told."""
        return self.following.current and not any(True for _ in self.alerting.problems())

    def status(self) -> Status:
        """Return how the monitor is."""
        following = self.following
        problems = [
            *self._problems,
            *self.alerting.problems(),
            *self.checkpoints.problems(),
            *self.exporting.problems(),
        ]
        if following.problem:
            problems.append(following.problem)
        if self.detection.faults:
            problems.append(f"{self.detection.faults} entries could not be examined")
        if self._telling.missed:
            problems.append(f"{self._telling.missed} facts of findings could not be recorded")
        if self.deadman is not None and self.deadman.problem:
            problems.append(f"the sign of life does not arrive: {self.deadman.problem}")
        at = following.position.next or 0
        return Status(
            behind=max(0, following.size - at),
            current=following.current,
            problems=tuple(problems),
            exports=self.exporting.states(),
            places=self.checkpoints.states(),
            lag=self._lag.told(),
            alerted=added(outlet.took.told() for outlet in self.alerting.outlets.values()),
            numbers_every=self.exporting.numbers_every,
            noticed=self.noticed.newest,
        )

    async def run(self, ended: asyncio.Event) -> None:
        """Work until `ended`; what is there then is kept."""
        loop = asyncio.get_running_loop()
        tasks = [
            loop.create_task(each)
            for each in (
                self.following.run(),
                self.tell(),
                self.remember(),
                self._send(),
                self.exporting.run(self.following.lend),
                self.checkpoints.run(self.following.head),
            )
        ]
        for task in tasks:
            task.add_done_callback(lambda _: ended.set())
        await ended.wait()
        for task in tasks:
            task.cancel()
        for failure in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(failure, Exception):
                _log.error("the monitor ends: %s", failure)
        with contextlib.suppress(OSError):
            await self.save()

    async def _send(self) -> None:
        """Send by all channels, once it is known what was sent before."""
        await self.following.caught_up.wait()
        # Read again from long ago, as after a backup was put back: somebody has judged that.
        for outlet in self.alerting.outlets.values():
            outlet.settle_closed(self.incidents.is_closed)
        async with asyncio.TaskGroup() as group:
            for outlet in self.alerting.outlets.values():
                group.create_task(outlet.run())
            if self.deadman is not None:
                group.create_task(self.deadman.run())
            await asyncio.Event().wait()


_UNSAVED = "what the monitor has seen is not kept"


def happened(seen: Seen) -> Happened | None:
    """Return an entry as consumers take it; None for one that nobody can read.

    What another node has told is what it stands for there.
    """
    if not seen.event:
        return None
    try:
        event = _decode(seen.event)
    except DECODING_ERRORS:
        return None
    kind, own = _kind_of(event), event.get("unmapped")
    if kind != "NodeTold" or not isinstance(own, dict):
        return Happened(seen.index, seen.id, kind, _at(event), event)
    told, node = own.get("event"), own.get("node")
    if not isinstance(told, dict) or not isinstance(node, str) or not node:
        return None
    # No later than it was told here: a clock that is ahead, or a lie, lets nothing else grow old.
    at = min(_at(told), _at(event))
    return Happened(seen.index, str(own.get("entry")), _kind_of(told), at, told, node)


def _kind_of(event: dict[str, Any]) -> str:
    metadata = event.get("metadata")
    kind = metadata.get("event_code") if isinstance(metadata, dict) else None
    return kind if isinstance(kind, str) else ""


def _at(event: dict[str, Any]) -> float:
    at = event.get("time")
    return at / 1000 if isinstance(at, int | float) else 0.0
