"""Which rows are proved, and how they are read: by the statements that the operations ask."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Final

from casemate.model.account import Token, User
from casemate.sqlite import engine
from casemate.store.postgresql.proofs.register import Item
from casemate.store.sqlite import accounts, attestations, deployments, policies

Row = Sequence[Any]

TABLES: Final = frozenset(
    {
        *("user", "user_roles", "token", "policy_file", "node_value", "version"),
        *("alias_state", "alias_target", "builder_key", "signing_rule"),
    }
)
"""Tables whose rows are proved, but for the columns below and former states of aliases."""
UNPROVED_COLUMNS: Final = frozenset(
    {
        ("user", "totp_last"),
        ("user", "made_with"),
        ("token", "last_used_at"),
        ("token", "sequence"),
    }
)
_USER: Final = [
    place
    for place, name in enumerate(User.__struct_fields__)
    if ("user", name) not in UNPROVED_COLUMNS
]
_TOKEN: Final = {name: place for place, name in enumerate(Token.__struct_fields__)}
_LATER: Final = ("revoked_at", "last_used_at")
_VALUES: Final = "SELECT name, value FROM node_value"
_ALIASES: Final = """
    SELECT s.id, s.project, s.function, s.name, s.changed_at, s.trial, t.version, t.weight
    FROM alias_state AS s LEFT JOIN alias_target AS t ON t.state = s.id
    WHERE s.id IN (SELECT max(id) FROM alias_state GROUP BY project, function, name)
    ORDER BY s.id, t.position
"""
_RULE: Final = 3
"""Columns of a project's rule, before those of its signers."""
_STATE: Final = 6
"""Columns of a state, before those of a version."""


def user_item(row: Row) -> Item:
    """Return what is proved of a user."""
    return Item("user", row[0], "", [row[place] for place in _USER])


def roles_item(row: Row) -> Item:
    """Return what is proved of a user's roles."""
    return Item("roles", row[0], "", row)


def token_items(row: Row) -> Iterator[Item]:
    """Give what is proved of a token: what it is, and that it was revoked."""
    values = [row[place] for name, place in _TOKEN.items() if name not in _LATER]
    identity, owner = row[_TOKEN["id"]], row[_TOKEN["user"]] or ""
    yield Item("token", identity, owner, values)
    if row[_TOKEN["revoked_at"]] is not None:
        yield revoked_item(identity, row[_TOKEN["revoked_at"]])


def revoked_item(identity: str, at: float) -> Item:
    """Return that a token was revoked."""
    return Item("revoked", identity, "", [at])


def policy_item(row: Row) -> Item:
    """Return what is proved of a policy file."""
    return Item("policy", row[0], "", row)


def value_item(name: str, value: bytes) -> Item:
    """Return a value of the node."""
    return Item("value", name, "", [value])


def version_item(row: Row) -> Item:
    """Return what is proved of a version: all of it."""
    project, function, number = row[:3]
    return Item("version", f"{project}/{function}/{number}", f"{project}/{function}", row)


def alias_item(state: Row, targets: Iterable[Row]) -> Item:
    """Return where an alias leads: the newest of its states, and the versions with their shares."""
    project, function, name, changed_at, trial = state
    parts = [part for target in targets for part in target]
    values = [changed_at, trial, *parts]
    return Item("alias", f"{project}/{function}/{name}", f"{project}/{function}", values)


def key_item(row: Row) -> Item:
    """Return what is proved of a builder's key: all of it, with whose it is."""
    identity, principal = row[:2]
    return Item("key", f"{identity} {principal}", "", row)


def rule_item(row: Row) -> Item:
    """Return what is proved of a project's rule: one without signers as before there were any."""
    without = tuple(row[_RULE:]) == ("[]", "")
    return Item("rule", row[0], "", row[:_RULE] if without else row)


def _one(item: Callable[[Row], Item]) -> Callable[[Row], Iterator[Item]]:
    def items(row: Row) -> Iterator[Item]:
        yield item(row)

    return items


WHOLE: Final[Mapping[str, tuple[frozenset[str], Callable[[Row], Iterator[Item]]]]] = {
    accounts.SELECT_USERS: (frozenset({"user"}), _one(user_item)),
    accounts.SELECT_ROLES: (frozenset({"roles"}), _one(roles_item)),
    accounts.SELECT_TOKENS: (frozenset({"token", "revoked"}), token_items),
    policies.SELECT_POLICIES: (frozenset({"policy"}), _one(policy_item)),
    deployments.SELECT_VERSIONS: (frozenset({"version"}), _one(version_item)),
    attestations.SELECT_KEYS: (frozenset({"key"}), _one(key_item)),
    attestations.SELECT_RULES: (frozenset({"rule"}), _one(rule_item)),
}
"""Statements that give all rows of some kinds, and what these prove."""


def all_items(connection: engine.Connection) -> Iterator[Item]:
    """Give every row that is proved, of one snapshot or under the lock."""
    for statement, (_, items) in WHOLE.items():
        for row in connection.execute(statement):
            yield from items(row)
    for name, value in connection.execute(_VALUES):
        yield value_item(name, value)
    for state, found in groupby(connection.execute(_ALIASES), lambda row: tuple(row[:_STATE])):
        targets = [row[_STATE:] for row in found]
        yield alias_item(state[1:], [] if targets[0][0] is None else targets)
