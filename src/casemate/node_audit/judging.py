"""Asks every rule what is weak in a state, and gives the whole a score."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from casemate.model.level import Level
from casemate.node_audit import accounts, functions, records, settings
from casemate.node_audit.rule import Rule, Seen
from casemate.node_audit.state import NodeState
from casemate.operations.node_audit import Weakness

RULES: tuple[Rule, ...] = (
    *settings.RULES,
    *accounts.RULES,
    *functions.RULES,
    *records.RULES,
)
RULE_OF = {rule.id: rule for rule in RULES}
MAX_OF_RULE = 100
"""That are told of one rule, for one project, one by one; the rest is told as one."""
MAX_TEXT = 600
WEIGHTS = {
    Level.CRITICAL: 40,
    Level.HIGH: 15,
    Level.MEDIUM: 5,
    Level.LOW: 1,
    Level.INFORMATIONAL: 0,
}
"""What the gravest weakness of a rule takes from 100."""
MOST_ALIKE = 10
"""Each further one of the same rule takes a tenth of that, so many at most."""
_ORDER = {level: number for number, level in enumerate(reversed(Level))}
_PAUSE_EVERY = 4


def judge(state: NodeState) -> tuple[Weakness, ...]:
    """Return all that is weak, the gravest first. Not for an event loop: it may take its time."""
    found: list[Weakness] = []
    for number, rule in enumerate(RULES):
        found += _of_rule(rule, state)
        if number % _PAUSE_EVERY == 0:
            time.sleep(0)  # others of the process want the interpreter as well
    return tuple(sorted(found, key=lambda one: (_ORDER[one.level], one.rule, one.subject)))


class _Group(NamedTuple):
    shown: list[Weakness]
    rest: list[Weakness]


def _of_rule(rule: Rule, state: NodeState) -> Iterable[Weakness]:
    """Yield what one rule finds: one by one, and what there is no room for as one."""
    groups: defaultdict[str, _Group] = defaultdict(lambda: _Group([], []))
    for seen in rule.check(state):
        shown, rest = groups[seen.project]
        (shown if len(shown) < MAX_OF_RULE else rest).append(_weakness(rule, seen))
    for project, (shown, rest) in groups.items():
        yield from shown
        if rest:
            gravest = min(rest, key=lambda one: _ORDER[one.level])
            yield Weakness(
                rule=rule.id,
                level=gravest.level,
                subject=f"more:{rule.id}",
                seen=f"{len(rest)} more like these.",
                command=gravest.command,
                project=project,
                count=sum(one.count for one in rest),
            )


def _weakness(rule: Rule, seen: Seen) -> Weakness:
    return Weakness(
        rule=rule.id,
        level=seen.level or rule.level,
        subject=seen.subject[:MAX_TEXT],
        seen=seen.seen[:MAX_TEXT],
        command=seen.command[:MAX_TEXT],
        project=seen.project,
        count=seen.count,
        until=seen.until,
    )


def score_of(weaknesses: Iterable[Weakness]) -> int:
    """Return from 0 to 100 how good all is: one weakness more never makes it better.

    Each rule that found something takes what its gravest weakness weighs, and a tenth of that for
    each further one, ten at most.
    """
    by_rule: defaultdict[str, list[Weakness]] = defaultdict(list)
    for one in weaknesses:
        by_rule[one.rule].append(one)
    lost = 0.0
    for found in by_rule.values():
        further = min(sum(one.count for one in found) - 1, MOST_ALIKE)
        lost += max(WEIGHTS[one.level] for one in found) * (1 + further / 10)
    return max(0, round(100 - lost))


def counts_of(weaknesses: Sequence[Weakness]) -> dict[str, int]:
    """Return how many there are by their levels."""
    found: Counter[str] = Counter()
    for one in weaknesses:
        found[one.level.value] += one.count
    return dict(found)
