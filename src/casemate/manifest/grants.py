"""From the checked values of `[function.NAME.grants]` to grants, and what a table cannot say."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from casemate.manifest.grant_tables import EGRESS_GRANT, KEYS, MAX_FORWARDS, PROXY_PORT
from casemate.manifest.hosts import WILDCARD, address_of, is_private
from casemate.manifest.locator import KeyPath
from casemate.manifest.problem import ProblemCollector, quoted, suggestion
from casemate.manifest.validation import Values
from casemate.model.grant import ACTIONS, Grant, GrantKind

_EXCEPTION = 'exception = "why", 10 to 500 characters'


class PlacedGrant(NamedTuple):
    """A grant and where it stands."""

    grant: Grant
    path: KeyPath


def grants_of(values: Values, path: KeyPath, problems: ProblemCollector) -> list[PlacedGrant]:
    """Return the grants of a checked table; note what contradicts itself or is there twice.

    What was noted by the table's own check is left out.
    """
    placed = [
        PlacedGrant(grant, (*path, KEYS[kind], index))
        for kind in GrantKind
        for index, grant in _of_kind(kind, values.get(KEYS[kind]))
    ]
    for grant, place in placed:
        if grant.kind is GrantKind.EGRESS:
            check_egress(grant, place, problems)
        _check_prefixes(grant, place, problems)
    _check_repetitions(placed, problems)
    _check_forwards(placed, (*path, KEYS[GrantKind.EGRESS]), problems)
    return placed


def ordered(placed: Collection[PlacedGrant]) -> tuple[Grant, ...]:
    """Return the grants in the order that the model has them in."""
    kinds = list(GrantKind)
    return tuple(
        sorted((p.grant for p in placed), key=lambda grant: (kinds.index(grant.kind), grant.name))
    )


def check_declared(
    placed: Collection[PlacedGrant],
    declared: Mapping[GrantKind, Collection[str]],
    problems: ProblemCollector,
    *,
    key: str | None = None,
) -> None:
    """Note every grant whose kind is a key of `declared` and that names nothing of it.

    `key` is the one that names stand under, empty if none is; by default as in grants.
    """
    for grant, path in placed:
        known = declared.get(grant.kind)
        if known is None or grant.name in known:
            continue
        kind = grant.kind.value
        under = ("" if grant.kind is GrantKind.FUNCTION else "name") if key is None else key
        problems.add(
            (*path, under) if under else path,
            f"{quoted(grant.name)}, which this manifest does not declare",
            f"a {kind} of this manifest: [{kind}.{grant.name}]"
            f"{suggestion(grant.name, list(known))}",
        )


def _of_kind(kind: GrantKind, values: object) -> Iterator[tuple[int, Grant]]:
    for index, value in enumerate(values if isinstance(values, list) else ()):
        grant = _grant(kind, value)
        if grant is not None:
            yield index, grant


def _grant(kind: GrantKind, value: object) -> Grant | None:
    if isinstance(value, str):
        return Grant(kind=kind, name=value, actions=ACTIONS[kind])
    if not isinstance(value, dict) or None in value.values():
        return None
    return _egress(value) if kind is GrantKind.EGRESS else _with_actions(kind, value)


def _with_actions(kind: GrantKind, value: Values) -> Grant | None:
    name, actions = value.get("name"), value.get("actions")
    if not isinstance(name, str) or not isinstance(actions, list):
        return None
    present = tuple(action for action in ACTIONS[kind] if action in actions)
    prefixes = value.get("prefixes")
    sound = [p for p in prefixes if isinstance(p, str)] if isinstance(prefixes, list) else []
    # Prefixes that were all refused must not become none, which would mean every key.
    if not present or (prefixes is not None and not sound):
        return None
    return Grant(kind=kind, name=name, actions=present, prefixes=tuple(sorted(sound)))


def _egress(value: Values) -> Grant | None:
    host, port = value.get("host"), value.get("port", EGRESS_GRANT.default("port"))
    forward = value.get("forward")
    if not isinstance(host, str):
        return None
    return Grant(
        kind=GrantKind.EGRESS,
        name=f"{host}:{port}",
        actions=ACTIONS[GrantKind.EGRESS],
        forward=forward if isinstance(forward, int) else None,
        private=value.get("private", False) is True,
        exception=str(value.get("exception", "")),
    )


def check_egress(
    grant: Grant, path: KeyPath, problems: ProblemCollector, *, also_needed: str = ""
) -> None:
    """Note a private address or wildcard without a reason, or a reason without need.

    `also_needed` names something else that needs an exception.
    """
    host = grant.name.rpartition(":")[0]
    is_wildcard = host.startswith(WILDCARD)
    if is_private(host) and not grant.private:
        problems.add(
            (*path, "host"),
            f"{quoted(host)}, which is not on the public internet",
            f"private = true with {_EXCEPTION} beside it",
        )
    elif grant.private and address_of(host) is not None and not is_private(host):
        problems.add(
            (*path, "private"),
            f"true for {quoted(host)}, which is a public address",
            "no private for a public address",
        )
    if is_wildcard and grant.forward is not None:
        problems.add(
            (*path, "forward"),
            f"a local port for {quoted(host)}, which is many hosts",
            "forward only for one host",
        )
    needs_exception = is_wildcard or grant.private or bool(also_needed)
    if needs_exception and not grant.exception:
        what = "a wildcard" if is_wildcard else "private = true" if grant.private else also_needed
        problems.add((*path, "exception"), f"{what} without a reason", _EXCEPTION)
    if grant.exception and not needs_exception:
        problems.add(
            (*path, "exception"),
            "an exception where none is needed",
            "it only beside a wildcard or private = true",
        )


def _check_prefixes(grant: Grant, path: KeyPath, problems: ProblemCollector) -> None:
    for prefix in grant.prefixes:
        covering = next((p for p in grant.prefixes if p != prefix and prefix.startswith(p)), None)
        if covering is not None:
            problems.add(
                (*path, "prefixes"),
                f"{quoted(prefix)}, which {quoted(covering)} covers already",
                "each key covered once",
            )
        if len(prefix.encode("utf-8", "surrogatepass")) > 1024:
            problems.add((*path, "prefixes"), "more than 1024 bytes", "at most 1024 bytes")


def _check_repetitions(placed: Collection[PlacedGrant], problems: ProblemCollector) -> None:
    first: dict[str, KeyPath] = {}
    for grant, path in placed:
        earlier = first.setdefault(grant.text, path)
        if earlier is not path:
            problems.add(
                path,
                f"{quoted(grant.name)} once more, after line {problems.line(earlier)}",
                f"each {grant.kind.value} once, with all that is granted of it",
            )


def _check_forwards(
    placed: Collection[PlacedGrant], path: KeyPath, problems: ProblemCollector
) -> None:
    taken = {PROXY_PORT: "the HTTP proxy"}
    count = 0
    for grant, place in placed:
        if grant.forward is None:
            continue
        count += 1
        owner = taken.setdefault(grant.forward, grant.name)
        if owner is not grant.name:
            problems.add(
                (*place, "forward"),
                f"the port {grant.forward}, which {owner} has",
                "a port of its own in this function",
            )
    if count > MAX_FORWARDS:
        problems.add(path, f"{count} forward ports", f"at most {MAX_FORWARDS} in a function")
