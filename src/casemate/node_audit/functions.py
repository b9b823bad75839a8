"""Rules about functions: what they need not have, what they go without, what is known of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from casemate.model.level import Level
from casemate.node_audit.rule import DAY, Risk, Rule, Seen, days
from casemate.node_audit.state import FunctionState, NodeState

UNUSED_GRANT_DAYS = 30
SOON_DAYS = 7
_NAMED = 10


def day_of(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")


def _listed(names: tuple[str, ...], between: str = ", ") -> str:
    more = f"{between}and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return between.join(names[:_NAMED]) + more


def _about(one: FunctionState, seen: str, command: str) -> Seen:
    return Seen(
        subject=f"function:{one.text}",
        seen=f"{one.text}@{one.version} {seen}",
        command=f"{command} {one.text}",
        project=one.project,
    )


def _unused_grants(state: NodeState) -> Iterator[Seen]:
    for one in state.functions or ():
        age = state.now - one.deployed_at
        if one.unused and age > UNUSED_GRANT_DAYS * DAY:
            yield _about(
                one,
                f"has not used in {days(age)}: {_listed(one.unused)}.",
                "casemate grants suggest",
            )


def _unlooked_grants(state: NodeState) -> Iterator[Seen]:
    found = [one for one in state.functions or () if one.unused is None]
    if found:
        yield Seen(
            subject="grants",
            seen=f"What {len(found)} functions use of their grants was not checked.",
            command="casemate grants show FUNCTION",
            count=len(found),
        )


def _public(state: NodeState) -> Iterator[Seen]:
    for one in state.functions or ():
        if one.public:
            yield _about(one, "is called by everybody, without a credential.", "casemate show")


def _quarantined(state: NodeState) -> Iterator[Seen]:
    for one in state.functions or ():
        if one.quarantined:
            yield Seen(
                subject=f"function:{one.text}",
                seen=f"{one.text} is in quarantine: {one.quarantined}",
                command=f"casemate release {one.text} --reason TEXT",
                project=one.project,
            )


def _unvouched(state: NodeState) -> Iterator[Seen]:
    for one in state.functions or ():
        if not one.vouched:
            yield _about(
                one,
                "was deployed before bundles were signed: nobody but the node vouches for it.",
                "casemate deploy",
            )


def _manifest_exceptions(state: NodeState) -> Iterator[Seen]:
    for one in state.functions or ():
        if one.exceptions:
            yield _about(
                one,
                f"makes exceptions in its manifest: {_listed(one.exceptions, '; ')}.",
                "casemate show",
            )


def _gate_exceptions(state: NodeState) -> Iterator[Seen]:
    for one in state.exceptions or ():
        name = f"{one.project}/{one.function}"
        over = one.expires_at <= state.now
        soon = one.expires_at - state.now < SOON_DAYS * DAY
        if over:
            continue
        yield Seen(
            subject=f"exception:{one.id}",
            seen=f"{name} may be deployed despite {one.what} until {day_of(one.expires_at)}, "
            f"by {one.by}: {one.reason}",
            command=f"casemate advisories withdraw {name} {one.id}",
            project=one.project,
            level=Level.MEDIUM if soon else None,
            until=one.expires_at,
        )


def _holes(state: NodeState) -> Iterator[Seen]:
    for one in state.holes or ():
        yield Seen(
            subject=f"hole:{one.project}/{one.function}:{one.id}",
            seen=f"{one.package} of {one.project}/{one.function} has the vulnerability {one.id}, "
            "for which a deploy would be refused.",
            command="casemate advisories live",
            project=one.project,
            level=Level.CRITICAL if one.grave else None,
        )


def _licences(state: NodeState) -> Iterator[Seen]:
    for one in state.licences or ():
        yield Seen(
            subject=f"licence:{one.project}/{one.function}:{one.package}:{one.id}",
            seen=f"{one.package} of {one.project}/{one.function} is under a licence that the node "
            f"does not allow ({one.id}); a deploy would be refused.",
            command="casemate advisories live",
            project=one.project,
        )


def _advisories(state: NodeState) -> Iterator[Seen]:
    for problem in state.advisory_problems or ():
        kind, _, text = problem.partition(": ")
        yield Seen(
            subject=f"advisories:{kind}",
            seen=f"Advisories are not reliable: {text.rstrip('.')}.",
            command="casemate advisories import SOURCE --node",
        )


_P, _D = Risk.PERMISSIONS, Risk.DEPENDENCIES
RULES = (
    Rule(
        id="NODE-040", title="A grant is not used", risk=_P, level=Level.MEDIUM, owasp="SAS-05",
        cwe=250, attack="T1078", check=_unused_grants,
        why="Only somebody who takes over the function would use it.",
    ),
    Rule(
        id="NODE-041", title="Uses of grants were not checked", risk=_P, level=Level.LOW,
        owasp="SAS-10", cwe=778, check=_unlooked_grants,
        why="What was not checked is not known to be good.",
    ),
    Rule(
        id="NODE-042", title="A function is public", risk=Risk.INPUT, level=Level.LOW,
        owasp="SAS-02", cwe=306, attack="T1190", check=_public,
        why="Everybody can send it events and cause cost.",
    ),
    Rule(
        id="NODE-043", title="A function is in quarantine", risk=_D, level=Level.MEDIUM,
        owasp="SAS-10", cwe=778, check=_quarantined,
        why="Somebody, or the node, found it dangerous, and nobody has judged it yet.",
    ),
    Rule(
        id="NODE-044", title="Nobody has signed a bundle", risk=_D, level=Level.MEDIUM,
        owasp="SAS-09", cwe=347, attack="T1195.002", check=_unvouched,
        why="Nobody can show where it came from.",
    ),
    Rule(
        id="NODE-045", title="A manifest makes exceptions to protections", risk=Risk.INPUT,
        level=Level.LOW, owasp="SAS-06", cwe=1188, check=_manifest_exceptions,
        why="They have no end: they last until the function is deployed without them.",
    ),
    Rule(
        id="NODE-046", title="An exception to the gate for packages is in force", risk=_D,
        level=Level.LOW, owasp="SAS-09", cwe=1395, attack="T1190", check=_gate_exceptions,
        why="The excepted problem is still there. When the exception ends, the function can no "
            "longer be deployed.",
    ),
    Rule(
        id="NODE-047", title="A known vulnerability is live", risk=_D, level=Level.HIGH,
        owasp="SAS-09", cwe=1395, attack="T1190", check=_holes,
        why="It was deployed before the vulnerability was known, or before an exception ended.",
    ),
    Rule(
        id="NODE-048", title="Advisories are not reliable", risk=_D, level=Level.MEDIUM,
        owasp="SAS-09", cwe=1104, check=_advisories,
        why="Vulnerabilities that became known meanwhile are not seen here.",
    ),
    Rule(
        id="NODE-049", title="A disallowed licence is live", risk=_D, level=Level.LOW,
        owasp="SAS-09", cwe=1357, check=_licences,
        why="Its terms bind whoever runs or passes on the package, whatever the rule says.",
    ),
)  # fmt: skip
