"""The report as lines for people: graver first, each with its place and what to change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from casemate.audit.finding import Report, Severity

_SHOWN_NOTES = 20


CHANGE, LOOK = "  Change: ", "  Look: "
_READING = frozenset(
    (
        *("audit", "check", "head", "live", "ls", "review", "search", "show", "status"),
        *("usage", "verify"),
    )
)
"""Words of commands that only show something: with these a person begins to mend it."""


class Line(NamedTuple):
    """A line, and how grave what it tells is; None for what is none of a finding."""

    text: str
    severity: Severity | None = None


def lines_of(
    report: Report,
    *,
    all_notes: bool = False,
    least: Severity = Severity.LOW,
    paths: bool = False,
    privileges: bool = False,
) -> Iterator[Line]:
    """Yield the lines of a report; findings below `least` are counted only."""
    shown = report.at_least(least)
    for each in shown:
        yield Line(f"{each.severity.value.upper()} {each.rule} {each.title}", each.severity)
        yield Line(f"  {each.place}")
        yield Line(f"  {each.text}")
        for step in each.steps:
            yield Line(f"    {step.place}: {step.text}")
        for also in each.also:
            yield Line(f"  also {also.place}: {also.text}")
        yield Line(f"{_label(each.fix)}{each.fix}")
        yield Line("")
    if paths and report.paths:
        yield Line("Attack paths, the worst first:")
        for path in report.paths:
            yield Line(f"  {path.text}")
            yield Line(f"    {path.place}")
        yield Line("")
    if privileges:
        yield from _privileges(report)
    notes = report.unresolved if all_notes else report.unresolved[:_SHOWN_NOTES]
    if notes:
        yield Line("Not resolved, and therefore not judged:")
        for note in notes:
            yield Line(f"  {note.place}: {note.what}")
        if len(notes) < len(report.unresolved):
            yield Line(f"  and {len(report.unresolved) - len(notes)} more (--notes, --json)")
        yield Line("")
    counts = Counter(each.severity for each in report.findings)
    told = ", ".join(f"{counts[s]} {s.value}" for s in reversed(Severity) if counts[s]) or "none"
    hidden = len(report.findings) - len(shown)
    more = f" ({hidden} not shown: --least info)" if hidden else ""
    if report.score is not None:
        if report.versions:
            yield Line("; ".join(f"{name} {text}" for name, text in report.versions.items()))
        yield Line(f"Score {report.score} of 100. {len(report.findings)} finding(s): {told}{more}.")
        return
    applications = len(report.applications)
    yield Line(
        f"{len(report.findings)} finding(s): {told}{more}. {report.functions} function(s) in "
        f"{applications} application(s), {report.rules} rules, {report.seconds:.1f} s."
    )
    yield from _acceptance(report, told=bool(shown))


def _label(fix: str) -> str:
    """Return what stands before a fix: a command that changes nothing is there to look."""
    words = fix.split()[:3]
    looks = words[:1] == ["casemate"] and not _READING.isdisjoint(words)
    return LOOK if looks else CHANGE


def _acceptance(report: Report, *, told: bool) -> Iterator[Line]:
    """Yield how many were accepted, or how one is: who has accepted one knows."""
    if report.accepted:
        yield Line(f"{len(report.accepted)} accepted by a comment or the baseline.")
    elif told:
        yield Line(
            "To accept an intended finding, put a comment at its line: casemate: allow RULE "
            "until=YYYY-MM-DD reason=WHY"
        )


def _privileges(report: Report) -> Iterator[Line]:
    """Yield what each function needs, what it has beside that, and what would be enough."""
    for each in report.privileges:
        yield Line(f"{each.function} ({each.place})", Severity.INFO)
        for action, resources in each.needed:
            yield Line(f"  needs      {action} {', '.join(filter(None, resources))}".rstrip())
        for surplus in each.surplus:
            on = ", ".join(surplus.resources)
            by = f", by {surplus.origin}" if surplus.origin else ""
            others = f", needed by {', '.join(surplus.others)}" if surplus.others else ""
            for action in surplus.actions:
                yield Line(f"  needless   {action} on {on}{by}{others}")
        for wide in each.wide:
            yield Line(
                f"  too wide   {', '.join(wide.actions)} on {', '.join(wide.granted)}: its code "
                f"names {', '.join(wide.named)}"
            )
        for idle in each.idle:
            yield Line(f"  not used   {idle.resource}")
        for undecided in each.undecided:
            service = "any service" if undecided.service == "*" else undecided.service
            yield Line(f"  undecided  {service}: {undecided.what} ({undecided.place})")
        for action in each.missing:
            yield Line(f"  not granted here: {action}")
        if each.minimal:
            yield Line("  This would be enough:")
            for line in each.minimal.split("\n"):
                yield Line(f"    {line}")
        yield Line("")
