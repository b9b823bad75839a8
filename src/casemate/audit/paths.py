"""Ways of an attacker: from who may call a function, through it, to what it may do to which asset.

A path says what a fault in the function's code would be worth, not that there is one. The widest
reach to the greatest damage comes first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import msgspec

from casemate.audit.model import Application, Function, Place, Reach, Statement, Trigger
from casemate.shown_text import printable

MAX_PATHS = 1_000
_MOST_DRAWN = 40
_REACH = {Reach.PUBLIC: 4, Reach.UNKNOWN: 2, Reach.AUTHENTICATED: 2, Reach.INTERNAL: 0}
_WHO = {
    Reach.PUBLIC: "everybody",
    Reach.UNKNOWN: "callers that the template does not name",
    Reach.AUTHENTICATED: "callers with credentials",
    Reach.INTERNAL: "callers inside",
}
_DAMAGE = (
    (
        re.compile(r"^\*$|^sts:Assume|^iam:(?!Get|List|Simulate|Generate|CreateServiceLinked)"),
        5,
        "take over",
    ),
    (re.compile(r"^[\w-]{1,64}:\*$"), 4, "do anything to"),
    (re.compile(r"^(?:secretsmanager|kms|ssm|secret):", re.IGNORECASE), 4, "read secrets of"),
    (re.compile(r":\w{0,40}(?:delete|purge|drop|terminate)", re.IGNORECASE), 4, "delete from"),
    (
        re.compile(
            r":\w{0,40}(?:put|write|update|create|send|publish|invoke|start|execute)",
            re.IGNORECASE,
        ),
        3,
        "change",
    ),
    (re.compile(r":\w{0,40}(?:get|read|query|scan|list|select)", re.IGNORECASE), 2, "read"),
)
_HARMLESS = re.compile(
    r"^(?:logs|xray|cloudwatch|ec2|sqs:(?:Receive|GetQueueAttributes))", re.IGNORECASE
)
_ARN = re.compile(r"^arn:[^:]{0,40}:([^:]{0,40}):[^:]{0,60}:[^:]{0,60}:(.{0,200})")


class Path(msgspec.Struct, frozen=True, kw_only=True):
    """One way, from its source to its end."""

    score: int
    who: str
    source: str
    function: str
    verb: str
    asset: str
    actions: tuple[str, ...]
    place: Place

    @property
    def text(self) -> str:
        """Return the way in one sentence."""
        return (
            f"{self.who} can call {self.function} ({self.source}); a fault in it lets them "
            f"{self.verb} {self.asset} ({', '.join(self.actions[:4])})"
        )


def paths_of(applications: Iterable[Application]) -> list[Path]:
    """Return the ways, the worst first; of one function to one asset the worst alone."""
    best: dict[tuple[str, str], Path] = {}
    for application in applications:
        for function in application.functions:
            for path in _paths(function):
                key = (path.function, path.asset)
                if key not in best or best[key].score < path.score:
                    best[key] = path
    found = sorted(best.values(), key=lambda p: (-p.score, p.function, p.asset))
    return found[:MAX_PATHS]


def _paths(function: Function) -> Iterator[Path]:
    trigger = max(function.triggers, key=lambda t: _REACH[t.reach], default=None)
    if trigger is None or _REACH[trigger.reach] == 0:
        return
    for statement in function.permissions:
        if not statement.allows or statement.excepted_actions:
            continue
        damage = _damage(statement)
        if damage is None:
            continue
        weight, verb, actions = damage
        for resource in statement.resources[:50]:
            yield Path(
                score=_REACH[trigger.reach] * weight + (3 if resource == "*" else 0),
                who=_WHO[trigger.reach],
                source=_source(trigger),
                function=function.name,
                verb=verb,
                asset=_asset(resource, actions),
                actions=actions,
                place=statement.place,
            )


def _damage(statement: Statement) -> tuple[int, str, tuple[str, ...]] | None:
    actions = [a for a in statement.actions if not _HARMLESS.match(a)]
    for pattern, weight, verb in _DAMAGE:
        found = tuple(action for action in actions if pattern.search(action))
        if found:
            return weight, verb, found
    return None


def _source(trigger: Trigger) -> str:
    return " ".join(filter(None, (trigger.kind, trigger.method, trigger.path)))


def _asset(resource: str, actions: tuple[str, ...]) -> str:
    if resource == "*":
        services = sorted({action.partition(":")[0] for action in actions})
        return "the whole account" if services == ["*"] else f"everything of {', '.join(services)}"
    match = _ARN.match(resource)
    named = f"{match[1]} {match[2]}" if match else resource
    inner = re.search(r"\$\{([^${}.:]{1,200})(?:\.\w{1,40})?\}", named)
    known = inner is not None and not inner[1].startswith("AWS")
    return inner[1] if inner is not None and known else named.rstrip("/*") or resource


def svg_of(paths: list[Path]) -> str:
    """Return a picture: who calls, functions, assets, and lines between them. Names are escaped."""
    shown = paths[:_MOST_DRAWN]
    columns = (
        list(dict.fromkeys(p.who for p in shown)),
        list(dict.fromkeys(p.function for p in shown)),
        list(dict.fromkeys(p.asset for p in shown)),
    )
    height = 30 * max((len(column) for column in columns), default=0) + 20
    at = [{name: 25 + 30 * row for row, name in enumerate(column)} for column in columns]
    lines = []
    for path in shown:
        width = 1 + path.score / 8
        for left, (one, other) in enumerate(
            ((path.who, path.function), (path.function, path.asset))
        ):
            x, y, to = 190 + left * 300, at[left][one] - 4, at[left + 1][other] - 4
            curve = f"M{x} {y} C{x + 60} {y} {x + 50} {to} {x + 105} {to}"
            lines.append(f'<path d="{curve}" stroke-width="{width:.1f}"/>')
    texts = [
        f'<text x="{(5, 300, 600)[column]}" y="{y}">{_safe(name)}</text>'
        for column, names in enumerate(at)
        for name, y in names.items()
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 900 {height}" role="img">'
        '<g fill="none" stroke="#c62828" stroke-opacity=".5">'
        + "".join(dict.fromkeys(lines))
        + "</g>"
        '<g font-family="system-ui,sans-serif" font-size="13" fill="currentColor">'
        + "".join(texts)
        + "</g></svg>"
    )


def _safe(name: str) -> str:
    from html import escape

    shown = name if len(name) <= 40 else name[:39] + "\u2026"
    return escape(printable(shown, "\ufffd"))
