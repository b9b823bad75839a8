"""Which statements change rows that are proved, and what becomes of these.

What is proved is what this node has asked to be written, never what the database says is there.
A statement on such a table that is not listed here is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from casemate.model.account import User
from casemate.store.errors import StoreProofError
from casemate.store.postgresql.proofs import rows
from casemate.store.postgresql.proofs.register import Change, Item, Register
from casemate.store.sqlite import accounts, aliases, attestations, deployments, policies

Values = Any
"""A sequence, or a mapping by names."""
Event = Callable[[Register], Iterator[Change]]
"""Gives changes, each once the ones before it were made."""
_CHANGING: Final = {"INSERT": 2, "DELETE": 2, "UPDATE": 1}
"""First words of statements that change something, and how many words before the table."""


def event_of(statement: str, values: Sequence[Values]) -> Event | None:
    """Return what a statement changes, done with each of some values; None: nothing.

    Raises StoreProofError for one that changes a table of rows that are proved in a way not known.
    """
    known = _EVENTS.get(statement)
    if known is not None:
        return lambda register: known(register, values)
    words = statement.split(maxsplit=3)
    place = _CHANGING.get(words[0]) if words else None
    table = "" if place is None or place >= len(words) else words[place].strip('"')
    if table not in rows.TABLES or statement in _UNPROVED:
        return None
    raise StoreProofError(
        f"A statement changes the table {table} in a way that cannot be proved.",
        next_step="Report it: this is a fault of Casemate.",
    )


def _fresh(register: Register, item: Item) -> Change:
    if register.has(item.kind, item.name):
        raise _unproved(f"The database has no {item.kind} {item.name[:80]!r}, and nodes have it")
    return register.kept(item)


def _there(register: Register, kind: str, name: str) -> None:
    if not register.has(kind, name):
        raise _unproved(f"The database has a {kind} {name[:80]!r} that no node has written")


def _unproved(what: str) -> StoreProofError:
    return StoreProofError(
        f"{what}: it was changed by somebody else.",
        next_step="See who can write the control database: docs/howto/run-many-nodes.md",
    )


def _each(of: Callable[[Register, Values], Iterable[Change]]) -> Callable[..., Iterator[Change]]:
    def changes(register: Register, many: Sequence[Values]) -> Iterator[Change]:
        for values in many:
            yield from of(register, values)

    return changes


def _add_user(register: Register, row: Values) -> Iterable[Change]:
    return [_fresh(register, rows.user_item(row))]


def _replace_user(register: Register, named: Values) -> Iterable[Change]:
    _there(register, "user", named["name"])
    row = [named[field] for field in User.__struct_fields__]
    return [register.kept(rows.user_item(row))]


def _delete_user(register: Register, values: Values) -> Iterable[Change]:
    _there(register, "user", values[0])
    return register.dropped("user", values) + register.dropped("roles", values)


def _set_roles(register: Register, row: Values) -> Iterable[Change]:
    _there(register, "user", row[0])
    return [register.kept(rows.roles_item(row))]


def _add_token(register: Register, row: Values) -> Iterator[Change]:
    for item in rows.token_items(row):
        if item.kind == "token" and item.group:
            _there(register, "user", item.group)
        yield _fresh(register, item)


def _revoke(register: Register, values: Values) -> Iterator[Change]:
    at, identity = values
    _there(register, "token", identity)
    if not register.has("revoked", identity):
        yield register.kept(rows.revoked_item(identity, at))


def _revoke_all(register: Register, named: Values) -> Iterator[Change]:
    for identity in register.names("token", named["user"]):
        yield from _revoke(register, (named["now"], identity))


def _delete_token(register: Register, values: Values) -> Iterable[Change]:
    return register.dropped("token", values) + register.dropped("revoked", values)


def _add_version(register: Register, row: Values) -> Iterable[Change]:
    return [_fresh(register, rows.version_item(row))]


def _delete_version(register: Register, values: Values) -> Iterable[Change]:
    return register.dropped("version", [f"{values[0]}/{values[1]}/{values[2]}"])


def _group_of(kind: str) -> Callable[[Register, Values], Iterable[Change]]:
    def deleted(register: Register, values: Values) -> Iterable[Change]:
        return register.dropped(kind, register.names(kind, f"{values[0]}/{values[1]}"))

    return deleted


def alias_event(state: Sequence[Any], targets: Sequence[Values]) -> Event:
    """Return that an alias leads elsewhere; `targets` are whole rows of its versions."""

    def changes(register: Register) -> Iterator[Change]:
        project, function = state[:2]
        for _, _, *where, number, _ in targets:
            if where != [project, function]:
                raise _unproved("A state of an alias is another's")
            _there(register, "version", f"{project}/{function}/{number}")
        yield register.kept(rows.alias_item(state, [row[-2:] for row in targets]))

    return changes


_ByName = Callable[[Register, Values], Iterable[Change]]


def _kept(item: Callable[[Values], Item]) -> _ByName:
    return lambda register, row: [register.kept(item(row))]


def _dropped(kind: str) -> _ByName:
    return lambda register, values: register.dropped(kind, values)


_EVENTS: Final[Mapping[str, Callable[..., Iterator[Change]]]] = {
    accounts.INSERT_USER: _each(_add_user),
    accounts.UPDATE_USER: _each(_replace_user),
    accounts.DELETE_USER: _each(_delete_user),
    accounts.DELETE_ROLES: _each(_dropped("roles")),
    accounts.INSERT_ROLES: _each(_set_roles),
    accounts.INSERT_TOKEN: _each(_add_token),
    accounts.REVOKE_TOKEN: _each(_revoke),
    accounts.REVOKE_TOKENS_OF: _each(_revoke_all),
    accounts.DELETE_TOKEN: _each(_delete_token),
    policies.PUT_POLICY: _each(_kept(rows.policy_item)),
    policies.DELETE_POLICY: _each(_dropped("policy")),
    policies.PUT_VALUE: _each(_kept(lambda row: rows.value_item(*row))),
    deployments.INSERT_VERSION: _each(_add_version),
    deployments.DELETE_VERSIONS: _each(_group_of("version")),
    deployments.DELETE_VERSION: _each(_delete_version),
    deployments.DELETE_ALIASES: _each(_group_of("alias")),
    attestations.PUT_KEY: _each(_kept(rows.key_item)),
    attestations.DELETE_RULE: _each(_dropped("rule")),
    attestations.INSERT_RULE: _each(_kept(rows.rule_item)),
}
_UNPROVED: Final = frozenset(
    {
        *(accounts.ACCEPT_STEP, accounts.USE_TOKEN),  # columns that are not proved
        deployments.DELETE_STATE,  # of a former state, never of the present one
        *(aliases.INSERT_STATE, aliases.INSERT_TARGET),  # together one event: `alias_event`
    }
)
