"""Rules about what is kept elsewhere, who is told, decoys, and access reviews."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from shlex import quote

from casemate.model.drill import DRILL_PROJECTS
from casemate.model.level import Level
from casemate.node_audit.functions import day_of
from casemate.node_audit.rule import DAY, Risk, Rule, Seen, days
from casemate.node_audit.state import NodeState, Outlet, ReviewState
from casemate.set_clock import OFF_SECONDS

BACKUP_DAYS = 7
NO_BACKUP_DAYS = 30
PLACE_SECONDS = 2 * DAY
"""A place that took no checkpoint for as long is told of."""
CHECK_DAYS = 30


def _backup(state: NodeState) -> Iterator[Seen]:
    at = state.backup_at
    if state.nodes is not None:
        return  # of a database and a bucket that nodes share: not seen from here
    if at is None or -OFF_SECONDS <= state.now - at <= BACKUP_DAYS * DAY:
        return
    age = state.now - at
    seen = "No backup was ever fetched completely." if at == 0 else f"The last is {days(age)} old."
    if age < 0:
        seen = "How old the last is nobody knows: the clock was ahead when it was fetched."
    grave = at > 0 and age > NO_BACKUP_DAYS * DAY
    yield Seen(
        subject="backup",
        seen=seen,
        command="casemate backup FILE",
        level=Level.HIGH if grave else None,
    )


def _check(state: NodeState) -> Iterator[Seen]:
    at = state.checked_at
    if at is not None and at > 0 and not -OFF_SECONDS <= state.now - at <= CHECK_DAYS * DAY:
        ago = f"{days(state.now - at)} ago" if at < state.now else "by a clock that was ahead"
        yield Seen(
            subject="check",
            seen=f"All stored data was last checked {ago}.",
            command="casemate check",
        )


def _checkpoints(state: NodeState) -> Iterator[Seen]:
    if state.places is None:
        return
    if not state.places:
        yield Seen(
            subject="checkpoints",
            seen="Checkpoints of the journal are sent nowhere: the settings have no "
            "[checkpoints.NAME].",
            command="casemate serve --config FILE",
        )
    yield from _failing(state.places, "place", "takes no checkpoints")
    for place in state.places:
        if not place.problem and 0 < place.at < state.now - PLACE_SECONDS:
            yield Seen(
                subject=f"place:{place.name}",
                seen=f"The place {place.name} took its last checkpoint "
                f"{days(state.now - place.at)} ago.",
                command="casemate journal head",
            )


def _failing(outlets: tuple[Outlet, ...], kind: str, what: str) -> Iterator[Seen]:
    commands = {"place": "casemate journal head", "channel": "casemate alert test"}
    for one in outlets:
        if one.problem:
            command = commands.get(kind, "casemate metrics")
            name = f" {quote(one.name)}" if kind == "channel" else ""
            yield Seen(
                subject=f"{kind}:{one.name}",
                seen=f"The {kind} {one.name} {what}: {one.problem}",
                command=command + name,
                level=Level.HIGH,
            )


def _channels(state: NodeState) -> Iterator[Seen]:
    if state.channels is None:
        return
    if not state.channels:
        yield Seen(
            subject="alerts",
            seen="Nobody is told of findings: the settings have no [alerts.NAME].",
            command="casemate serve --config FILE",
        )
    yield from _failing(state.channels, "channel", "takes no alerts")


def _exports(state: NodeState) -> Iterator[Seen]:
    if state.exports is None:
        return
    if not state.exports:
        yield Seen(
            subject="exports",
            seen="No events are sent to another machine: the settings have no [export.NAME].",
            command="casemate serve --config FILE",
        )
    yield from _failing(state.exports, "export", "takes nothing")


def _silences(state: NodeState) -> Iterator[Seen]:
    for one in state.silences or ():
        yield Seen(
            subject=f"silence:{one.rule}",
            seen=f"Nobody is told of {one.rule} until {day_of(one.until)}, by {one.by}: "
            f"{one.reason}",
            command=f"casemate alert silence {quote(one.rule)} --for 0s --reason TEXT",
            until=one.until,
        )


def _decoys_off(state: NodeState) -> Iterator[Seen]:
    for one in state.decoys_off or ():
        yield Seen(
            subject=f"decoy:{one.project}/{one.kind}",
            seen=f"The decoy {one.kind} of {one.project} is off, by {one.by}: {one.reason}",
            command=f"casemate decoys enable {one.project} {one.kind}",
            project=one.project,
        )


def _touches(state: NodeState) -> Iterator[Seen]:
    found = defaultdict(list)
    for one in state.touches or ():
        if one.project not in DRILL_PROJECTS:  # a drill touches its own, and cleans up
            found[one.project, one.by].append(one.at)
    for (project, by), moments in found.items():
        yield Seen(
            subject=f"touch:{project}:{by}",
            seen=f"{by} touched a decoy of {project or 'the node'}, last "
            f"{days(state.now - max(moments))} ago.",
            command="casemate journal search --kind DecoyTouched",
            project=project,
            count=len(moments),
        )


def _grouped(reviews: list[ReviewState]) -> Iterator[tuple[str, str, list[ReviewState]]]:
    found = defaultdict(list)
    for one in reviews:
        found[one.project, one.kind].append(one)
    for (project, kind), same in sorted(found.items()):
        yield project, kind, same


def _overdue(state: NodeState) -> Iterator[Seen]:
    due = [one for one in state.reviews or () if one.due <= state.now]
    for project, kind, same in _grouped(due):
        oldest = max(state.now - one.due for one in same)
        of = f" of {project}" if project else ""
        several = f"rights of {len(same)} of kind {kind}{of}"
        yield Seen(
            subject=f"review:{kind}:{project}",
            seen=f"The {several} are due for review, one since {days(oldest)}.",
            command="casemate access review --overdue",
            project=project,
            count=len(same),
            level=Level.HIGH if oldest > state.review_days * DAY else None,
        )


def _own_reviews(state: NodeState) -> Iterator[Seen]:
    for project, kind, same in _grouped([one for one in state.reviews or () if one.own]):
        yield Seen(
            subject=f"own-review:{kind}:{project}",
            seen=f"The rights of {len(same)} of kind {kind} were last reviewed by their holder, "
            f"or who made what has them: {', '.join(one.id for one in same[:5])}.",
            command="casemate access review",
            project=project,
            count=len(same),
        )


_M = Risk.MONITORING
RULES = (
    Rule(
        id="NODE-060", title="There is no fresh backup", risk=Risk.RESPONSIBILITY,
        level=Level.MEDIUM, owasp="SAS-06", cwe=1053, attack="T1490", check=_backup,
        why="What happened since is lost with the disk.",
    ),
    Rule(
        id="NODE-061", title="Stored data was not checked for long", risk=Risk.RESPONSIBILITY,
        level=Level.LOW, owasp="SAS-10", cwe=354, check=_check,
        why="Damage is found only when the data is needed.",
    ),
    Rule(
        id="NODE-062", title="Checkpoints are not kept elsewhere", risk=_M, level=Level.MEDIUM,
        owasp="SAS-10", cwe=778, attack="T1070", check=_checkpoints,
        why="Whoever controls the host can write another journal, and nothing outside contradicts "
            "it.",
    ),
    Rule(
        id="NODE-063", title="Alerts reach nobody", risk=_M, level=Level.MEDIUM, owasp="SAS-10",
        cwe=223, attack="T1562", check=_channels,
        why="An attack that is found and reported to nobody goes on.",
    ),
    Rule(
        id="NODE-064", title="The record of events is on this machine only", risk=_M,
        level=Level.LOW, owasp="SAS-10", cwe=778, attack="T1070", check=_exports,
        why="If the machine is lost, so is every record of what happened.",
    ),
    Rule(
        id="NODE-065", title="Alerts of a rule are silenced", risk=_M, level=Level.LOW,
        owasp="SAS-10", cwe=223, attack="T1562", check=_silences,
        why="Nobody notices an attacker who uses exactly that way meanwhile.",
    ),
    Rule(
        id="NODE-066", title="A decoy is off", risk=_M, level=Level.MEDIUM, owasp="SAS-10",
        cwe=223, attack="T1562", check=_decoys_off,
        why="Then an intruder who looks around touches nothing that reveals it.",
    ),
    Rule(
        id="NODE-067", title="A decoy was touched", risk=_M, level=Level.HIGH, owasp="SAS-10",
        cwe=223, attack="T1078", check=_touches,
        why="Nothing honest touches one.",
    ),
    Rule(
        id="NODE-070", title="An access review is overdue", risk=Risk.PERMISSIONS,
        level=Level.MEDIUM, owasp="SAS-05", cwe=1052, attack="T1078", check=_overdue,
        why="Rights that nobody reviews grow: people leave, and what they made stays.",
    ),
    Rule(
        id="NODE-071", title="Rights were reviewed by their holder", risk=Risk.PERMISSIONS,
        level=Level.LOW, owasp="SAS-05", cwe=654, check=_own_reviews,
        why="People rarely find their own rights unnecessary.",
    ),
)  # fmt: skip
