"""What findings mean for a deploy: a pure function of findings, rules, exceptions and the time."""

from __future__ import annotations

from collections.abc import Iterable, Set
from datetime import UTC, datetime

import msgspec

from casemate.advisories import Finding, Judgement, NotJudged, Severity, Trouble
from casemate.advisories.packages import package_of_purl
from casemate.advisories.severity import RANK
from casemate.model.vulnerability import (
    AdvisoryException,
    AdvisoryRules,
    Hole,
    JudgedFunction,
    Verdict,
)

_IN_WORDS = {
    Trouble.MISSING: "The node has no advisories yet.",
    Trouble.UNREADABLE: "The node's advisories are damaged.",
}
"""Where a node keeps them is not for everybody who deploys."""


def weigh(
    judged: Judgement,
    rules: AdvisoryRules,
    exceptions: Iterable[AdvisoryException],
    now: float,
) -> JudgedFunction:
    """Return what a judgement means for a function; `exceptions` are those of the function.

    Missing, partial, unreadable and old advisories are problems, and so is what could not be looked
    up: only an exception of its own lets a deploy go on in spite of them.
    """
    known = tuple(exceptions)
    holes = [_weighed(found, rules, known, now) for found in judged.findings]
    problems = [_IN_WORDS.get(each.kind, each.text) for each in judged.problems]
    for missed in judged.not_judged:
        if missed.id and not judged.problems:
            holes.append(_undecided(missed, known, now))
        elif not judged.problems:
            problems.append(f"{missed.package} was not looked up: {missed.reason}.")
    lack = next((each for each in known if not each.advisory and each.holds(now)), None)
    return JudgedFunction(
        holes=tuple(holes),
        problems=tuple(problems),
        next_step=judged.next_step or "",
        exception=lack.id if lack is not None and problems else "",
    )


def _weighed(
    found: Finding, rules: AdvisoryRules, exceptions: tuple[AdvisoryException, ...], now: float
) -> Hole:
    why = _reason(found, rules)
    hole = Hole(
        ecosystem=found.package.ecosystem.value,
        package=found.package.name,
        version=found.package.version,
        id=found.id,
        ids=found.ids,
        severity=found.severity.value,
        score=found.score,
        malicious=found.malicious,
        known_exploited=found.known_exploited,
        likelihood=found.likelihood,
        fixed=found.fixed,
        summary=found.summary,
        symbols=found.symbols,
        verdict=Verdict.REFUSED if why else Verdict.TOLD,
        why=why or f"it is {found.severity.value}, and {rules.refuse} is refused",
    )
    return _excepted(hole, exceptions, now) if why else hole


def _reason(found: Finding, rules: AdvisoryRules) -> str:
    """Return why a deploy is refused for a finding; empty if it is not."""
    if found.malicious:
        return "the package itself is malicious"
    if found.known_exploited:
        return "it is known to be exploited"
    if found.severity is Severity.UNKNOWN:
        return "nobody has rated it"
    if RANK[found.severity] >= RANK[Severity(rules.refuse)]:
        return f"it is {found.severity.value}"
    return ""


def _undecided(missed: NotJudged, exceptions: tuple[AdvisoryException, ...], now: float) -> Hole:
    """Return what an advisory may say of a package, where that cannot be told."""
    found = package_of_purl(missed.package)
    ecosystem, package, version = "", missed.package, ""
    if not isinstance(found, str):
        ecosystem, package, version = found.ecosystem.value, found.name, found.version
    hole = Hole(
        ecosystem=ecosystem,
        package=package,
        version=version,
        id=missed.id,
        ids=(missed.id,),
        severity=Severity.UNKNOWN.value,
        score=None,
        malicious=False,
        known_exploited=False,
        likelihood=None,
        fixed=(),
        summary="",
        verdict=Verdict.REFUSED,
        why=f"whether it is affected is unknown: {missed.reason}",
    )
    return hole if isinstance(found, str) else _excepted(hole, exceptions, now)


def _excepted(hole: Hole, exceptions: tuple[AdvisoryException, ...], now: float) -> Hole:
    ids = {each.upper() for each in hole.ids}
    known = exception_of(hole.package, hole.version, ids, exceptions, now)
    if known is None:
        return hole
    verdict = Verdict.EXCEPTED if known.holds(now) else Verdict.REFUSED
    return _replaced(hole, verdict, f"{hole.why}; {in_words(known, now)}", known.id)


def in_words(known: AdvisoryException, now: float) -> str:
    """Return until when an exception is in force, or why it is not."""
    if known.holds(now):
        return f"excepted until {day(known.expires_at)}: {known.reason}"
    if now < known.expires_at:
        return f"its exception was made on {day(known.at)}, by a clock that was ahead"
    return f"its exception expired on {day(known.expires_at)}"


def exception_of(
    package: str,
    version: str,
    ids: Set[str],
    exceptions: Iterable[AdvisoryException],
    now: float,
) -> AdvisoryException | None:
    """Return the exception of a finding that holds, else the last of those that have expired.

    `ids` are of the finding, in capital letters.
    """
    expired: AdvisoryException | None = None
    for each in exceptions:
        named = each.package == package and each.version in ("", version)
        if named and each.advisory.upper() in ids:
            if each.holds(now):
                return each
            expired = each
    return expired


def _replaced(hole: Hole, verdict: Verdict, why: str, exception: str) -> Hole:
    return msgspec.structs.replace(hole, verdict=verdict, why=why, exception=exception)


def day(at: float) -> str:
    """Return a day as it is written."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")
