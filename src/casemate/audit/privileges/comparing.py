"""Needed beside granted: which actions, on which resources, are granted and not called."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache

from casemate.audit.importers.aws.data import actions_of, expanded, narrowable
from casemate.audit.model import Platform, Statement
from casemate.audit.privileges import minimal
from casemate.audit.privileges.deciding import FREE, Decided
from casemate.audit.privileges.needs import EVERY, Need, Open
from casemate.audit.privileges.results import Idle, Privileges, Surplus, Wide
from casemate.audit.privileges.special import WITHOUT_RESOURCE
from casemate.audit.privileges.values import HOLE

_MAX_STATEMENTS = 400


class Sharing:
    """The functions of one role: which of them may use an action, found once for all of them."""

    def __init__(self, members: Iterable[Decided] = ()) -> None:
        """Take the functions, in the order in which they are told."""
        self._members = tuple(members)
        self._users: dict[tuple[str, tuple[str, ...], bool], frozenset[int]] = {}
        self._names: dict[tuple[tuple[str, ...], tuple[str, ...], bool], tuple[str, ...]] = {}

    def names(self, actions: tuple[str, ...], statement: Statement) -> tuple[str, ...]:
        """Return the functions that may use one of these actions on what a statement is for.

        A function that asks of actions that it does not need is none of them.
        """
        where = statement.resources, bool(statement.excepted_resources)
        found = self._names.get((actions, *where))
        if found is None:
            using = set[int]().union(*(self._using(each, statement) for each in actions))
            found = tuple(self._members[n].function.name for n in sorted(using))
            self._names[actions, *where] = found
        return found

    def _using(self, action: str, statement: Statement) -> frozenset[int]:
        key = action, statement.resources, bool(statement.excepted_resources)
        found = self._users.get(key)
        if found is None:
            found = self._users[key] = frozenset(
                n
                for n, each in enumerate(self._members)
                if each.undecided(action) or each.needed(action, statement)
            )
        return found


def compare(application: str, one: Decided, sharing: Sharing | None = None) -> Privileges:
    """Return what is to be said of a function; `sharing` are those with its role, with itself."""
    sharing = sharing or Sharing()
    surplus: list[Surplus] = []
    wide: list[Wide] = []
    idle: list[Idle] = []
    for statement in one.function.permissions[:_MAX_STATEMENTS]:
        if not statement.allows or statement.excepted_actions or _basic(statement):
            continue
        found = list(_surplus(one, statement, sharing))
        surplus += found
        wide += _wide(one, statement)
        if not statement.excepted_resources:
            idle += _idle(one, statement)
    named: dict[str, set[str]] = {}
    for each in one.needs.uses:
        if each.sure:
            named.setdefault(each.action, set()).add("" if HOLE in each.resource else each.resource)
    return Privileges(
        application=application,
        function=one.function.name,
        place=one.function.place,
        needed=tuple((action, tuple(sorted(found))) for action, found in sorted(named.items())),
        surplus=tuple(surplus),
        wide=tuple(wide),
        idle=tuple(idle),
        undecided=_undecided(one),
        missing=tuple(sorted(_missing(one, named))),
        minimal=minimal.written(one) if surplus or wide or idle else "",
    )


_BASIC = frozenset(("AWSLambdaBasicExecutionRole", "AWSXRayDaemonWriteAccess"))


def _basic(statement: Statement) -> bool:
    """Tell whether every function has it, by what AWS itself recommends."""
    return statement.origin in _BASIC


def _undecided(one: Decided) -> tuple[Open, ...]:
    granted = {
        action.partition(":")[0].lower() for s in one.function.permissions for action in s.actions
    }
    return tuple(
        each
        for each in one.needs.open
        if each.service == EVERY or each.service in granted or EVERY in granted
    )


def _surplus(one: Decided, statement: Statement, sharing: Sharing) -> Iterator[Surplus]:
    for pattern in statement.actions:
        if pattern == "*":
            if EVERY not in one.open:
                kept = tuple(sorted({each.action for each in one.needs.uses}))
                yield _made(statement, pattern, ("*",), kept, ())
            continue
        needless: list[str] = []
        kept_: list[str] = []
        for action in _actions(one, pattern):
            if one.undecided(action):
                continue
            (kept_ if one.needed(action, statement) else needless).append(action)
        if needless:
            others = sharing.names(tuple(needless), statement)
            yield _made(statement, pattern, tuple(needless), tuple(kept_), others)


def _actions(one: Decided, pattern: str) -> tuple[str, ...]:
    """Return the actions that there are of those that a pattern stands for."""
    if one.function.platform is Platform.CASEMATE:
        return (pattern,)
    return _existing(pattern)


@cache
def _existing(pattern: str) -> tuple[str, ...]:
    service = pattern.partition(":")[0].lower()
    known = {each.lower() for each in actions_of(service)}
    return tuple(a for a in expanded(pattern) if a.partition(":")[2].lower() in known)


def _made(
    statement: Statement,
    pattern: str,
    needless: tuple[str, ...],
    kept: tuple[str, ...],
    others: tuple[str, ...],
) -> Surplus:
    return Surplus(
        place=statement.place,
        origin=statement.origin,
        pattern=pattern,
        actions=needless,
        kept=kept,
        resources=statement.resources,
        others=others,
    )


def _wide(one: Decided, statement: Statement) -> Iterator[Wide]:
    """Yield the actions that are granted on everything and called on resources with names."""
    if one.function.platform is Platform.CASEMATE:
        return
    granted = tuple(
        resource
        for resource in statement.resources
        if any(one.names.is_wide(a.partition(":")[0].lower(), resource) for a in statement.actions)
    )
    by_named: dict[tuple[str, ...], list[str]] = {}
    for pattern in statement.actions:
        for action in _actions(one, pattern) if pattern != "*" else ():
            key = action.lower()
            found = one.by_action.get(key, ())
            sure = [each for each in found if each.sure]
            service = key.partition(":")[0]
            if not sure or key in WITHOUT_RESOURCE or key in one.implied or one.undecided(action):
                continue
            if any(not each.known for each in found if each.sure) or not narrowable(action):
                continue
            named = tuple(sorted({one.names.plain(service, each.resource) for each in sure}))
            if any(not one.names.known(each) for each in named):
                continue
            if granted:
                by_named.setdefault(named, []).append(action)
    for named, actions in by_named.items():
        yield Wide(
            place=statement.place,
            origin=statement.origin,
            actions=tuple(dict.fromkeys(actions)),
            granted=granted,
            named=named,
        )


def _idle(one: Decided, statement: Statement) -> Iterator[Idle]:
    """Yield the resources of a statement that no action of it is called on."""
    if len(statement.resources) < 2:
        return
    actions = [a for pattern in statement.actions for a in _actions(one, pattern)]
    if not actions or any(one.undecided(each) for each in actions):
        return
    used = [
        need for a in actions for need in one.by_action.get(a.lower(), ()) if not _nowhere(need)
    ]
    if not used or any(a.lower() in one.implied for a in actions):
        return
    for resource in statement.resources:
        service = actions[0].partition(":")[0].lower()
        if not any(
            not need.known or one.names.may_be(service, resource, need.resource) for need in used
        ):
            yield Idle(
                place=statement.place,
                origin=statement.origin,
                resource=resource,
                actions=tuple(sorted({need.action for need in used})),
            )


def _nowhere(need: Need) -> bool:
    return need.action.lower() in WITHOUT_RESOURCE


def _missing(one: Decided, named: Mapping[str, object]) -> Iterator[str]:
    """Yield the actions that the code calls and nothing grants."""
    granted = {
        action.lower()
        for statement in one.function.permissions
        if statement.allows and not statement.excepted_actions
        for pattern in statement.actions
        for action in (expanded(pattern) if pattern != "*" else ("*",))
    }
    excepted = any(s.excepted_actions for s in one.function.permissions)
    if "*" in granted or excepted:
        return
    for action in named:
        if action.lower() not in granted and action.lower() not in FREE:
            yield action
