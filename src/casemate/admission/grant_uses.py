"""From recorded uses to grants: tighter ones, and the first ones of a function that has none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from casemate.model.denial import GrantUse
from casemate.model.grant import ACTIONS, Grant, GrantKind


def suggest(grants: Iterable[Grant], uses: Sequence[GrantUse]) -> tuple[Grant, ...]:
    """Return the smallest grants, each part of one of `grants`, that cover the recorded uses.

    A grant is a set of actions below a set of prefixes, so reading below one and writing below
    another needs both below both. A wildcard stays one: which hosts it was used for is not in
    the record of uses.
    """
    found = []
    for grant in grants:
        own = [use for use in uses if use.grant == grant.text and use.action in grant.actions]
        if own:
            found.append(_tightened(grant, own))
    return tuple(found)


def learned(uses: Sequence[GrantUse], grants: Iterable[Grant] = ()) -> tuple[Grant, ...]:
    """Return the grants that cover `uses`, whether these were granted or only let through.

    `grants` are those of the manifest, which know what a record of uses does not: forwards, and
    why an exception is made. A private address that is not among them comes without the
    exception that a person must give a reason for: a manifest refuses it as it is.
    """
    known = {grant.text: grant for grant in grants}
    actions: dict[str, set[str]] = {}
    prefixes: dict[str, set[str]] = {}
    for use in uses:
        actions.setdefault(use.grant, set()).add(use.action)
        prefixes.setdefault(use.grant, set()).add(use.prefix)
    found = []
    for text, used in actions.items():
        kind_text, _, name = text.partition(" ")
        if kind_text not in set(GrantKind) or not name:
            continue
        kind = GrantKind(kind_text)
        ordered = tuple(action for action in ACTIONS[kind] if action in used)
        if not ordered:
            continue
        if kind is GrantKind.EGRESS and text in known:
            found.append(known[text])
            continue
        is_bucket = kind is GrantKind.BUCKET
        found.append(
            Grant(
                kind=kind,
                name=name,
                actions=ordered,
                prefixes=_outermost(prefixes[text]) if is_bucket else (),
            )
        )
    kinds = list(GrantKind)
    return tuple(sorted(found, key=lambda grant: (kinds.index(grant.kind), grant.name)))


def _tightened(grant: Grant, uses: Sequence[GrantUse]) -> Grant:
    used = {use.action for use in uses}
    prefixes = grant.prefixes
    if grant.kind is GrantKind.BUCKET:
        seen = {use.prefix for use in uses}
        if not grant.prefixes:
            prefixes = _outermost(seen)
        elif "" not in seen:
            # A use of an earlier version may have had a shorter prefix than there is now.
            prefixes = _outermost(p for p in seen if p.startswith(grant.prefixes))
            prefixes = prefixes or grant.prefixes
    return Grant(
        kind=grant.kind,
        name=grant.name,
        actions=tuple(action for action in grant.actions if action in used),
        prefixes=prefixes,
        forward=grant.forward,
        private=grant.private,
        exception=grant.exception,
    )


def _outermost(prefixes: Iterable[str]) -> tuple[str, ...]:
    """Return the prefixes that no other covers; nothing, which means every key, if "" is one."""
    found: list[str] = []
    for prefix in sorted(prefixes):
        if not prefix:
            return ()
        if not found or not prefix.startswith(tuple(found)):
            found.append(prefix)
    return tuple(found)
