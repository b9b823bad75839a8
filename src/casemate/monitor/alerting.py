"""Which findings people are told of, by which channels: levels, silences, what was told already.

Silences and what became of alerts stand in the journal, and are read from there like all else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from casemate.monitor.consumers import Happened
from casemate.monitor.findings import Found
from casemate.monitor.outlet import Outlet, Remembered
from casemate.operations.findings import AlertSilence

MAX_SILENCES = 256
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

    def __init__(self, outlets: Mapping[str, Outlet]) -> None:
        """Tell by these."""
        self.outlets = outlets
        self._silences: dict[str, AlertSilence] = {}
        """By rule, the newest of each."""

    def put(self, found: Found) -> None:
        """Tell of a finding, where it is to be told."""
        silence = self._silences.get(found.rule)
        # By the finding's own time: a clock that is set back lengthens no silence.
        silent = silence is not None and silence.since <= found.at < silence.until
        for outlet in self.outlets.values():
            if silent:
                outlet.silenced += 1
            else:
                outlet.put(found)

    def take(self, batch: Sequence[Happened]) -> None:
        """See what the journal says of alerts."""
        for each in batch:
            if each.kind == "AlertsSilenced":
                self._silence(each)
            elif each.kind in ("AlertSent", "AlertFailed"):
                own = each.event.get("unmapped", {})
                outlet = self.outlets.get(str(own.get("channel")))
                ids = own.get("findings")
                if outlet is not None and isinstance(ids, list):
                    outlet.settle(map(str, ids))

    def _silence(self, told: Happened) -> None:
        own = told.event.get("unmapped", {})
        rule, seconds = own.get("rule"), own.get("seconds")
        if not isinstance(rule, str) or not isinstance(seconds, int | float):
            return
        self._silences.pop(rule, None)
        if seconds <= 0:
            return  # ended
        user = told.event.get("actor", {}).get("user", {})
        self._silences[rule] = AlertSilence(
            rule=rule,
            since=told.at,
            until=told.at + min(float(seconds), MAX_SILENCE_SECONDS),
            reason=str(own.get("reason", "")),
            by=str(user.get("name", "")),
        )
        if len(self._silences) > MAX_SILENCES:
            # The one that ends first: what was silenced is told then, which is the safe side.
            del self._silences[min(self._silences, key=lambda each: self._silences[each].until)]

    def silences(self, now: float) -> tuple[AlertSilence, ...]:
        """Return those that hold."""
        return tuple(each for each in self._silences.values() if each.until > now)

    def remembered(self) -> bytes:
        """Return what they go on with."""
        found = {name: outlet.remembered() for name, outlet in self.outlets.items()}
        return _encode(AllRemembered(list(self._silences.values()), found))

    def recall(self, data: bytes) -> None:
        """Go on from what was remembered; channels that are gone are left out. ValueError."""
        found = _decode(data)
        self._silences = {each.rule: each for each in found.silences}
        for name, outlet in self.outlets.items():
            if name in found.outlets:
                outlet.recall(found.outlets[name])

    def problems(self) -> Iterable[str]:
        """Yield which channels do not take what they are sent, and why."""
        for name, outlet in self.outlets.items():
            state = outlet.state
            if state.problem:
                yield f"alerts by {name} do not arrive ({state.waiting} wait): {state.problem}"
