"""Random policies over the schema, and random requests, for comparing with Cedar itself."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from random import Random

from casemate.model.account import PolicyFile
from casemate.model.principal import (
    ANONYMOUS,
    NODE,
    Action,
    Principal,
    PrincipalKind,
    Resource,
    ResourceKind,
    RoleBinding,
)
from casemate.policy import CompiledPolicies, PolicyError, compile_policies
from casemate.policy.actions import RULES

PROJECTS, NAMES = ("shop", "shop", "any0", "p"), ("cart", "cart", "tmp-a", "any0", "p")
IDS, ROLES = ("ada", "any0"), ("a", "b")
HOSTS = ("api.example.com:443", "any0:443")
ACTIONS = (
    *("function:invoke", "function:deploy", "bucket:read", "bucket:drop"),
    *("egress:connect", "node:read", "token:write"),
)
GROUPS = ("data", "read-data", "capability", "contain")
_NAMED = ("Bucket", "Function", "Host", "Table")


def _literal(random: Random, kind: str) -> str:
    ids = {
        "User": random.choice(IDS), "Token": random.choice(IDS), "Playbook": random.choice(IDS),
        "Trigger": f"{random.choice(PROJECTS)}/cart/q", "Anonymous": "public", "Node": "node",
        "Project": random.choice(PROJECTS), "Role": random.choice(ROLES),
        "Host": f"{random.choice(PROJECTS)}/{random.choice(HOSTS)}",
    }  # fmt: skip
    name = ids.get(kind) or f"{random.choice(PROJECTS)}/{random.choice(NAMES)}"
    return f'Casemate::{kind}::"{name}"'


def _text(random: Random, principal: str, resource: str) -> str:
    found = ["resource.project", "resource.name", f'"{random.choice(NAMES)}"']
    if resource == "Node":
        found = [f'"{random.choice(NAMES)}"']
    if principal in ("Function", "Trigger"):
        found.append("principal.project")
    if principal == "Function":
        found.append("principal.name")
    if principal == "Trigger":
        found.append("principal.function")
    return random.choice(found)


def _atom(random: Random, principal: str, resource: str) -> str:
    texts = (_text(random, principal, resource), _text(random, principal, resource))
    some = [
        f"{texts[0]} == {texts[1]}",
        f"{texts[0]} != {texts[1]}",
        f'{texts[0]} like "{random.choice(("tmp-*", "*a*", "p*", "*-a", "a*0", "*:443"))}"',
        f'[{texts[0]}, "cart"].contains({texts[1]})',
        f'[{texts[0]}].containsAny([{texts[1]}, "p"])',
        "context.granted",
        f"resource in {_literal(random, 'Project')}",
        f"resource == {_literal(random, resource)}",
        f"principal == {_literal(random, principal)}",
        f'action in Casemate::Action::"{random.choice(GROUPS)}"',
        f'action == Casemate::Action::"{random.choice(ACTIONS)}"',
        "resource has project",
        f"{random.randint(1, 3)} < {random.randint(1, 3)}",
        'resource in Casemate::Node::"node"',
        f"resource is Casemate::{resource} in {_literal(random, 'Project')}",
    ]
    if principal in ("User", "Token"):
        some += [f"principal in {_literal(random, 'Role')}"] * 4
        some.append(f"principal in [{_literal(random, 'Role')}, {_literal(random, 'Role')}]")
    if resource == "Function":
        some += ["resource.public", "resource.internal", "resource.public == context.granted"]
    if principal == "Function":
        some += ["principal.internal", f"principal in {_literal(random, 'Project')}"]
        some += ["principal == resource", "principal in resource", "resource in principal"]
    return random.choice(some)


def _condition(random: Random, principal: str, resource: str, depth: int = 0) -> str:
    if depth > 2 or random.random() < 0.4:
        return _atom(random, principal, resource)
    one, other = (_condition(random, principal, resource, depth + 1) for _ in range(2))
    return random.choice(
        (
            f"({one}) && ({other})",
            f"({one}) || ({other})",
            f"!({one})",
            f"(if {one} then {other} else {_atom(random, principal, resource)})",
        )
    )


def policy_text(random: Random) -> str:
    """One policy that may or may not be valid."""
    principal = random.choice(("User", "User", "Token", "Function", "Trigger", "Playbook"))
    resource = random.choice((*_NAMED, *_NAMED, "Project", "Node"))
    effect = random.choice(("permit", "permit", "forbid"))
    who = f"principal is Casemate::{principal}"
    if principal in ("User", "Token") and random.random() < 0.6:
        who = random.choice(
            (f"principal in {_literal(random, 'Role')}", f"{who} in {_literal(random, 'Role')}")
        )
    elif random.random() < 0.2:
        who = f"principal == {_literal(random, principal)}"
    elif effect == "forbid" and random.random() < 0.2:
        who = "principal"
    names = random.sample((*ACTIONS, *GROUPS), random.randint(1, 3))
    what = random.choice(
        ("action", "action in [" + ", ".join(f'Casemate::Action::"{n}"' for n in names) + "]")
    )
    where = random.choice(
        (
            f"resource is Casemate::{resource}",
            f"resource is Casemate::{resource}",
            f"resource is Casemate::{resource} in {_literal(random, 'Project')}",
            f"resource == {_literal(random, resource)}",
            "resource",
        )
    )
    text = f"{effect} ({who}, {what}, {where})"
    for _ in range(random.choice((0, 1, 1, 2))):
        kind = random.choice(("when", "unless"))
        text += f" {kind} {{ {_condition(random, principal, resource)} }}"
    return text + ";"


def compiled(texts: list[str]) -> CompiledPolicies:
    """Policies of these texts, without the checks that need several."""
    return _compiled("\n".join(texts))


@lru_cache(maxsize=16)
def _compiled(text: str) -> CompiledPolicies:
    file = PolicyFile(name="custom", text=text, changed_at=1.0, changed_by="user:ada")
    return compile_policies([file] if text else [])


def valid_policy(random: Random) -> str:
    """One policy that is valid."""
    while True:
        text = policy_text(random)
        try:
            compiled([text])
        except PolicyError:
            continue
        return text


def _principal(random: Random) -> Principal:
    kind = random.choice([*PrincipalKind, *(PrincipalKind.USER,) * 6, PrincipalKind.FUNCTION])
    if kind is PrincipalKind.ANONYMOUS:
        return ANONYMOUS
    if kind is PrincipalKind.FUNCTION:
        return Principal(kind=kind, id=f"{random.choice(PROJECTS)}/{random.choice(NAMES)}")
    if kind is PrincipalKind.TRIGGER:
        name = f"{random.choice(PROJECTS)}/{random.choice(NAMES)}/{random.choice(('q', 'x'))}"
        return Principal(kind=kind, id=name)
    roles = [r for r in (*ROLES, "developer", "owner") if random.random() < 0.35]
    if kind is PrincipalKind.PLAYBOOK:
        roles = []
    bindings = tuple(RoleBinding(role=role) for role in roles)
    return Principal(kind=kind, id=random.choice((*IDS, "eve")), bindings=bindings)


def _resource(random: Random, action: Action) -> Resource:
    kind = random.choice(RULES[action].resources)
    if kind is ResourceKind.NODE:
        return NODE
    project = random.choice(PROJECTS)
    if kind is ResourceKind.PROJECT:
        return Resource(kind=kind, project=project)
    function = kind is ResourceKind.FUNCTION
    return Resource(
        kind=kind,
        project=project,
        name=random.choice(HOSTS if kind is ResourceKind.HOST else NAMES),
        internal=function and random.random() < 0.3,
        public=function and random.random() < 0.3,
    )


Request = tuple[Principal, Action, Resource, bool]


def requests(random: Random, count: int) -> Iterator[Request]:
    """Requests that can be asked, most of them for what the policies speak of."""
    for _ in range(count):
        action = (
            Action(random.choice(ACTIONS)) if random.random() < 0.9 else random.choice(list(RULES))
        )
        yield _principal(random), action, _resource(random, action), random.random() < 0.5
