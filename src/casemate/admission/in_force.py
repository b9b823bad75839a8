"""What decides about a version that is not live: what is in force now, not what was then.

An owner that closed a function, or took a grant from it, is obeyed by every version of it. A
version that is not live has the smaller of its own rights and those of the newest live one; where
nothing is live there is nothing in force, and it has none.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from casemate.model.deployment import Version
from casemate.model.function import FunctionSpec
from casemate.model.grant import Grant, GrantKind
from casemate.model.granted import CompiledGrants
from casemate.model.restriction import EVERYTHING

_NO_HOST = "-"
"""A label that no host has: stands for any name below a wildcard that nothing else names."""


def is_public(live: Iterable[Version]) -> bool:
    """Tell whether callers without a token may call what is live: all versions must say so.

    While two versions share the calls, the one that closes the function counts.
    """
    versions = tuple(live)
    return bool(versions) and all(version.spec.public for version in versions)


def is_direct(live: Iterable[Version]) -> bool:
    """Tell whether what is live, if it is public, is so past its routes: all versions must be."""
    return all(version.spec.direct for version in live)


def is_internal(live: Iterable[Version]) -> bool:
    """Tell whether only functions and triggers may call what is live: one version is enough."""
    return any(version.spec.internal for version in live)


def narrowed(version: Version, live: Iterable[Version]) -> Version:
    """Return a version that is not live with no more rights than the newest live one has."""
    newest = max(live, key=lambda one: one.number, default=None)
    spec = version.spec
    if newest is None:
        narrow = _restricted(spec, None, ())
    else:
        narrow = _restricted(spec, newest.spec, intersection(spec.grants, newest.spec.grants))
    return msgspec.structs.replace(version, spec=narrow)


def _restricted(
    spec: FunctionSpec, now: FunctionSpec | None, grants: tuple[Grant, ...]
) -> FunctionSpec:
    delivery = msgspec.structs.replace(
        spec.delivery,
        on_success=() if now is None else now.delivery.on_success,
        on_failure=() if now is None else now.delivery.on_failure,
    )
    return msgspec.structs.replace(
        spec,
        public=False,
        internal=spec.internal or (now is not None and now.internal),
        grants=grants,
        delivery=delivery,
    )


def intersection(then: tuple[Grant, ...], now: tuple[Grant, ...]) -> tuple[Grant, ...]:
    """Return the grants that allow what both allow, and nothing else."""
    by_text = {grant.text: grant for grant in now}
    found = []
    for grant in then:
        other = by_text.get(grant.text)
        if grant.kind is GrantKind.EGRESS or other is None:
            continue
        actions = tuple(action for action in grant.actions if action in other.actions)
        prefixes = _common_prefixes(grant.prefixes, other.prefixes)
        if actions and prefixes is not None:
            found.append(msgspec.structs.replace(grant, actions=actions, prefixes=prefixes))
    return (*found, *_common_egress(then, now))


def _common_prefixes(one: tuple[str, ...], two: tuple[str, ...]) -> tuple[str, ...] | None:
    """Return the prefixes that both cover, None if there are none; no prefix at all covers all."""
    if not one or not two:
        return one or two
    both = [p for p in one if p.startswith(two)] + [q for q in two if q.startswith(one)]
    return tuple(dict.fromkeys(both)) or None


def withdrawn_hosts(version: Version, now: Version) -> tuple[str, ...]:
    """Return the hosts that a version was granted and, as it is in force now, is not any more.

    A host of which it may still reach another port, or a name below, is none of them: connections
    are ended by their host.
    """
    left = _hosts(now)
    if not left and _hosts(version):
        return (EVERYTHING,)
    return tuple(
        host
        for host in _hosts(version)
        if not any(one == host or (host[0] == "*" and one.endswith(host[1:])) for one in left)
    )


def _hosts(version: Version) -> tuple[str, ...]:
    grants = version.spec.grants
    names = (each.name for each in grants if each.kind is GrantKind.EGRESS)
    return tuple(dict.fromkeys(name.rpartition(":")[0].strip("[]") for name in names))


def _common_egress(then: tuple[Grant, ...], now: tuple[Grant, ...]) -> list[Grant]:
    """Return the hosts that both reach, each by the more specific name, in the same way."""
    was, is_now = CompiledGrants(then), CompiledGrants(now)
    found = []
    for name in dict.fromkeys(g.name for g in (*then, *now) if g.kind is GrantKind.EGRESS):
        host = name.replace("*", _NO_HOST, 1)
        one = was.find(GrantKind.EGRESS, host, "connect")
        two = is_now.find(GrantKind.EGRESS, host, "connect")
        if one is None or two is None or one[0].forward != two[0].forward:
            continue
        private = one[0].private and two[0].private
        found.append(
            msgspec.structs.replace(
                one[0], name=name, private=private, exception=one[0].exception if private else ""
            )
        )
    return found
