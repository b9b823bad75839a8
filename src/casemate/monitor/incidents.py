"""Incidents: findings of one project that share who or what they are about, within some hours.

A fold of the journal, as all of the monitor: of findings that stand there, and of what people and
the node have said and done about incidents. Read again it comes to the same.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from casemate.decoding import decodable
from casemate.model.level import Level
from casemate.monitor.consumers import Happened
from casemate.monitor.findings import LEVELS, at_least
from casemate.monitor.known_incident import Known
from casemate.monitor.shares import Share, first_of_fullest, share_of
from casemate.monitor.things import FUNCTIONS, is_address, things_of
from casemate.operations.incidents import (
    PREFIX,
    Incident,
    IncidentEvent,
    IncidentPage,
    IncidentRule,
    IncidentState,
    IncidentSummary,
    ListIncidents,
)
from casemate.set_clock import DeletingClock

OPENS = Level.MEDIUM
"""The least grave finding that opens one; others join one that is there."""
QUIET_SECONDS = 4 * 3600.0
"""After so long without a finding the next one opens another."""
KEPT_SECONDS = 400 * 86_400.0
MAX_KEPT = 1000
MAX_THINGS = 64
MAX_RULES = 64
MAX_IDS = 256
MAX_NAMES = 16
MAX_PROJECTS = 32
MAX_TECHNIQUES = 32
MAX_TEXT = 1000
MAX_LOOSE = 64
RESPONSES = frozenset({"function-quarantined", "containment-undone"})
"""Rules that find what is done about an incident: whoever did it is not what that is about."""
_STEPS = frozenset({"playbook-waits", "playbook-failed"})
"""Rules that find what becomes of a playbook: that is of the incident which it is run for."""
_INCIDENT = "incident:"
_QUARANTINE = "quarantine"


class _Memory(msgspec.Struct):
    """What is kept over a restart."""

    known: list[Known]
    loose: list[Happened]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Memory).decode
_decode_known = msgspec.msgpack.Decoder(list[Known]).decode
"""As releases before wrote it."""


class Incidents:
    """Satisfies `casemate.monitor.consumers.Consumer`."""

    name = "incidents"

    def __init__(self) -> None:
        """Begin with none."""
        self._known: dict[str, Known] = {}
        """The oldest first."""
        self.joined = ("", "")
        """The finding that was looked at last, and the incident that it is of, if any."""
        self._deleting = DeletingClock()
        self.closed: Callable[[Known, float], None] = _nothing
        """Told of each that somebody closes, and when."""
        self._loose: deque[Happened] = deque(maxlen=MAX_LOOSE)
        """The newest findings that are of none so far: they open none by themselves."""

    # -- what is read ------------------------------------------------------------------------------

    def take(self, batch: Sequence[Happened]) -> None:
        """See what the journal says of findings and incidents."""
        for each in batch:
            own = each.event.get("unmapped")
            if not isinstance(own, dict):
                continue
            if each.kind == "Finding":
                self._found(each, own)
            elif each.kind == "IncidentUpdated":
                self._updated(each, own)
            elif each.kind == "IncidentActed":
                self._acted(each, own)
            elif each.kind == "PlaybookStep":
                self._stepped(each, own)
            elif each.kind == "FunctionReleased":
                self._released(each)

    def _found(self, each: Happened, own: dict[str, Any]) -> None:
        """Put a finding where it belongs, and with it what came before and belongs there by it.

        So nodes that hear of the same in another order come to the same.
        """
        known, grown = self._incident_of(each, own)
        id = own.get("finding")
        if known is None:
            if isinstance(id, str):
                self._loose.append(each)
            return
        while grown:
            grown = False
            for one in list(self._loose):
                of, more = self._incident_of(one, one.event["unmapped"])
                if of is not None:
                    self._loose.remove(one)
                    grown |= more
        self.joined = (str(id), known.id)

    def _incident_of(self, each: Happened, own: dict[str, Any]) -> tuple[Known | None, bool]:
        """Return which incident a finding is of now, and whether that is about more by it."""
        id, rule, level = own.get("finding"), own.get("rule"), own.get("level")
        if not isinstance(id, str) or not isinstance(rule, str) or level not in LEVELS:
            return None, False
        level = Level(level)
        project = _project(each)
        things = things_of(str(own.get("entity", "")))
        title = str(own.get("title", ""))[:MAX_TEXT]
        grave = at_least(level, OPENS)
        known = self._acted_on(things) if rule in _STEPS else None
        # What is done about an incident says nothing new of how grave it is, or of whom.
        raises = known is None
        if known is not None:
            things = []
        if rule in RESPONSES:
            functions = [thing for thing in things if thing.startswith(FUNCTIONS)]
            if self._of(functions, project, each.at, grave=grave) is not None:
                things = functions
        if known is None:
            known = self._of(things, project, each.at, grave=grave)
        self.joined = (id, "" if known is None else known.id)
        if known is None:
            if not grave:
                return None, False
            known = Known(PREFIX + id, each.at, each.at, title, level)
            self._known[known.id] = known
            self.joined = (id, known.id)
            self._forget(each.at)
        elif id in known.ids:
            return known, False
        links_before = len(known.things) + len(known.links)
        self._name(known, (each.at, id))
        known.findings += 1
        known.last_at = max(known.last_at, each.at)
        if raises and not at_least(known.level, level):
            known.level, known.title = level, title
        known.ids = [*known.ids, id][-MAX_IDS:]
        if grave:
            _join(known.things, things, MAX_THINGS)
        else:
            _join(known.links, [one for one in things if is_address(one)], MAX_THINGS)
        _join(known.projects, [project] if project else [], MAX_PROJECTS)
        techniques = own.get("techniques")
        if isinstance(techniques, list):
            _join(known.techniques, [str(one)[:32] for one in techniques], MAX_TECHNIQUES)
        self._count(known, rule, title, level, each.at)
        known.say(_line(each, "finding", f"{level.value}: {rule}: {title}", by=""))
        return known, len(known.things) + len(known.links) > links_before

    def _acted_on(self, things: Sequence[str]) -> Known | None:
        """Return the open incident for which a playbook is run, by what a finding of it names."""
        named = (one.removeprefix(_INCIDENT) for one in things if one.startswith(_INCIDENT))
        known = self._named(next(named, ""))
        return None if known is None or known.state.closed else known

    def _name(self, known: Known, finding: tuple[float, str]) -> None:
        """Name an incident by the first of its findings, in whatever order nodes hear of them."""
        if not known.first[1]:
            known.first = known.opened_at, known.id.removeprefix(PREFIX)
        if finding >= known.first:
            return
        known.names = [*known.names, known.first[1]][-MAX_NAMES:]
        known.first, known.opened_at, known.id = finding, finding[0], PREFIX + finding[1]
        self._known = {each.id: each for each in self._known.values()}
        self.joined = (finding[1], known.id)

    def _named(self, id: str) -> Known | None:
        """Return an incident by its name, or by any of its findings: another node may know less."""
        known = self._known.get(id)
        finding = id.removeprefix(PREFIX)
        if known is not None or finding == id:
            return known
        return next(
            (
                each
                for each in reversed(self._known.values())
                if finding in each.names or finding in each.ids
            ),
            None,
        )

    def _count(self, known: Known, rule: str, title: str, level: Level, at: float) -> None:
        before = known.rules.get(rule)
        if before is None and len(known.rules) >= MAX_RULES:
            return
        known.rules[rule] = IncidentRule(
            rule=rule,
            title=title,
            level=level,
            findings=1 if before is None else before.findings + 1,
            first_at=at if before is None else min(at, before.first_at),
            last_at=at if before is None else max(at, before.last_at),
        )

    def _of(self, things: Sequence[str], project: str, at: float, *, grave: bool) -> Known | None:
        """Return the newest that is open and shares something with a finding.

        Not one of another project: whoever may see one project sees incidents of no other, so by a
        name in common everybody could hide from its owner what is found of a project. One that has
        no room for all that a grave one is about is passed over, too: what nobody would find in it
        would not be contained either.
        """
        for known in reversed(self._known.values()):
            if known.state.closed or abs(at - known.last_at) > QUIET_SECONDS:
                continue
            if project and known.projects and project not in known.projects:
                continue
            new = sum(thing not in known.things for thing in things) if grave else 0
            if len(known.things) + new > MAX_THINGS:
                continue
            if any(thing in known.things or thing in known.links for thing in things):
                return known
            if not things and not known.things and project in (known.projects or [""]):
                return known
        return None

    def _updated(self, each: Happened, own: dict[str, Any]) -> None:
        known = self._named(str(own.get("incident")))
        change, value = own.get("change"), str(own.get("value", ""))[:MAX_TEXT]
        note = str(own.get("text", ""))[:MAX_TEXT]
        if known is None:
            return
        if change == "assign":
            if not _said_since(known.owner_said, each):
                known.owner, known.owner_said = value, _said(each)
            known.say(_line(each, "assign", f"to {value or 'nobody'}"))
        elif change == "note":
            known.say(_line(each, "note", note))
        elif change == "state" and value in tuple(IncidentState):
            self._turn(known, IncidentState(value), each, own.get("seen_at"))
            known.say(_line(each, "state", f"{value}: {note}"))

    def _turn(self, known: Known, state: IncidentState, each: Happened, seen_at: object) -> None:
        """Have an incident in a state, unless somebody has said otherwise since.

        What was found after all that whoever closes it had seen is closed by nobody.
        """
        if _said_since(known.state_said, each):
            return
        if state.closed and isinstance(seen_at, int | float) and 0 < seen_at < known.last_at:
            return
        was_closed = known.state.closed
        known.state, known.state_said = state, _said(each)
        known.closed_at = each.at if state.closed else None
        if state is IncidentState.OPEN:
            known.state = known.state_while_open()
        if state.closed and not was_closed:
            self.closed(known, each.at)

    def _acted(self, each: Happened, own: dict[str, Any]) -> None:
        known = self._named(str(own.get("incident")))
        if known is None:
            return
        problem = str(own.get("problem", ""))[:MAX_TEXT]
        what = f"{own.get('action')} {own.get('target')}"[:MAX_TEXT]
        if problem:
            known.say(_line(each, "contain", f"{what} failed: {problem}"))
            return
        known.say(_line(each, "contain", f"{what}; taken back by: {own.get('undo')}"[:MAX_TEXT]))
        known.hold(what, each.at, in_force=True)

    def _released(self, each: Happened) -> None:
        """Have no incident be contained by a quarantine that is over."""
        resources = each.event.get("resources")
        one = resources[0] if isinstance(resources, list) and resources else None
        what = f"{_QUARANTINE} function:{one.get('name') if isinstance(one, dict) else ''}"
        for known in self._known.values():
            if what in known.held:
                known.hold(what, each.at, in_force=False)

    def _stepped(self, each: Happened, own: dict[str, Any]) -> None:
        known = self._named(str(own.get("incident")))
        if known is None:
            return
        step, reason = own.get("step"), str(own.get("reason", ""))
        what = f"{own.get('action')} {own.get('target')}" if own.get("action") else ""
        undo = f"taken back by: {own.get('undo')}" if own.get("undo") else ""
        words = (f"{own.get('playbook')} ({own.get('run')}): {step}", what, reason, undo)
        known.say(_line(each, "playbook", "; ".join(filter(None, words))[:MAX_TEXT]))
        if step in ("done", "undone") and what:
            known.hold(what[:MAX_TEXT], each.at, in_force=step == "done")

    def _forget(self, now: float) -> None:
        """Forget what is too old, and beyond the number closed ones first, the oldest of them.

        Then the oldest of the project that has the most: nobody's are pushed out by those that
        somebody else causes.
        """
        # By both: neither this clock nor the one that wrote may be ahead alone, or for a moment.
        now = min(now, self._deleting.now())
        for id in [k.id for k in self._known.values() if now - k.last_at > KEPT_SECONDS]:
            del self._known[id]
        while len(self._known) > MAX_KEPT:
            closed = (k for k in self._known.values() if k.state.closed)
            counts = Counter(map(_share, self._known.values()))
            fullest = first_of_fullest(self._known.values(), counts, _share)
            del self._known[next(closed, fullest).id]

    # -- what is asked -----------------------------------------------------------------------------

    def get(self, id: str) -> Incident | None:
        """Return one by its id."""
        known = self._named(id)
        return None if known is None else known.shown()

    def is_acknowledged(self, finding: str) -> bool:
        """Tell whether somebody works on the incident that a finding is of, or has closed it."""
        known = self._with(finding)
        return known is not None and (bool(known.owner) or known.state.closed)

    def is_closed(self, finding: str) -> bool:
        """Tell whether somebody has closed the incident that a finding is of."""
        known = self._with(finding)
        return known is not None and known.state.closed

    def _with(self, finding: str) -> Known | None:
        """Return the newest incident that a finding is of."""
        return next((one for one in reversed(self._known.values()) if finding in one.ids), None)

    def listed(self, wanted: ListIncidents) -> IncidentPage:
        """Return those that are asked for, the one with the newest finding first."""
        found: list[IncidentSummary] = []
        for known in self._fitting(wanted):
            if len(found) == wanted.limit:
                return IncidentPage(incidents=tuple(found), more=True)
            found.append(
                msgspec.convert(known.shown(), decodable(IncidentSummary), from_attributes=True)
            )
        return IncidentPage(incidents=tuple(found), more=False)

    def _fitting(self, wanted: ListIncidents) -> Iterator[Known]:
        least = Level(wanted.level or Level.INFORMATIONAL)
        newest = list(self._known.values())[::-1]
        newest.sort(key=lambda known: -known.last_at)
        for known in newest:
            # Who may see one project sees what is of no other.
            if wanted.project is not None and known.projects != [wanted.project]:
                continue
            if wanted.state is not None and known.state is not wanted.state:
                continue
            if at_least(known.level, least):
                yield known

    def remembered(self) -> bytes:
        """Return all."""
        return _encode(_Memory(list(self._known.values()), list(self._loose)))

    def recall(self, data: bytes) -> None:
        """Go on from what was remembered. Raises ValueError."""
        try:
            found = _decode(data)
        except msgspec.ValidationError:
            found = _Memory(_decode_known(data), [])
        self._known = {known.id: known for known in found.known}
        self._loose = deque(found.loose, maxlen=MAX_LOOSE)


def _nothing(_known: Known, _at: float) -> None:
    """Do nothing."""


def _share(known: Known) -> Share:
    return share_of(next(iter(known.projects), ""), next(iter(known.rules), ""))


def _project(each: Happened) -> str:
    cloud = each.event.get("cloud")
    project = cloud.get("project_uid") if isinstance(cloud, dict) else None
    return project if isinstance(project, str) else ""


def _line(each: Happened, kind: str, text: str, by: str | None = None) -> IncidentEvent:
    if by is None:
        actor = each.event.get("actor")
        user = actor.get("user") if isinstance(actor, dict) else None
        by = str(user.get("name", "")) if isinstance(user, dict) else ""
    return IncidentEvent(at=each.at, kind=kind, by=by, text=text, node=each.node)


def _said(each: Happened) -> tuple[float, str]:
    return each.at, each.node


def _said_since(before: tuple[float, str], each: Happened) -> bool:
    """Tell whether another node had this said later. Of one node the order is that it tells it in,
    whatever its clock does."""
    return before[1] != each.node and (each.at, each.node) < before


def _join(known: list[str], more: Sequence[str], most: int) -> None:
    for each in more:
        if each not in known and len(known) < most:
            known.append(each)
