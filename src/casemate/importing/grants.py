"""Grants: what the code needs of what the role allows, never more than either."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from casemate.audit.model import Function, Place, Platform, Statement
from casemate.audit.privileges import HOLE
from casemate.importing.aws_calls import SERVICES
from casemate.importing.needs import Contact, Needs, Use
from casemate.importing.outcome import Notes
from casemate.importing.resources import Known, Resources
from casemate.manifest.hosts import Host, is_private
from casemate.manifest.rejection import RejectedValueError

_REFERENCE = re.compile(r"\$\{([A-Za-z0-9_/-]{1,255})[^}]{0,255}\}")
_ORDER = {
    "bucket": ("read", "write", "list", "delete"),
    "table": ("get", "put", "query", "delete"),
}
_LISTS = {"queue": "queues", "topic": "topics", "secret": "secrets", "function": "invoke"}
_AWS = re.compile(r"(?:^|\.)amazonaws\.com(?:\.cn)?\Z")
_MAX_GRANTS = 100
_MAX_PREFIXES = 32
_MAX_PATTERN = 1_000
_ENDS = ("", "/", "*", ":")
_SERVICES = {
    "bucket": ("s3",),
    "table": ("dynamodb",),
    "queue": ("sqs",),
    "topic": ("sns",),
    "secret": ("secretsmanager", "ssm"),
    "function": ("lambda",),
}

Prefixes = frozenset[str] | None
"""Of keys; None means all."""


class Role:
    """What the role of a function allows."""

    def __init__(self, function: Function) -> None:
        """Take its statements."""
        self._allowing = [each for each in function.permissions if each.allows]
        self._denying = [each for each in function.permissions if not each.allows]
        self.conditions: list[Statement] = []
        """Those that would have allowed something under a condition, which is not translated."""

    def prefixes(self, action: str, known: Known) -> Prefixes | bool:
        """Return the keys for which an action is allowed on something; False if it is not."""
        for each in self._denying:
            if _says(each, action) and bool(_about(each, known)) != each.excepted_resources:
                return False
        found: set[str] = set()
        for statement in self._allowing:
            if statement.excepted_actions or statement.excepted_resources:
                continue
            if not _says(statement, action) or not (rests := _about(statement, known)):
                continue
            if statement.conditions:
                self.conditions.append(statement)
                continue
            for rest in rests:
                if known.kind != "bucket" or action == "s3:ListBucket" or rest in ("", "/*", "*"):
                    return None
                start, star, end = rest.removeprefix("/").partition("*")
                if start and (not star or not end) and "$" not in start and "?" not in start:
                    found.add(start)
        return frozenset(found) if found else False


def _says(statement: Statement, action: str) -> bool:
    return any(_covers(each.lower(), action.lower()) for each in statement.actions) != (
        statement.excepted_actions
    )


def _about(statement: Statement, known: Known) -> list[str]:
    """Return, for each resource that is the one known, what is behind its name: a prefix."""
    found = []
    for resource in statement.resources:
        if resource == "*":
            found.append("")
            continue
        text = _folded(resource[:_MAX_PATTERN])
        for reference in _REFERENCE.finditer(text):
            alone = text[: reference.start()][-1:] in ("", ":", "/")
            rest = text[reference.end() :]
            if known.logical and reference[1] == known.logical and alone and rest[:1] in _ENDS:
                found.append(rest if known.kind == "bucket" else "")
        name, rest = _named(text, known.kind)
        if name and _fits(name, known):
            found.append(rest)
    return found


def _named(arn: str, kind: str) -> tuple[str, str]:
    """Return the name in an ARN of this kind, and of a bucket what is behind it; else nothing."""
    parts = arn.split(":", 5)
    if len(parts) < 6 or parts[0] != "arn" or parts[2] not in _SERVICES[kind]:
        return ("", "")
    end = parts[5]
    if kind == "bucket":
        name, slash, rest = end.partition("/")
        return name, slash + rest
    if kind == "table":
        start, _, rest = end.partition("/")
        return (rest.partition("/")[0], "") if start in ("table", "*") else ("", "")
    if kind == "secret":
        start, _, rest = end.partition("/") if parts[2] == "ssm" else end.partition(":")
        return (rest, "") if start in ("parameter", "secret") else ("", "")
    if kind == "function":
        start, _, rest = end.partition(":")
        return (rest.partition(":")[0], "") if start == "function" else ("", "")
    return end, ""


def _fits(pattern: str, known: Known) -> bool:
    """Tell whether a name in a policy is that of something, which only wildcards are if unknown."""
    physical = _folded(known.physical)
    if not physical:
        return not pattern.strip("*")
    wanted = [physical, f"{physical}-??????"] if known.kind == "secret" else [physical]
    return any(_covers(pattern, each) for each in wanted)


def _folded(text: str) -> str:
    """Return a name or ARN in which only its own parts are divided by colons."""
    return text.replace("${AWS::", "${AWS.")


def _covers(pattern: str, text: str) -> bool:
    """Tell whether a pattern of `*` and `?` fits a text: in steps of one by the other at most."""
    at = place = 0
    star, mark = -1, 0
    while at < len(text):
        here = pattern[place] if place < len(pattern) else ""
        if here == "*":
            star, mark, place = place, at, place + 1
        elif here and here in ("?", text[at]):
            at, place = at + 1, place + 1
        elif star >= 0:
            mark += 1
            at, place = mark, star + 1
        else:
            return False
    return not pattern[place:].strip("*")


class Granting:
    """Makes the grants of one function."""

    def __init__(
        self,
        function: Function,
        resources: Resources,
        notes: Notes,
        place_of: Callable[[Place], Place],
    ) -> None:
        """Begin without any. `place_of` returns where in the project code stands."""
        self._place_of = place_of
        self._function = function
        self._resources = resources
        self._notes = notes
        self._role = Role(function)
        self._actions: dict[Known, dict[str, Prefixes]] = {}
        self._lists: dict[str, list[str]] = {}
        self._egress: dict[tuple[str, int], None] = {}

    def secret(self, name: str) -> None:
        """Grant a secret that stood in the function's own settings."""
        self._add("secrets", name)

    def take(self, needs: Needs) -> None:
        """Grant what is needed and allowed."""
        for use in needs.uses:
            if use.call is not None:
                self._use(use)
        for contact in needs.contacts:
            self._contact(contact)
        for statement in self._role.conditions:
            self._notes.leave(
                statement.place,
                f"{self._function.name}: a permission holds under a condition only",
                "conditions are not translated and nothing was granted by it; add the grant to "
                "casemate.toml, and a policy if it needs one",
            )

    def _use(self, use: Use) -> None:
        call = use.call
        if call is None:
            return
        known = self._resources.demand(call.kind, use.name, self._place_of(use.place))
        if known is None:
            if HOLE in use.name or "$" in use.name or not use.name:
                self._notes.leave(
                    self._place_of(use.place),
                    f"{self._function.name}: which {call.kind} {use.method} is about is not known",
                    "nothing was granted for it; add the grant to casemate.toml",
                )
            return
        for action, wanted in call.needs.items():
            prefixes = self._role.prefixes(wanted, known)
            if prefixes is False:
                self._notes.leave(
                    self._place_of(use.place),
                    f"{self._function.name} calls {use.method} on {known.kind} {known.name}, for "
                    f"which its role does not allow {wanted}",
                    "nothing was granted for it; add the grant to casemate.toml if it is right",
                )
                continue
            self._resources.declare(known)
            if known.kind in _ORDER:
                kept = self._actions.setdefault(known, {})
                kept[action] = _wider(kept.get(action, frozenset()), prefixes)
            else:
                self._add(_LISTS[known.kind], known.name)

    def _add(self, key: str, name: str) -> None:
        names = self._lists.setdefault(key, [])
        if name not in names and len(names) < _MAX_GRANTS:
            names.append(name)

    def _contact(self, contact: Contact) -> None:
        host = ""
        try:
            host = Host().parse(contact.host) if contact.host else ""
        except RejectedValueError:
            host = ""
        if not host:
            self._notes.leave(
                self._place_of(contact.place),
                f"{self._function.name} connects to a server whose name is not known",
                "nothing was granted for it; `casemate denials report` names it after a call, or "
                "add { host = ... } to `egress` in casemate.toml",
            )
        elif host.startswith("*") or is_private(host) or host == "localhost":
            self._notes.leave(
                self._place_of(contact.place),
                f"{self._function.name} connects to {host}, which is not on the public internet",
                "nothing was granted for it; a grant needs private = true and an exception",
            )
        elif not _AWS.search(host) and len(self._egress) < _MAX_GRANTS:
            self._egress[host, contact.port] = None

    def table(self) -> dict[str, Any]:
        """Return the keys of `[function.NAME.grants]`."""
        made: dict[str, Any] = {}
        for kind in ("bucket", "table"):
            entries = [
                entry
                for known, actions in self._actions.items()
                if known.kind == kind and (entry := self._entry(known, actions)) is not None
            ]
            if entries:
                made[f"{kind}s"] = sorted(entries, key=lambda each: str(each["name"]))[:_MAX_GRANTS]
        for key in ("queues", "topics", "secrets", "invoke"):
            if self._lists.get(key):
                made[key] = sorted(self._lists[key])
        if self._egress:
            made["egress"] = [
                {"host": host, **({"port": port} if port != 443 else {})}
                for host, port in sorted(self._egress)
            ]
        return made

    def _entry(self, known: Known, actions: dict[str, Prefixes]) -> dict[str, Any] | None:
        """Return a grant. A manifest has the same prefixes for all actions: those that all have."""
        limited = [
            each for action, each in actions.items() if each is not None and action != "list"
        ]
        entry: dict[str, Any] = {
            "name": known.name,
            "actions": [action for action in _ORDER[known.kind] if action in actions],
        }
        if not limited:
            return entry
        common = _common(limited)
        if not common or len(common) > _MAX_PREFIXES:
            self._notes.leave(
                self._function.place,
                f"{self._function.name}: the role allows each action on other keys of {known.name}",
                "nothing was granted for it; split the function, or add the grant to casemate.toml",
            )
            return None
        return {**entry, "prefixes": sorted(common)}


def _wider(one: Prefixes, other: Prefixes | bool) -> Prefixes:
    if one is None or other is None or isinstance(other, bool):
        return None
    return one | other


def _common(limited: Sequence[frozenset[str]]) -> frozenset[str]:
    """Return the prefixes that lie in each of the sets."""
    common = limited[0]
    for other in limited[1:]:
        common = frozenset(
            longer
            for one in common
            for two in other
            if (longer := max(one, two, key=len)).startswith(min(one, two, key=len))
        )
    return common


def left_out(function: Function, needs: Needs, notes: Notes) -> None:
    """Tell what the role allows of which no call was found."""
    if function.platform is not Platform.AWS:
        return
    services = {use.service for use in needs.uses}
    seen = set()
    for statement in function.permissions:
        for action in statement.actions:
            service = action.partition(":")[0].lower()
            if service in SERVICES - services and service not in seen and statement.allows:
                seen.add(service)
                notes.leave(
                    statement.place,
                    f"{function.name}: its role allows {action}, and it calls nothing of {service}",
                    "nothing was granted for it; add a grant to casemate.toml if it needs one",
                )
