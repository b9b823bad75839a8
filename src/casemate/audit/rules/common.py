"""What checks have in common."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from casemate.audit.finding import Severity
from casemate.audit.model import Asset, Function, Platform, Reach, Statement, Trigger
from casemate.audit.rule import Check, Hit, Subject

Wrong = Callable[[Asset], str | None]
"""Says what is wrong with an asset; None if nothing is."""
WrongTrigger = Callable[[Function, Trigger], str | None]


def on_aws(check: Check) -> Check:
    """Return a check that looks at applications for AWS alone."""

    def only(subject: Subject) -> Iterable[Hit]:
        return check(subject) if subject.application.platform is Platform.AWS else ()

    return only


OUTSIDE = (Reach.PUBLIC, Reach.AUTHENTICATED, Reach.UNKNOWN)
HTTP = ("http", "url", "websocket")
EVENTS = ("bucket", "topic", "event", "schedule", "iot", "mail", "log", "other")
"""Kinds that call a function of Lambda and do not wait for it."""


def of_assets(
    kind: str | tuple[str, ...],
    wrong: Wrong,
    severity: Callable[[Asset], Severity | None] | None = None,
) -> Check:
    """Return a check of all assets of a kind: `wrong` says what is wrong with one."""
    kinds = (kind,) if isinstance(kind, str) else kind

    def check(subject: Subject) -> Iterator[Hit]:
        if subject.application.platform is not Platform.AWS:
            return
        for asset in subject.application.of_kind(*kinds):
            text = wrong(asset)
            if text is not None:
                yield Hit(
                    place=asset.place,
                    text=f"{asset.name}: {text}",
                    subject=asset.name,
                    severity=severity(asset) if severity is not None else None,
                )

    return check


def of_functions(
    wrong: Callable[[Function], str | None], platform: Platform | None = Platform.AWS
) -> Check:
    """Return a check of all functions: `wrong` says what is wrong with one."""

    def check(subject: Subject) -> Iterator[Hit]:
        for function in subject.application.functions:
            if platform is None or function.platform is platform:
                text = wrong(function)
                if text is not None:
                    yield hit(function, text)

    return check


def of_triggers(wrong: WrongTrigger, *kinds: str) -> Check:
    """Return a check of all triggers of kinds."""

    def check(subject: Subject) -> Iterator[Hit]:
        for function in subject.application.functions:
            for trigger in function.triggers:
                if trigger.kind in kinds:
                    text = wrong(function, trigger)
                    if text is not None:
                        yield Hit(
                            place=trigger.place,
                            text=f"{function.name}: {text}",
                            subject=f"{trigger.method} {trigger.path}",
                            function=function,
                        )

    return check


def of_permissions(
    wrong: Callable[[Statement], str | None],
    severity: Callable[[Statement], Severity] | None = None,
) -> Check:
    """Return a check of all that functions of Lambda and workflows are allowed.

    Each place is told once.
    """

    def check(subject: Subject) -> Iterator[Hit]:
        seen: dict[tuple[object, ...], list[tuple[str, Function | None]]] = {}
        first: dict[tuple[object, ...], tuple[Statement, str]] = {}
        for name, function, statement in _allowed(subject):
            text = wrong(statement) if statement.allows else None
            if text is not None:
                key: tuple[object, ...] = (statement.place, statement.origin, text)
                seen.setdefault(key, []).append((name, function))
                first.setdefault(key, (statement, text))
        for key, holders in seen.items():
            statement, text = first[key]
            names = ", ".join(name for name, _ in holders[:5])
            more = f" and {len(holders) - 5} more" if len(holders) > 5 else ""
            functions = [function for _, function in holders if function is not None]
            yield Hit(
                place=statement.place,
                text=f"{names}{more} {text}",
                subject=f"{statement.origin} {','.join(statement.actions[:8])}",
                function=max(functions, key=lambda f: f.reach is Reach.PUBLIC, default=None),
                severity=severity(statement) if severity is not None else None,
                cause=cause_of(subject, statement, text),
            )

    return check


def _allowed(subject: Subject) -> Iterator[tuple[str, Function | None, Statement]]:
    """Yield what is allowed, and to whom: a workflow is no function."""
    for function in subject.application.functions:
        if function.platform is Platform.AWS:
            for statement in function.permissions:
                yield function.name, function, statement
    for name, statements in subject.application.settings.get("workflows", ()):
        for statement in statements:
            yield name, None, statement


def cause_of(subject: Subject, statement: Statement, text: str) -> str:
    """Return what copies of a statement in one application have in common, nested stacks too."""
    root = subject.application.place.file
    said = (root, text, *statement.actions, *map(str, statement.resources))
    return "\0".join(said)


def hit(function: Function, text: str, place: Any = None, subject: str = "") -> Hit:
    """Return a hit at a function."""
    return Hit(
        place=place or function.place,
        text=f"{function.name}: {text}",
        subject=subject or function.name,
        function=function,
    )


def moving_image(image: str) -> str | None:
    """Say that an image can change by itself, unless its name has a version or digest."""
    name = image.rpartition("/")[2]
    fixed = not image or "${" in image or "@sha256:" in image
    if not fixed and (":" not in name or name.endswith(":latest")):
        return f"the image {image[:100]} can change without a deployment"
    return None


def everybody(statement: Statement) -> bool:
    """Tell whether a policy of a resource lets everybody in, without a condition that says who."""
    if not statement.allows or "*" not in statement.principals:
        return False
    return not narrowed(statement)


_NARROW = re.compile(
    r"source(?:arn|account|vpce|vpc|ip|orgid|orgpaths|owner)|principal(?:orgid|orgpaths|account|arn"
    r"|tag)|userid|username|referer|calledvia|:sub\b|:aud\b|viaawsservice|calleraccount|endpoint"
    r"|protocol|secret|dataaccesspoint",
    re.IGNORECASE,
)


def narrowed(statement: Statement) -> bool:
    """Tell whether a condition says who or from where."""
    for operator, tests in statement.conditions.items():
        for key, value in tests.items() if isinstance(tests, dict) else ():
            says = _NARROW.search(key) and value not in ("*", ["*"])
            if says and "NotEquals" not in operator and "NotLike" not in operator:
                return True
    return False


def literal(value: Any) -> str | None:
    """Return a text that is in the template itself; None for what a deployment fills in."""
    if not isinstance(value, (str, int)) or isinstance(value, bool):
        return None
    found = str(value)
    return None if not found or "${" in found or "{{resolve:" in found else found


def writes(function: Function) -> bool:
    """Tell whether a function may change data."""
    return any(
        statement.allows and any(_WRITES.search(action) for action in statement.actions)
        for statement in function.permissions
    )


_WRITES = re.compile(
    r"^(?:\*|(?:dynamodb|s3|sqs|sns|rds-data|ses|events|states|lambda|iam):"
    r"(?:\*|Put|Delete|Update|Write|Send|Publish|Batch\w{0,9}Write|Execute|Start|Invoke|Create))"
    r"|:(?:write|put|delete|send|publish)$",
    re.IGNORECASE,
)
