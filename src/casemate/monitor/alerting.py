"""Which findings people are told of, by which channels: levels, silences, what was told already.

Silences and what became of alerts stand in the journal, and are read from there like all else.
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from casemate.model.level import Level
from casemate.monitor.consumers import Happened
from casemate.monitor.findings import Found
from casemate.monitor.messages import plain
from casemate.monitor.on_call import Rotation, shifts, who
from casemate.monitor.outlet import PAGED, Outlet, Remembered
from casemate.operations.findings import NEVER_SILENT, AlertSilence, OnCallShift

MAX_SILENCES = 256
OTHERS_SECONDS = 20.0
"""How long a node waits for another that tells first: longer than one is missed that has died."""
SECOND_SECONDS = 30.0
"""How long a node waits for others without being told so again."""
MAX_TOLD_BY_OTHERS = 1024
MAX_PAGE = 256
MAX_PAGE_AGE = 3600.0
"""Of one that is read for the first time, because the monitor was away or its memory is lost."""
FRESH_SECONDS = 60.0
"""What is older when it is told is read late: it is of the time at which it was found."""
EVERYBODY = "*"
MAX_SILENCE_SECONDS = 7 * 86_400.0


class AllRemembered(msgspec.Struct, frozen=True):
    """What alerts go on with."""

    silences: list[AlertSilence]
    outlets: dict[str, Remembered]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(AllRemembered).decode


class Alerting:
    """All channels."""

    name = "alerts"

    def __init__(
        self, outlets: Mapping[str, Outlet], rotations: Mapping[str, Rotation] | None = None
    ) -> None:
        """Tell by these; `rotations` say whose turn it is."""
        self.outlets = outlets
        self.rotations = rotations or {}
        self._second_until = 0.0
        """Until when, by the monotonic clock, another node tells first."""
        self.found: Callable[[str], Found | None] = _unknown
        """Returns a finding by its id."""
        self._told_by_others: OrderedDict[tuple[str, str], None] = OrderedDict()
        """Channels and findings."""
        self._silences: dict[str, AlertSilence] = {}
        """By rule, the newest of each."""
        self._silent_until: dict[str, float] = {}
        """By rule: when its silence is over by the clock that nobody sets."""

    def put_of_another(self, found: Found) -> None:
        """Tell of a finding of another node, as of one's own, unless somebody has."""
        if time.time() - found.at < MAX_PAGE_AGE:  # what is older was told, or is too late
            self.put(found)

    def be_first(self, *, first: bool) -> None:
        """Tell first of the nodes that share their state, or not for a while: it is told again."""
        self._second_until = 0.0 if first else time.monotonic() + SECOND_SECONDS

    def tell_again(self, found: Found | None = None) -> None:
        """Have channels fold no more what is like a finding, or nothing at all."""
        for outlet in self.outlets.values():
            outlet.tell_again(found)

    def _wait_of(self, found: Found) -> float:
        """Return for how long others are waited for, who may tell it first or have told it."""
        now = time.time()
        old = bool(found.node) and now - found.at > OTHERS_SECONDS
        second = time.monotonic() < self._second_until
        return OTHERS_SECONDS if old or second else 0.0

    def put(self, found: Found) -> None:
        """Tell of a finding, where it is to be told."""
        silent = self._is_silent(found)
        for outlet in self._whose_turn_it_is():
            if silent:
                outlet.silenced += 1
            else:
                outlet.put(found, self._wait_of(found))
                if (outlet.name, found.id) in self._told_by_others:
                    outlet.settle_alike(found)

    def _is_silent(self, found: Found) -> bool:
        """Tell whether nobody is to be told of a finding.

        By its own time, since it may be read late, and by a clock that nobody sets: one that is set
        back while a silence holds does not lengthen it.
        """
        silence = None if found.rule == NEVER_SILENT else self._silences.get(found.rule)
        return (
            silence is not None and silence.since <= found.at and self._goes_on(silence, found.at)
        )

    def _goes_on(self, silence: AlertSilence, at: float) -> bool:
        """Tell whether a silence is not over yet at a time."""
        if at >= silence.until:
            return False
        late = abs(time.time() - at) > FRESH_SECONDS
        return late or time.monotonic() < self._silent_until[silence.rule]

    def _keep(self, silence: AlertSilence) -> None:
        """Have a silence from now on."""
        self._silences[silence.rule] = silence
        left = min(max(0.0, silence.until - time.time()), silence.until - silence.since)
        self._silent_until[silence.rule] = time.monotonic() + left

    def _end(self, rule: str) -> None:
        self._silences.pop(rule, None)
        self._silent_until.pop(rule, None)

    def _whose_turn_it_is(self) -> list[Outlet]:
        """Return the channels that tell somebody now.

        Asked of all at one moment, and of that alone: so there is exactly one of each rotation,
        whatever their hours, and whoever hands over while an alert waits.
        """
        now = time.time()
        on_call = {name: who(rotation, now) for name, rotation in self.rotations.items()}
        return [
            outlet
            for outlet in self.outlets.values()
            if outlet.settings.on_call is None
            or on_call.get(outlet.settings.on_call) == outlet.settings.person
        ]

    def shifts(self, now: float, seconds: float) -> tuple[OnCallShift, ...]:
        """Return who is on call from now on."""
        return tuple(
            shift
            for name, rotation in self.rotations.items()
            for shift in shifts(name, rotation, now, now + seconds)
        )

    def _page(self, told: Happened) -> None:
        """Tell whom somebody, or a playbook, wants told."""
        own = told.event.get("unmapped", {})
        to, message = str(own.get("to", "")), plain(str(own.get("message", "")), MAX_PAGE)
        user = told.event.get("actor", {}).get("user", {})
        found = Found(
            id=hashlib.sha256(f"{PAGED}\0{own.get('page')}".encode()).hexdigest()[:16],
            rule=PAGED,
            title=message,
            level=Level.CRITICAL,
            entity=f"page={own.get('page')}",
            at=told.at,
            count=1,
            events=(told.id,),
            techniques=(),
            project=str(told.event.get("cloud", {}).get("project_uid", "")),
            who=str(user.get("name", "")),
        )
        if abs(time.time() - told.at) > MAX_PAGE_AGE:
            return  # read again from long ago: whoever was called then was
        turn = self._whose_turn_it_is()
        for name, outlet in self.outlets.items():
            if name == to or (outlet in turn and to in (EVERYBODY, outlet.settings.on_call)):
                outlet.page(found)

    def take(self, batch: Sequence[Happened]) -> None:
        """See what the journal says of alerts."""
        for each in batch:
            if each.kind == "AlertsSilenced":
                self._silence(each)
            elif each.kind == "PeoplePaged" and not each.node:
                self._page(each)
            elif each.kind in ("AlertSent", "AlertFailed"):
                own = each.event.get("unmapped", {})
                outlet = self.outlets.get(str(own.get("channel")))
                ids = own.get("findings")
                if outlet is None or not isinstance(ids, list):
                    continue
                if not each.node:
                    outlet.settle(map(str, ids))
                elif each.kind == "AlertSent":
                    self._told_elsewhere(outlet, [str(id) for id in ids])

    def _told_elsewhere(self, outlet: Outlet, ids: Sequence[str]) -> None:
        """Do not tell what another node has told, or what is alike."""
        for id in ids:
            self._told_by_others[outlet.name, id] = None
            if (found := self.found(id)) is not None:
                outlet.settle_alike(found)
        while len(self._told_by_others) > MAX_TOLD_BY_OTHERS:
            self._told_by_others.popitem(last=False)

    def _silence(self, told: Happened) -> None:
        own = told.event.get("unmapped", {})
        rule, seconds = own.get("rule"), own.get("seconds")
        if not isinstance(rule, str) or not isinstance(seconds, int | float):
            return
        self._end(rule)
        if seconds <= 0:
            return  # ended
        user = told.event.get("actor", {}).get("user", {})
        self._keep(
            AlertSilence(
                rule=rule,
                since=told.at,
                until=told.at + min(float(seconds), MAX_SILENCE_SECONDS),
                reason=str(own.get("reason", "")),
                by=str(user.get("name", "")),
            )
        )
        if len(self._silences) > MAX_SILENCES:
            # The one that ends first: what was silenced is told then, which is the safe side.
            self._end(min(self._silences, key=lambda each: self._silences[each].until))

    def silences(self, now: float) -> tuple[AlertSilence, ...]:
        """Return those that hold."""
        begun = (each for each in self._silences.values() if each.since <= now)
        return tuple(each for each in begun if self._goes_on(each, now))

    def remembered(self) -> bytes:
        """Return what they go on with."""
        found = {name: outlet.remembered() for name, outlet in self.outlets.items()}
        return _encode(AllRemembered(list(self._silences.values()), found))

    def recall(self, data: bytes) -> None:
        """Go on from what was remembered; channels that are gone are left out. ValueError."""
        found = _decode(data)
        self._silences, self._silent_until = {}, {}
        for each in found.silences:
            self._keep(each)
        for name, outlet in self.outlets.items():
            if name in found.outlets:
                outlet.recall(found.outlets[name])

    def problems(self) -> Iterable[str]:
        """Yield which channels do not take what they are sent, and why."""
        for name, outlet in self.outlets.items():
            state = outlet.state
            if state.problem:
                yield f"alerts by {name} do not arrive ({state.waiting} wait): {state.problem}"


def _unknown(_id: str) -> None:
    """Know of no finding."""
