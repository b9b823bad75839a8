"""What two versions of a function differ in by their grants, and who must approve of it.

Pure: nothing is looked up and nothing is recorded here. Matching a use to a grant is in
`casemate.model.granted`, below everything that asks for it.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from casemate.admission.grant_uses import learned, suggest
from casemate.model.errors import ConflictError
from casemate.model.function import FunctionSpec, event_grants
from casemate.model.grant import Grant, GrantKind
from casemate.model.granted import CompiledGrants

_NO_HOST = "-"
"""A label that no host has: stands for any name below a wildcard that nothing else names."""


_MAX_LINES, _MAX_LINE = 20, 300
"""What an error's message tells of a difference; the difference itself has all of it."""


class WidenedGrant(msgspec.Struct, frozen=True, kw_only=True):
    """A resource of which more is granted than before."""

    before: Grant
    after: Grant


class GrantDifference(msgspec.Struct, frozen=True, kw_only=True):
    """What differs from one version's grants to another's."""

    added: tuple[Grant, ...] = ()
    """Grants of resources that were not named before."""
    removed: tuple[Grant, ...] = ()
    """Grants of resources that are not named any more."""
    widened: tuple[WidenedGrant, ...] = ()
    """Grants that allow more than what was granted of the same before."""
    widening: tuple[Grant, ...] = ()
    """Those of `added` and `widened` (after) that allow something that was not: what needs to be
    approved. Less than `added` where a wildcard had allowed a host already."""

    @property
    def widens(self) -> bool:
        """Tell whether anything is allowed that was not."""
        return bool(self.widening)

    def lines(self) -> list[str]:
        """Return what would be allowed and was not, a line for each grant."""
        wider = [widened.after for widened in self.widened]
        new = [f"+ {describe(grant)}" for grant in self.widening if grant not in wider]
        return new + [describe_widening(widened) for widened in self.widened]


_DEPLOYED = (
    "Look at the difference. If you mean it, deploy again with --approve, which needs the right "
    "grant:approve and is recorded."
)


class WideningError(ConflictError):
    """The function would be granted more than its live version has."""

    def __init__(
        self,
        function: str,
        difference: GrantDifference,
        next_step: str = _DEPLOYED,
        *,
        first: bool = False,
    ) -> None:
        """Keep the `difference`; the message tells of it as much as fits a record.

        `first`: no version is live that it could be compared with.
        """
        self.difference = difference
        lines = [line[:_MAX_LINE] for line in difference.lines()]
        left_out = f"; and {len(lines) - _MAX_LINES} more" if len(lines) > _MAX_LINES else ""
        what = "more than its live version is" if not first else "this by its first version"
        super().__init__(
            f"{function} would be granted {what}: {'; '.join(lines[:_MAX_LINES])}{left_out}.",
            next_step=next_step,
        )


def difference(before: Iterable[Grant], after: Iterable[Grant]) -> GrantDifference:
    """Return what differs. A use is what counts: another reason for an exception is none."""
    old, new = tuple(before), tuple(after)
    old_texts, new_texts = {g.text for g in old}, {g.text for g in new}
    widened = [
        *_wider_resources(old, [g for g in new if g.kind is not GrantKind.EGRESS]),
        *_wider_egress(old, new),
    ]
    wider = {after.text: after for _, after in widened}
    return GrantDifference(
        added=tuple(g for g in new if g.text not in old_texts),
        removed=tuple(g for g in old if g.text not in new_texts),
        widened=tuple(
            WidenedGrant(before=was, after=now)
            for was, now in widened
            if was is not None and now.text in old_texts
        ),
        widening=tuple(wider.values()),
    )


def spec_difference(live: FunctionSpec | None, new: FunctionSpec) -> GrantDifference:
    """Return what differs from one version to another, in all that lets it reach or see anything.

    That is its grants, what its triggers let it see and what its destinations are sent. `live` is
    None for a function's first deploy, which widens from nothing.
    """
    granted = () if live is None else live.grants
    by_grants = difference(granted, new.grants)
    old, now = () if live is None else event_grants(live), event_grants(new)
    before = CompiledGrants((*granted, *old))
    wider = tuple(grant for grant in now if _is_wider(grant, before))
    names = {grant.text: grant for grant in old}
    return GrantDifference(
        added=(*by_grants.added, *(g for g in now if g.text not in names)),
        removed=(*by_grants.removed, *(g for g in old if all(g.text != n.text for n in now))),
        widened=(
            *by_grants.widened,
            *(WidenedGrant(before=names[g.text], after=g) for g in wider if g.text in names),
        ),
        widening=(*by_grants.widening, *wider),
    )


def with_forgotten(found: GrantDifference, forgets: tuple[Grant, ...]) -> GrantDifference:
    """Return a difference with what a deploy would have data forget, which is approved alike."""
    if not forgets:
        return found
    return msgspec.structs.replace(
        found, added=(*found.added, *forgets), widening=(*found.widening, *forgets)
    )


def _is_wider(grant: Grant, before: CompiledGrants) -> bool:
    """Tell whether a trigger or destination reaches what nothing reached before."""
    for action in grant.actions:
        for prefix in grant.prefixes or ("",):
            found = before.find(grant.kind, grant.name, action, prefix)
            if found is None or (grant.private and not found[0].private):
                return True
    return False


def require_approval(
    live: FunctionSpec | None,
    new: FunctionSpec,
    approve: bool,
    forgets: tuple[Grant, ...] = (),
) -> GrantDifference:
    """Return the difference of a deploy; raise WideningError if it needs an approval it lacks.

    `live` is None for a function's first deploy, which widens from nothing. `forgets` is what it
    would have the project's data forget (`casemate.admission.forgetting`).
    """
    found = with_forgotten(spec_difference(live, new), forgets)
    if found.widens and approve is not True:
        raise WideningError(new.name, found, first=live is None)
    return found


def describe(grant: Grant) -> str:
    """Return a grant on one line: `bucket uploads: read, write below "in/"`."""
    text = f"{grant.text}: {', '.join(grant.actions)}"
    if grant.prefixes:
        text += f" below {_quoted(grant.prefixes)}"
    if grant.forward is not None:
        text += f" by local port {grant.forward}"
    if grant.private:
        text += ", private addresses too"
    if grant.exception:
        text += f' (exception: "{grant.exception}")'
    return text


def describe_widening(widened: WidenedGrant) -> str:
    """Return what a grant allows beyond the one before: `~ bucket uploads: also write`."""
    was, now = widened.before, widened.after
    parts = []
    actions = [action for action in now.actions if action not in was.actions]
    if actions:
        parts.append(f"also {', '.join(actions)}")
    if was.prefixes and not now.prefixes:
        parts.append("every key")
    more = [p for p in now.prefixes if was.prefixes and not p.startswith(was.prefixes)]
    if more:
        parts.append(f"also below {_quoted(more)}")
    if now.forward is not None and was.forward is None:
        parts.append(f"also plain TCP by local port {now.forward}")
    if now.private and not was.private:
        parts.append(f'also private addresses (exception: "{now.exception}")')
    if was.name != now.name:
        parts.append(f"in place of {was.name}")
    return f"~ {now.text}: {'; '.join(parts)}"


def _quoted(texts: Iterable[str]) -> str:
    return ", ".join(f'"{text}"' for text in texts)


Widening = tuple[Grant | None, Grant]
"""The grant that decided before, None if nothing allowed it, and the one that decides now."""


def _wider_resources(old: tuple[Grant, ...], new: Iterable[Grant]) -> list[Widening]:
    """Return the grants that allow an action under a prefix that was not allowed before.

    A prefix is covered only by one that it starts with: keys have endlessly many continuations,
    so no set of longer prefixes adds up to a shorter one.
    """
    compiled = CompiledGrants(old)
    by_text = {grant.text: grant for grant in old}
    return [
        (by_text.get(grant.text), grant)
        for grant in new
        if any(
            compiled.find(grant.kind, grant.name, action, prefix) is None
            for action in grant.actions
            for prefix in grant.prefixes or ("",)
        )
    ]


def _wider_egress(old: tuple[Grant, ...], new: tuple[Grant, ...]) -> list[Widening]:
    """Return the grants that allow a connection that was not allowed before.

    Every host falls to the most specific grant. One host stands for each set of hosts that all
    grants, old and new, treat alike: each name itself, and for each wildcard a name below it that
    no other grant names. Comparing these compares all.
    """
    was, now = CompiledGrants(old), CompiledGrants(new)
    names = dict.fromkeys(g.name for g in (*new, *old) if g.kind is GrantKind.EGRESS)
    wider: list[Widening] = []
    for name in names:
        host = name.replace("*", _NO_HOST, 1)
        after = now.find(GrantKind.EGRESS, host, "connect")
        if after is None:
            continue
        before = was.find(GrantKind.EGRESS, host, "connect")
        if before is None:
            wider.append((None, after[0]))
        elif _reach(after[0]) - _reach(before[0]):
            wider.append((before[0], after[0]))
    return wider


def _reach(grant: Grant) -> set[str]:
    """Return what an egress grant allows beyond a connection by the proxy to a public address.

    A forward is more than the proxy, which looks at the TLS name of what passes.
    """
    return {
        *(("private",) if grant.private else ()),
        *(("forward",) if grant.forward is not None else ()),
    }


__all__ = [
    "CompiledGrants",
    "GrantDifference",
    "WidenedGrant",
    "WideningError",
    "describe",
    "describe_widening",
    "difference",
    "learned",
    "require_approval",
    "spec_difference",
    "suggest",
]
