"""Rules about people, tokens, keys and roles."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

import msgspec

from casemate.model.level import Level
from casemate.model.principal import OWNER, RoleBinding
from casemate.node_audit.rule import DAY, Risk, Rule, Seen, days
from casemate.node_audit.state import NodeState, TokenState

UNUSED_DAYS = 90
NEVER_DAYS = 30
"""A token that was never used is told of once it is as old."""


def _project(bindings: tuple[RoleBinding, ...]) -> str:
    """Return the one project that all bindings are of; empty if there is none such."""
    projects = {one.project for one in bindings}
    return next(iter(projects)) or "" if len(projects) == 1 else ""


def _owns(bindings: tuple[RoleBinding, ...]) -> bool:
    return any(one.role == OWNER and one.project is None for one in bindings)


def _about(token: TokenState, seen: str, level: Level | None = None) -> Seen:
    return Seen(
        subject=f"token:{token.id}",
        seen=f"The token {token.name}, made by {token.created_by}, {seen}.",
        command=f"casemate tokens revoke {token.id}",
        project=_project(token.bindings),
        level=level,
    )


def _never_used(state: NodeState) -> Iterator[Seen]:
    for token in state.tokens or ():
        age = state.now - token.created_at
        if token.used_at is None and age > NEVER_DAYS * DAY:
            yield _about(token, f"is {days(age)} old and has never been used")


def _long_unused(state: NodeState) -> Iterator[Seen]:
    for token in state.tokens or ():
        if token.used_at is not None and state.now - token.used_at > UNUSED_DAYS * DAY:
            yield _about(token, f"was not used for {days(state.now - token.used_at)}")


def _endless(state: NodeState) -> Iterator[Seen]:
    made = Counter(token.created_by for token in state.tokens or ())
    for token in state.tokens or ():
        if token.expires_at is None:
            what = "owns the node and" if _owns(token.bindings) else "can be used and"
            level = Level.MEDIUM if _owns(token.bindings) else None
            ends = made[f"token:{token.id}"]
            with_it = f"; {ends} token(s) in use that it made end with it" if ends else ""
            seen = _about(token, f"{what} never expires{with_it}", level)
            alone = _owns_alone(token, state)
            yield msgspec.structs.replace(seen, command=_NEW_OWNER) if alone else seen


_NEW_OWNER = "casemate users add NAME --role owner"
"""First: the last owner's token is not revoked, since nobody could get in any more."""


def _owns_alone(token: TokenState, state: NodeState) -> bool:
    """Tell whether nobody else gets in who owns the node, as far as that may be seen."""
    people = (one for one in state.people or () if one.can_get_in and _owns(one.bindings))
    others = (one for one in state.tokens or () if one.id != token.id and _owns(one.bindings))
    return _owns(token.bindings) and not any(people) and not any(others)


def _orphaned(state: NodeState) -> Iterator[Seen]:
    for token in state.tokens or ():
        if token.maker_gone:
            yield _about(token, "outlives its maker, who can no longer log in")


def _unseen(state: NodeState) -> Iterator[Seen]:
    for person in state.people or ():
        since = person.seen_at or person.created_at
        if person.can_get_in and person.bindings and state.now - since > UNUSED_DAYS * DAY:
            yield Seen(
                subject=f"user:{person.name}",
                seen=f"{person.name} has been absent for {days(state.now - since)}.",
                command=f"casemate users disable {person.name}",
                project=_project(person.bindings),
            )


def _unseen_workloads(state: NodeState) -> Iterator[Seen]:
    for one in state.workloads or ():
        since = one.seen_at or one.created_at
        if state.now - since > UNUSED_DAYS * DAY:
            yield Seen(
                subject=f"workload:{one.name}",
                seen=f"The pipeline {one.name} of {one.issuer} has not signed in for "
                f"{days(state.now - since)}.",
                command=f"casemate workloads rm {one.name}",
                project=_project(one.bindings),
            )


def _never_enrolled(state: NodeState) -> Iterator[Seen]:
    for person in state.people or ():
        if not person.can_get_in and (person.code_until or 0.0) <= state.now:
            yield Seen(
                subject=f"user:{person.name}",
                seen=f"{person.name} has never enrolled, and has no enrolment code.",
                command=f"casemate users rm {person.name}",
                project=_project(person.bindings),
            )


def _one_owner(state: NodeState) -> Iterator[Seen]:
    if state.people is None:
        return
    owners = [one.name for one in state.people if one.can_get_in and _owns(one.bindings)]
    if len(owners) < 2:
        who = f"{owners[0]} alone" if owners else "no person, only a token,"
        yield Seen(
            subject="owners",
            seen=f"Of people who can log in, {who} owns the node.",
            command="casemate users add NAME --role owner",
        )


def _stray_keys(state: NodeState) -> Iterator[Seen]:
    for key in state.keys or ():
        if key.principal_gone:
            yield Seen(
                subject=f"key:{key.id}",
                seen=f"The builder's key {key.id[:16]} still counts, but {key.principal} is gone. "
                "Who builds on the same machine signs with it, too, and needs another one then.",
                command=f"casemate keys revoke {key.id} --reason TEXT",
            )


def _unused_roles(state: NodeState) -> Iterator[Seen]:
    if state.people is None or state.tokens is None:
        return
    held = [*(one.bindings for one in state.people), *(one.bindings for one in state.tokens)]
    held += [one.bindings for one in state.workloads or ()]
    used = {binding.role for bindings in held for binding in bindings}
    for role in sorted(state.own_roles - used):
        yield Seen(
            subject=f"role:{role}",
            seen=f"Nobody has the role {role}, which the node's policies make.",
            command="casemate policy ls",
        )


def _stray_bindings(state: NodeState) -> Iterator[Seen]:
    if state.roles is None or state.functions is None:
        return
    functions = defaultdict(set)
    for function in state.functions:
        functions[function.project].add(function.name)
    for person in state.people or ():
        for binding in person.bindings:
            problem = _stray(binding, state.roles, functions)
            if problem:
                yield Seen(
                    subject=f"user:{person.name}",
                    seen=f"{person.name} has {problem}.",
                    command=f"casemate users roles {person.name}",
                    project=binding.project or "",
                )
    for token in state.tokens or ():
        for binding in token.bindings:
            problem = _stray(binding, state.roles, functions)
            if problem:
                yield _about(token, f"has {problem}")


def _stray(binding: RoleBinding, roles: frozenset[str], functions: dict[str, set[str]]) -> str:
    if binding.role not in roles:
        return f"the role {binding.role}, which no policy makes any more"
    if binding.function is not None and binding.function not in functions[binding.project or ""]:
        return f"a role on {binding.project}/{binding.function}, which is not there"
    return ""


_P = Risk.PERMISSIONS
RULES = (
    Rule(
        id="NODE-020", title="A token has never been used", risk=_P, level=Level.MEDIUM,
        owasp="SAS-05", cwe=1052, attack="T1078", check=_never_used,
        why="Nobody would miss it, so nobody would notice its misuse.",
    ),
    Rule(
        id="NODE-021", title="A token is no longer used", risk=_P, level=Level.MEDIUM,
        owasp="SAS-05", cwe=1052, attack="T1078", check=_long_unused,
        why="Nobody would miss it, so nobody would notice its misuse.",
    ),
    Rule(
        id="NODE-022", title="A token never expires", risk=_P, level=Level.LOW, owasp="SAS-02",
        cwe=613, attack="T1078", check=_endless,
        why="Whoever steals it can use it for good.",
    ),
    Rule(
        id="NODE-023", title="A token outlives its maker", risk=_P, level=Level.HIGH,
        owasp="SAS-05", cwe=613, attack="T1098", check=_orphaned,
        why="Whoever left may have kept it, and can still do everything that it can.",
    ),
    Rule(
        id="NODE-024", title="A person has been absent for long", risk=_P, level=Level.MEDIUM,
        owasp="SAS-05", cwe=1052, attack="T1078", check=_unseen,
        why="An account that nobody uses is one that nobody watches.",
    ),
    Rule(
        id="NODE-025", title="A person has never enrolled", risk=_P, level=Level.LOW,
        owasp="SAS-02", cwe=1052, check=_never_enrolled,
        why="Its roles wait for whoever is given the next code.",
    ),
    Rule(
        id="NODE-026", title="Only one person owns the node, or none does", risk=_P,
        level=Level.LOW, owasp="SAS-02", cwe=654, check=_one_owner,
        why="If that person cannot be reached, nobody can revoke, approve or fix anything.",
    ),
    Rule(
        id="NODE-027", title="A builder's key outlives its owner", risk=Risk.DEPENDENCIES,
        level=Level.MEDIUM, owasp="SAS-09", cwe=613, attack="T1195.002", check=_stray_keys,
        why="A project's rule that names it still counts what it signs.",
    ),
    Rule(
        id="NODE-028", title="A role is unused", risk=_P, level=Level.LOW, owasp="SAS-05",
        cwe=1164, check=_unused_roles,
        why="Nobody reviews rights that nobody has, until somebody is given them.",
    ),
    Rule(
        id="NODE-029", title="A role leads to nothing", risk=_P, level=Level.LOW, owasp="SAS-05",
        cwe=672, check=_stray_bindings,
        why="Whoever makes the role or function again gives rights to somebody by accident.",
    ),
    Rule(
        id="NODE-030", title="A pipeline no longer signs in", risk=_P, level=Level.MEDIUM,
        owasp="SAS-05", cwe=1052, attack="T1199", check=_unseen_workloads,
        why="Whoever takes over its repository gets in, and nobody expects it.",
    ),
)  # fmt: skip
