"""Calls from function to function: who calls, by when it ends, and what may still be used.

What a function hands on can only shrink: the deadline is at most its own, the ceilings of those
before it stay and one may come on top. All of it stays on the host.
"""

from __future__ import annotations

from casemate.capabilities.errors import TooMuchError
from casemate.model.errors import InvalidInputError
from casemate.model.grant import ACTIONS, Grant, GrantKind
from casemate.model.granted import CompiledGrants
from casemate.model.invocation import Outcome
from casemate.model.path import Admitted, Caller, Flow, RefusedError
from casemate.model.principal import Principal

MAX_DEPTH = 16
"""Functions in one chain: calls that go around in a circle end."""


def parse_ceiling(entries: tuple[str, ...]) -> tuple[Grant, ...]:
    """Return what `allow` of `context.invoke` permits. Raises InvalidInputError."""
    grants: dict[tuple[GrantKind, str, tuple[str, ...]], list[str]] = {}
    for entry in entries:
        kind, _, rest = entry.partition(" ")
        name, _, rest = rest.partition(" ")
        listed, _, prefix = rest.partition(" ")
        actions = tuple(listed.split(","))
        known = ACTIONS.get(GrantKind(kind)) if kind in set(GrantKind) else None
        if known is None or not name or not set(actions) <= set(known):
            raise InvalidInputError(
                f"An entry of allow is {entry[:100]!r}; expected `KIND NAME ACTION,... [PREFIX]`, "
                "such as `bucket uploads read,list thumbs/`."
            )
        grants.setdefault((GrantKind(kind), name, actions), []).append(prefix)
    return tuple(
        Grant(
            kind=kind,
            name=name,
            actions=actions,
            prefixes=() if "" in prefixes else tuple(sorted(set(prefixes))),
        )
        for (kind, name, actions), prefixes in grants.items()
    )


def caller_of(
    admitted: Admitted, principal: Principal, deadline: float, allow: tuple[str, ...] | None
) -> Caller:
    """Return as whom, and within what, an invocation calls another. TooMuchError if too deep."""
    flow = admitted.flow
    chain = (*(flow.chain if flow is not None else ()), principal.id)
    if len(chain) >= MAX_DEPTH:
        raise TooMuchError(f"The chain of calls is {len(chain)} functions long.")
    ceilings = flow.ceilings if flow is not None else ()
    if allow is not None:
        ceilings = (*ceilings, parse_ceiling(allow))
    root = flow.root if flow is not None else admitted.request.id
    ends = min(deadline, flow.deadline) if flow is not None else deadline
    return Caller(
        principal=principal, flow=Flow(root=root, chain=chain, deadline=ends, ceilings=ceilings)
    )


def require_within(admitted: Admitted, grants: tuple[Grant, ...]) -> None:
    """Refuse an invocation that could do what a ceiling forbids where nobody would ask.

    All instances of a version share its way to the network, so what it is granted there cannot be
    narrowed for one of them. RefusedError.
    """
    raw = admitted.request.raw
    flow = admitted.flow
    if flow is None:
        return
    size, most = len(raw.body), admitted.version.spec.limits.request
    if size > most:
        raise RefusedError(
            Outcome.INVALID,
            f"The event has {size} bytes, expected at most {most}.",
            status=413,
        )
    ceilings = [CompiledGrants(ceiling) for ceiling in flow.ceilings]
    for grant in grants:
        if grant.kind is GrantKind.EGRESS and not all(
            # A ceiling cannot say that private addresses are meant, so it never does.
            not grant.private and ceiling.find(grant.kind, grant.name, "connect")
            for ceiling in ceilings
        ):
            raise RefusedError(
                Outcome.DENIED,
                "The function reaches the network further than its caller allows.",
                status=403,
                principal=admitted.principal,
            )
