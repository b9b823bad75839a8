"""Whether a use is granted: the one place where a use is matched to a grant.

It is asked on the path of every use, so everything that can be is worked out beforehand. A name,
key or host is compared code point by code point, as its caller has normalised it.
"""

from __future__ import annotations

from collections.abc import Iterable

from casemate.model.grant import Grant, GrantKind

Match = tuple[Grant, str]
"""The grant that allows a use, and the prefix of its `prefixes` that covers the key, or ``""``."""


class CompiledGrants:
    """The grants of one version, for looking up one use after the other. Immutable."""

    __slots__ = ("_matches", "_wildcards")

    def __init__(self, grants: Iterable[Grant]) -> None:
        """Index `grants`."""
        matches: dict[tuple[GrantKind, str, str], tuple[Match, ...]] = {}
        for grant in grants:
            pairs = tuple((grant, prefix) for prefix in grant.prefixes or ("",))
            for action in grant.actions:
                key = (grant.kind, grant.name, action)
                matches[key] = matches.get(key, ()) + pairs
        self._matches = matches
        self._wildcards = any(
            kind is GrantKind.EGRESS and name.startswith("*.") for kind, name, _ in matches
        )

    def find(self, kind: GrantKind, name: str, action: str, key: str = "") -> Match | None:
        """Return what allows a use, None if nothing does: then it is denied.

        `key` is the object's key, or the prefix that is listed. Of egress, `name` is `host:port`
        with a normalised host; the most specific grant decides: that of the very host, then the
        wildcard with the longest name. Whether an address may be private is for the caller to ask
        of the grant that is returned.
        """
        matches = self._matches.get((kind, name, action))
        if kind is GrantKind.EGRESS:
            if "*" in name:
                return None
            if matches is None and self._wildcards:
                matches = self._wildcard(name, action)
        if matches is not None:
            for match in matches:
                if key.startswith(match[1]):
                    return match
        return None

    def _wildcard(self, name: str, action: str) -> tuple[Match, ...] | None:
        label, dot, rest = name.partition(".")
        while label and dot:
            matches = self._matches.get((GrantKind.EGRESS, f"*.{rest}", action))
            if matches is not None:
                return matches
            label, dot, rest = rest.partition(".")
        return None


def learned_prefix(key: str) -> str:
    """Return the prefix to propose for a key seen while learning: its first folder, or ``""``."""
    folder, slash, _ = key.partition("/")
    return folder + slash if slash and folder else ""
