"""Users, their roles and tokens, in SQL. Runs on the thread that owns the connection it is given.

A change sees all that was committed before it: there is one writer. That is what makes the checks
here, and the use of a code once only, hold against any number of requests at the same time.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from casemate.decoding import decodable
from casemate.model.account import ENDED_KEPT, Token, User, UserRoles
from casemate.model.errors import ConflictError, InvalidInputError, NotFoundError
from casemate.model.principal import RoleBinding
from casemate.operations.accounts import (
    AcceptTotpStep,
    ForgetUser,
    KeepToken,
    KeepTokenUse,
    KeepUser,
    KeepUserRoles,
    ReadTokens,
    ReadTokenUse,
    ReadUserRoles,
    ReadUsers,
    ReplaceUser,
    RequireUser,
    RevokeSessions,
    RevokeTokens,
)
from casemate.operations.performing import DirectPerformers
from casemate.sqlite import engine
from casemate.store.errors import StoreMovedError
from casemate.store.sqlite.clock import now_of, server_now_of

_SHA256 = re.compile(r"[0-9a-f]{64}")
_USER_COLUMNS = ", ".join(User.__struct_fields__)
INSERT_USER = f"INSERT INTO user ({_USER_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
SELECT_USERS = f"SELECT {_USER_COLUMNS} FROM user ORDER BY name"  # noqa: S608
# A code accepted while the caller prepared the change stays used. Without a second factor there
# is nothing to use twice, and a new one starts anew.
UPDATE_USER = """
    UPDATE user SET
        password = :password,
        totp_last = CASE WHEN totp IS NULL OR :totp IS NULL THEN :totp_last
            ELSE max(totp_last, :totp_last) END,
        totp = :totp,
        oidc_issuer = :oidc_issuer,
        oidc_subject = :oidc_subject,
        enrolment_sha256 = :enrolment_sha256,
        enrolment_expires_at = :enrolment_expires_at,
        created_at = :created_at,
        disabled_at = :disabled_at,
        made_with = :made_with
    WHERE name = :name
"""
_SELECT_PROOF = """
    SELECT password, totp, oidc_issuer, oidc_subject, created_at, disabled_at FROM user
    WHERE name = ?
"""
_TOKEN_COLUMNS = ", ".join(Token.__struct_fields__)
INSERT_TOKEN = f"INSERT INTO token ({_TOKEN_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
SELECT_TOKENS = f"SELECT {_TOKEN_COLUMNS} FROM token ORDER BY created_at, sequence"  # noqa: S608
SELECT_TOKEN = f"SELECT {_TOKEN_COLUMNS} FROM token WHERE id = ?"  # noqa: S608
_IN_FORCE = "revoked_at IS NULL AND (expires_at IS NULL OR expires_at > :now)"
_SELECT_ENDED = """
    SELECT id FROM token WHERE revoked_at < :cutoff OR expires_at < :cutoff LIMIT :batch
"""
ACCEPT_STEP = "UPDATE user SET totp_last = ? WHERE name = ? AND totp_last < ?"
DELETE_USER = "DELETE FROM user WHERE name = ?"
DELETE_ROLES = "DELETE FROM user_roles WHERE user = ?"
INSERT_ROLES = "INSERT INTO user_roles VALUES (?, ?)"
SELECT_ROLES = "SELECT user, bindings FROM user_roles ORDER BY user"
REVOKE_TOKEN = "UPDATE token SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL"  # noqa: S105
REVOKE_TOKENS_OF = "UPDATE token SET revoked_at = :now WHERE user = :user AND revoked_at IS NULL"
USE_TOKEN = (
    "UPDATE token SET last_used_at = ?2 "  # noqa: S105
    "WHERE id = ?1 AND (last_used_at IS NULL OR last_used_at < ?2)"
)
DELETE_TOKEN = "DELETE FROM token WHERE id = ?"  # noqa: S105


performs = DirectPerformers()


@performs(KeepUser)
def add_user(connection: engine.Connection, operation: KeepUser) -> User:
    """Insert a user, and return it. ConflictError if the name or the OIDC identity is taken."""
    user = operation.user
    _require_text("user", user.name)
    if connection.execute("SELECT 1 FROM user WHERE name = ?", (user.name,)).fetchone():
        raise ConflictError(
            f"There is a user {user.name!r} already.",
            next_step=f"Choose another name; `casemate users roles {user.name}` changes the roles, "
            f"and `casemate users reset {user.name}` prints a new code.",
        )
    _require_free_identity(connection, user)
    if (now := server_now_of(connection)) is not None:
        user = msgspec.structs.replace(user, created_at=max(now, operation.after))
    connection.execute(INSERT_USER, msgspec.structs.astuple(user))
    return user


@performs(ReplaceUser)
def replace_user(connection: engine.Connection, operation: ReplaceUser) -> None:
    """Replace a user, except that `totp_last` never goes back while there is a second factor.

    Raises NotFoundError if there is none of that name, ConflictError as `add_user`.
    """
    user = operation.user
    _require_free_identity(connection, user)
    changed = connection.execute(UPDATE_USER, msgspec.structs.asdict(user)).rowcount
    if not changed:
        raise _no_user(user.name)


@performs(AcceptTotpStep)
def accept_totp_step(connection: engine.Connection, operation: AcceptTotpStep) -> bool:
    """Move `totp_last` forward to `step`; False if it is not later or there is no such user."""
    step = operation.step
    changed = connection.execute(
        ACCEPT_STEP,
        (step, operation.user, step),
    ).rowcount
    return changed == 1


@performs(ForgetUser)
def remove_user(connection: engine.Connection, operation: ForgetUser) -> None:
    """Delete a user with its roles and revoke its tokens. Raises NotFoundError."""
    if not connection.execute(DELETE_USER, (operation.user,)).rowcount:
        raise _no_user(operation.user)
    revoke_tokens_of(connection, RevokeSessions(user=operation.user))


@performs(ReadUsers)
def users(connection: engine.Connection, _operation: ReadUsers) -> tuple[User, ...]:
    """Return every user, by name."""
    return tuple(User(**_named(User, row)) for row in connection.execute(SELECT_USERS))


@performs(KeepUserRoles)
def set_roles(connection: engine.Connection, operation: KeepUserRoles) -> None:
    """Replace a user's roles. Raises NotFoundError if there is no such user."""
    roles = operation.roles
    if not connection.execute("SELECT 1 FROM user WHERE name = ?", (roles.user,)).fetchone():
        raise _no_user(roles.user)
    connection.execute(DELETE_ROLES, (roles.user,))
    if roles.bindings:
        encoded = msgspec.json.encode(roles.bindings).decode()
        connection.execute(INSERT_ROLES, (roles.user, encoded))


@performs(ReadUserRoles)
def roles(connection: engine.Connection, _operation: ReadUserRoles) -> tuple[UserRoles, ...]:
    """Return the roles of every user that has any, by name."""
    rows = connection.execute(SELECT_ROLES)
    return tuple(UserRoles(user=user, bindings=_bindings(text)) for user, text in rows)


@performs(KeepToken)
def add_token(connection: engine.Connection, operation: KeepToken) -> None:
    """Insert a token.

    Raises ConflictError if its id is taken, or its name by a service token in force of the same
    maker;
    NotFoundError for the session of a user who is not there (removed meanwhile, say);
    InvalidInputError if what it holds is not a SHA-256.
    """
    token = operation.token
    if not token.id or not _SHA256.fullmatch(token.sha256):
        raise InvalidInputError(
            f"The token {token.id[:80]!r} is not valid: expected an id and a SHA-256 in hex digits."
        )
    if connection.execute("SELECT 1 FROM token WHERE id = ?", (token.id,)).fetchone():
        raise ConflictError(
            f"There is a token with the id {token.id!r} already.", next_step="Make another one."
        )
    if token.user is None:
        _require_free_name(connection, token)
    elif not connection.execute("SELECT 1 FROM user WHERE name = ?", (token.user,)).fetchone():
        raise _no_user(token.user)
    values = msgspec.structs.asdict(token)
    values["bindings"] = msgspec.json.encode(token.bindings).decode()
    connection.execute(INSERT_TOKEN, tuple(values[f] for f in Token.__struct_fields__))


@performs(ReadTokens)
def tokens(connection: engine.Connection, _operation: ReadTokens) -> tuple[Token, ...]:
    """Return every token that is kept, oldest first."""
    return tuple(map(_token, connection.execute(SELECT_TOKENS)))


@performs(RevokeTokens)
def revoke_tokens(connection: engine.Connection, operation: RevokeTokens) -> tuple[Token, ...]:
    """Mark tokens revoked now, unless they are; return them. NotFoundError if one is missing."""
    now = now_of(connection)
    connection.executemany(
        REVOKE_TOKEN,
        [(now, token_id) for token_id in operation.ids],
    )
    return tuple(_one(connection, token_id) for token_id in operation.ids)


def _one(connection: engine.Connection, token_id: str) -> Token:
    row = connection.execute(SELECT_TOKEN, (token_id,)).fetchone()
    if row is None:
        raise NotFoundError(
            f"There is no token with the id {token_id[:80]!r}.", next_step="List the tokens."
        )
    return _token(row)


@performs(RevokeSessions)
def revoke_tokens_of(connection: engine.Connection, operation: RevokeSessions) -> int:
    """Mark every token of a user revoked; return how many were in force."""
    values = {"user": operation.user, "now": now_of(connection)}
    (in_force,) = connection.execute(
        f"SELECT count(*) FROM token WHERE user = :user AND {_IN_FORCE}",  # noqa: S608
        values,
    ).fetchone()
    connection.execute(REVOKE_TOKENS_OF, values)
    return int(in_force)


@performs(KeepTokenUse)
def touch_tokens(connection: engine.Connection, operation: KeepTokenUse) -> None:
    """Note when tokens were last used; a time before the one noted is left out."""
    connection.executemany(
        USE_TOKEN,
        list(operation.used.items()),
    )


@performs(ReadTokenUse)
def token_uses(connection: engine.Connection, operation: ReadTokenUse) -> dict[str, float]:
    """Return when tokens were last used, of those used since a time."""
    rows = connection.execute(
        "SELECT id, last_used_at FROM token WHERE last_used_at >= ?", (operation.since,)
    )
    return {str(token_id): float(at) for token_id, at in rows}


@performs(RequireUser)
def require_user(connection: engine.Connection, operation: RequireUser) -> None:
    """Raise StoreMovedError unless a user is proven by what it was proven by."""
    user = operation.user
    row = connection.execute(_SELECT_PROOF, (user.name,)).fetchone()
    proof = (user.password, user.totp, user.oidc_issuer, user.oidc_subject, user.created_at)
    if row is None or tuple(row) != (*proof, user.disabled_at):
        raise StoreMovedError(
            "Another node has changed the account meanwhile.", next_step="Try again."
        )


def prune_tokens(connection: engine.Connection, *, now: float, batch: int) -> int:
    """Delete up to `batch` tokens that ended long ago; return how many."""
    values = {"cutoff": now - ENDED_KEPT, "batch": batch}
    ended = connection.execute(_SELECT_ENDED, values).fetchall()
    connection.executemany(DELETE_TOKEN, ended)
    return len(ended)


def _require_free_identity(connection: engine.Connection, user: User) -> None:
    if (user.oidc_issuer is None) != (user.oidc_subject is None):
        raise InvalidInputError(
            f"The user {user.name[:80]!r} has one of OIDC issuer and subject; "
            "expected both or none."
        )
    if user.oidc_subject is None:
        return
    other = connection.execute(
        "SELECT name FROM user WHERE oidc_issuer = ? AND oidc_subject = ? AND name <> ?",
        (user.oidc_issuer, user.oidc_subject, user.name),
    ).fetchone()
    if other:
        raise ConflictError(
            f"The OIDC identity of {user.name!r} belongs to the user {other[0]!r} already.",
            next_step="Remove that user, or change its identity first.",
        )


def _require_free_name(connection: engine.Connection, token: Token) -> None:
    """Refuse what the same maker has. Of others' it would tell, and who is first keep them out."""
    _require_text("token", token.name)
    taken = connection.execute(
        "SELECT 1 FROM token WHERE name = :name AND created_by = :by AND user IS NULL "  # noqa: S608
        f"AND {_IN_FORCE}",
        {"name": token.name, "by": token.created_by, "now": now_of(connection)},
    ).fetchone()
    if taken:
        raise ConflictError(
            f"You have a service token with the name {token.name!r} already.",
            next_step="Give the token another name, or revoke the one that has it.",
        )


def _require_text(what: str, name: str) -> None:
    if not name or len(name) > 256:
        raise InvalidInputError(
            f"The {what} name {name[:80]!r} is not valid: expected 1 to 256 characters."
        )


def _no_user(name: str) -> NotFoundError:
    return NotFoundError(f"There is no user {name[:80]!r}.", next_step="List the users.")


def _token(row: tuple[Any, ...]) -> Token:
    values = _named(Token, row)
    return Token(**{**values, "bindings": _bindings(values["bindings"])})


def _bindings(text: str) -> tuple[RoleBinding, ...]:
    return msgspec.json.decode(text, type=decodable(tuple[RoleBinding, ...]))


def _named(kind: type[msgspec.Struct], row: tuple[Any, ...]) -> dict[str, Any]:
    return dict(zip(kind.__struct_fields__, row, strict=True))
