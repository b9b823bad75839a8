"""Gathers what is found: each flow once, the surest way of it."""

from __future__ import annotations

from casemate.audit.flow.limits import MAX_FLOWS, MAX_UNRESOLVED
from casemate.audit.flow.results import Analysis, Entry, Flow, Place, Source, Step, Unresolved
from casemate.audit.flow.values import Taint, Taints
from casemate.audit.flow.weaknesses import WEAKNESSES

_ORDER = ("low", "medium", "high")


class Report:
    """Flows, sources and what was not resolved, while code is read."""

    def __init__(self) -> None:
        """Begin with none."""
        self._sources: list[Source] = []
        self._numbers: dict[Source, int] = {}
        self.kinds: list[str] = []
        self._flows: dict[tuple[object, ...], Flow] = {}
        self._problems: dict[Unresolved, None] = {}
        self._commands: dict[Place, bool] = {}

    def source(self, source: Source) -> int:
        """Return the number of a source."""
        number = self._numbers.get(source)
        if number is None:
            number = self._numbers[source] = len(self._sources)
            self._sources.append(source)
            self.kinds.append(source.kind)
        return number

    def of(self, number: int) -> Source:
        """Return a source by its number."""
        return self._sources[number]

    def unresolved(self, place: Place, what: str) -> None:
        """Take what was not looked at."""
        if len(self._problems) < MAX_UNRESOLVED:
            self._problems.setdefault(Unresolved(place, what))

    def flow(
        self,
        entry: Entry,
        weakness: str,
        call: str,
        taints: Taints,
        place: Place,
        confidence: str,
    ) -> None:
        """Take data that comes to a sink: of several sources the one with the shortest way."""
        first = min(taints, key=lambda t: (t.doubt, t.trail.length if t.trail else 0, t.source))
        unsure = first.doubt or self.kinds[first.source] == "stored"
        if unsure:
            confidence = _ORDER[max(0, min(_ORDER.index(confidence), 1))]
        # What a server answers is another's text, and what is stored may be the owner's own page.
        if unsure and weakness == "markup":
            confidence = "low"
        self._take(
            Flow(
                entry=entry,
                source=self._sources[first.source],
                sink=WEAKNESSES[weakness].sink,
                weakness=weakness,
                call=call[-160:],
                place=place,
                steps=(*_steps(first), Step(place, f"given to {call[-160:]}")),
                sanitizers=tuple(s for s in first.seen if not s.startswith("host of ")),
                confidence=confidence,
            )
        )

    def looked(self, place: Place, *, checked: bool) -> None:
        """Take a command line, and whether all in it is written out or was checked."""
        self._commands[place] = checked and self._commands.get(place, True)

    def choice(self, entry: Entry, weakness: str, call: str, place: Place, confidence: str) -> None:
        """Take what the code itself chose badly: it is its own source."""
        source = Source(kind="code", what=call[-160:], place=place)
        self._take(
            Flow(
                entry=entry,
                source=source,
                sink=WEAKNESSES[weakness].sink,
                weakness=weakness,
                call=call[-160:],
                place=place,
                steps=(Step(place, call[-160:]),),
                confidence=confidence,
            )
        )

    def _take(self, flow: Flow) -> None:
        key = (flow.entry.path, flow.entry.name, flow.weakness, flow.place)
        known = self._flows.get(key)
        if known is None and len(self._flows) >= MAX_FLOWS:
            self.unresolved(flow.place, f"more than {MAX_FLOWS} flows")
            return
        if known is None or _ORDER.index(known.confidence) < _ORDER.index(flow.confidence):
            self._flows[key] = flow

    def analysis(self) -> Analysis:
        """Return all, in the order of their places."""
        flows = sorted(
            self._flows.values(),
            key=lambda f: (f.place.path, f.place.line, f.place.column, f.weakness, f.entry.name),
        )
        problems = sorted(
            self._problems, key=lambda p: (p.place.path, p.place.line, p.place.column, p.what)
        )
        commands = tuple(sorted(self._commands.items(), key=lambda at: _sorted_by(at[0])))
        return Analysis(flows=tuple(flows), unresolved=tuple(problems), commands=commands)


def _sorted_by(place: Place) -> tuple[str, int, int]:
    return place.path, place.line, place.column


def _steps(taint: Taint) -> tuple[Step, ...]:
    steps: list[Step] = []
    trail = taint.trail
    while trail is not None:
        steps.append(trail.step)
        trail = trail.before
    return tuple(reversed(steps))
