"""Detection over the stream: rules see what happens, and what they find is kept and told."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, NamedTuple

import msgspec

from casemate.decoding import decodable
from casemate.detection import NO_HOUR, Detector, Finding, Memory, RuleError, Rules, Since, rules_of
from casemate.model.level import Level
from casemate.monitor.consumers import Happened
from casemate.monitor.findings import Findings, Found
from casemate.monitor.on_call import zone_of
from casemate.monitor.settings import MonitorSettings
from casemate.recorder.reading_protocol import KINDS
from casemate.set_clock import DeletingClock

MAX_LEFT_OUT = 16
"""Files of one's own rules that are left out one after the other; then all of them are."""
FIRST_SECONDS = 86_400.0
_OWN_MACHINE = frozenset(("127.0.0.1", "::1"))
_EARLIEST, _LATEST = 0.0, 4_000_000_000.0
"""Unix times between which a calendar is asked: a clock that is beyond them is wrong."""
MAX_TITLE, MAX_ENTITY, MAX_WHO = 256, 2048, 256
MAX_TECHNIQUES, MAX_TECHNIQUE = 16, 32
ROLLED_BACK = "journal-rolled-back"
DAMAGED = "journal-unreadable"
FORGOTTEN = "monitor-memory-damaged"
UNSENT = "checkpoint-not-sent"
OWN = frozenset((ROLLED_BACK, DAMAGED, FORGOTTEN, UNSENT))
"""What is found by no rule, but while the journal is read."""
_TAKEN_BACK = {
    "FunctionReleased": ("", frozenset[str]()),
    "RestrictionChanged": ("change", frozenset({"lift"})),
    "BudgetSet": ("change", frozenset({"lift", "remove"})),
    "PlaybookStep": ("step", frozenset({"undone"})),
}
"""What a person takes back of what held an attack up, by the kind of the fact: its field, and what
that says."""
_TOLD = ("rule", "level", "title", "entity", "events", "techniques")
_log = logging.getLogger("casemate.monitor")


class Remembered(msgspec.Struct, frozen=True):
    """What detection needs to go on."""

    detector: Memory
    findings: list[Found]
    dropped: int
    taken_back_at: float = 0.0
    begun: float | None = None
    ended: list[tuple[str, str]] = []
    """Rules and entities of which the next is another finding."""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Remembered).decode


def usable_rules(
    shipped: Sequence[tuple[bytes, str]], own: Sequence[tuple[bytes, str]]
) -> tuple[Rules, tuple[str, ...]]:
    """Return the rules to run, and what is wrong with those that are left out.

    A broken file of one's own is no reason to notice nothing: the others are run without it.
    """
    used = list(own)
    problems: list[str] = []
    while True:
        try:
            return rules_of(*shipped, *used), tuple(problems)
        except RuleError as error:
            named = [each for each in used if error.message.startswith((f"{each[1]}:",))]
            problems.append(f"rules are left out: {error.message}")
            if not used:
                raise
            if not named or len(problems) >= MAX_LEFT_OUT:
                used = []
            else:
                used.remove(named[0])


class Zone(NamedTuple):
    """The time zone by whose clock rules that ask for an hour go."""

    name: str = "UTC"
    clock: tzinfo = UTC

    @classmethod
    def of(cls, settings: MonitorSettings) -> Zone:
        """Return the one that the settings name."""
        return cls(settings.zone, zone_of(settings.zone_rules))

    def seen(self, happened: Happened, begun: float | None) -> dict[str, Any]:
        """Return an event with its zone, as OCSF says it: minutes ahead of UTC.

        Who sets a node up does so when they do: within a day from when it has `begun`, what is done
        on its own machine is of no hour.
        """
        if begun is not None and 0 <= happened.at - begun < FIRST_SECONDS:
            endpoint = happened.event.get("src_endpoint")
            if isinstance(endpoint, dict) and endpoint.get("ip") in _OWN_MACHINE:
                return {**happened.event, "timezone_offset": NO_HOUR}
        if self.clock is UTC:
            return happened.event
        at = datetime.fromtimestamp(min(max(happened.at, _EARLIEST), _LATEST), self.clock)
        ahead = at.utcoffset() or timedelta()
        return {**happened.event, "timezone_offset": int(ahead.total_seconds() // 60)}


class Detection:
    """Runs rules over what happens."""

    name = "detection"

    def __init__(self, rules: Rules, findings: Findings, zone: Zone | None = None) -> None:
        """Keep each finding in `findings`."""
        self.rules = rules
        self._zone = zone or Zone()
        self._detector = Detector(rules)
        self._levels = {one.name: one.level or Level.INFORMATIONAL for one in rules.reporting()}
        self._findings = findings
        self._deleting = DeletingClock()
        self._taken_back_at = 0.0
        """When something that held an attack up was taken back last. Unix time."""
        self._begun: float | None = None
        """When the journal's first entry was written, where that was read. Unix time."""
        self.tell: Callable[[Found], None] = _nobody
        """Told of each finding, once."""
        self.replace: Callable[[Found, Found], None] = _nobody
        """Told of one that was found anew, and which known one it is."""
        self.taken_back: Callable[[], None] = _nobody
        """Told that each finding is to be told again when it is next found."""
        self.heard: Callable[[Found], None] = _nobody
        """Told of each finding of another node, once."""
        self.faults = 0
        """Events on which a rule failed: of ours, if any."""

    @property
    def forgotten(self) -> int:
        """Entities that were forgotten for want of room."""
        return self._detector.forgotten

    def with_since(self, found: Found) -> Found:
        """Return a finding with what has come since and is not told yet."""
        if not self._findings.is_newest(found):
            return found
        since = self._detector.since(found.rule, found.entity)
        if not since.events:
            return found
        return msgspec.structs.replace(found, again=since.events, latest_at=since.latest)

    def since_by_level(self) -> dict[Level, Since]:
        """Return what has come since findings of each level, and is not told yet."""
        found: dict[Level, Since] = {}
        for rule, since in self._detector.since_by_rule().items():
            level = self._levels.get(rule, Level.INFORMATIONAL)
            known = found.get(level, Since())
            found[level] = Since(known.events + since.events, max(known.latest, since.latest))
        return found

    def take(self, batch: Sequence[Happened]) -> None:
        """See what has happened, but for what the monitor itself has told."""
        for each in batch:
            if each.index == 0 and not each.node:
                self._begun = each.at
            if _takes_back(each):
                # Who goes on with the same is to be noticed, and held up again.
                self.tell_again(each.at)
            if each.kind in KINDS:
                self._known(each)
                continue
            if each.node:
                continue  # that node's own rules have seen it
            try:
                found = self._detector.see(self._zone.seen(each, self._begun), each.at)
            except Exception as error:  # noqa: BLE001 - one event must not keep all others out
                self.faults += 1
                _log.error("entry %d cannot be examined: %s", each.index, type(error).__name__)
                continue
            for finding in found:
                self._keep(_found(self._by_clock(finding), each))
        if batch:
            # By both: neither this clock nor the one that wrote may be ahead alone.
            self._findings.expire(min(batch[-1].at, self._deleting.now()))

    def tell_again(self, at: float) -> None:
        """Have what comes after a time be another finding, of whatever rule and entity."""
        self._detector.tell_again()
        self._taken_back_at = at
        self.taken_back()

    def tell_again_of(self, found: Sequence[Found]) -> None:
        """Have the next of the rule and the entity of each of these be another finding.

        What has come since stays with them: the next begins with what comes now.
        """
        for each in found:
            self._findings.end(self.with_since(each))
        self._detector.tell_again_of((each.rule, each.entity) for each in found)

    def _by_clock(self, finding: Finding) -> Finding:
        """Return a finding whose title says by whose clock it is, if it is of an hour."""
        if not self.rules.named(finding.rule).about.hours:
            return finding
        title = f"{finding.title[: MAX_TITLE - len(self._zone.name) - 3]} ({self._zone.name})"
        return msgspec.structs.replace(finding, title=title)

    def report(self, rule: str, level: Level, title: str, entity: str, at: float) -> None:
        """Tell of something that no rule can see, because it is about the journal itself."""
        # Found again it has the same id, unless it is to be another finding.
        again = f"\0{at}" if (rule, entity) in self._findings.ended else ""
        text = f"{rule}\0{entity}{again}".encode()
        self._keep(
            Found(
                id=hashlib.sha256(text).hexdigest()[:16],
                rule=rule,
                title=title,
                level=level,
                entity=entity,
                at=at,
                count=1,
                events=(),
                techniques=("T1070",),
                project="",
            )
        )

    def _keep(self, found: Found) -> None:
        # A detector whose memory was lost finds again what is known, by another event.
        if self._alike(found) is not None:
            return
        if self._findings.add(found):
            self.tell(found)

    def _alike(self, found: Found) -> Found | None:
        """Return one that is the same found by another event, if it is kept."""
        alike = self._findings.alike(found.rule, found.entity, found.at)
        if alike is None or alike.at <= self._taken_back_at < found.at:
            return None
        return alike

    def _known(self, told: Happened) -> None:
        """Keep a finding that stands in the journal, in place of one that was found anew."""
        if told.kind != "Finding":
            return
        own = told.event.get("unmapped", {})
        if not isinstance(own, dict) or self._findings.get(str(own.get("finding"))) is not None:
            return
        try:
            found = msgspec.convert(
                {
                    **{name: own.get(name) for name in _TOLD},
                    "id": own.get("finding"),
                    "at": told.at,
                    "count": told.event.get("count", 1),
                    "project": told.event.get("cloud", {}).get("project_uid", ""),
                    "function": function_of(told.event),
                    "who": own.get("who", ""),
                    "node": told.node,
                },
                decodable(Found),
            )
        except (msgspec.ValidationError, AttributeError):
            return  # of another release
        if told.node:
            if self._findings.add(found):
                self.heard(found)
            return
        anew = self._alike(found)
        if anew is not None:
            self._findings.remove(anew.id)
            self.replace(anew, found)
        self._findings.add(found)

    def remembered(self) -> bytes:
        """Return what it has seen and found."""
        return _encode(
            Remembered(
                self._detector.remembered(),
                self._findings.remembered(),
                self._findings.dropped,
                self._taken_back_at,
                self._begun,
                sorted(self._findings.ended),
            )
        )

    def recall(self, data: bytes) -> None:
        """Go on from what was remembered. Raises ValueError."""
        found = _decode(data)
        self._detector.recall(found.detector)
        self._findings.recall(found.findings)
        self._findings.recall_ended(found.ended)
        self._findings.dropped = found.dropped
        self._begun = found.begun
        self._taken_back_at = found.taken_back_at


def _takes_back(each: Happened) -> bool:
    """Tell whether somebody has taken back what held an attack up."""
    if each.kind not in _TAKEN_BACK:
        return False
    field, values = _TAKEN_BACK[each.kind]
    own = each.event.get("unmapped")
    return not field or (isinstance(own, dict) and own.get(field) in values)


def _nobody(*_found: Found) -> None:
    """Tell nobody."""


def _found(finding: Finding, last: Happened) -> Found:
    """Return a finding as it is kept. Found again by the same event, it has the same id."""
    text = f"{finding.rule}\0{finding.entity}\0{last.id}".encode()
    actor = last.event.get("actor")
    user = actor.get("user") if isinstance(actor, dict) else None
    who = user.get("name") if isinstance(user, dict) else None
    cloud = last.event.get("cloud")
    project = cloud.get("project_uid") if isinstance(cloud, dict) else None
    return Found(
        id=hashlib.sha256(text).hexdigest()[:16],
        rule=finding.rule,
        # Bounded: rules of one's own may say as much as a file holds.
        title=finding.title[:MAX_TITLE],
        level=finding.level,
        entity=finding.entity[:MAX_ENTITY],
        at=finding.at,
        count=finding.count,
        events=finding.events,
        techniques=tuple(each[:MAX_TECHNIQUE] for each in finding.techniques[:MAX_TECHNIQUES]),
        project=project if isinstance(project, str) else "",
        function=function_of(last.event),
        who=who[:MAX_WHO] if isinstance(who, str) and who != "node" else "",
    )


def function_of(event: dict[str, Any]) -> str:
    """Return the function that an event is of, without its project; empty: of none."""
    resources = event.get("resources")
    first = resources[0] if isinstance(resources, list) and resources else None
    if not isinstance(first, dict) or first.get("type") != "function":
        return ""
    name = first.get("name")
    return name.rpartition("/")[2] if isinstance(name, str) else ""
