"""Service tokens: made by somebody who has what they can do, expiring, revocable at once."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from casemate.accounts.bindings import (
    binding_text,
    is_node_owner,
    require_covered,
    require_known_roles,
)
from casemate.accounts.directory import Changes, Directory
from casemate.accounts.errors import EscalationError
from casemate.accounts.issuing import Issued, issue
from casemate.accounts.people import require_account_name
from casemate.model.account import MAX_DAYS, Token, User
from casemate.model.errors import ConflictError, InvalidInputError
from casemate.model.principal import OWNER, Principal, PrincipalKind, RoleBinding
from casemate.operations.accounts import KeepToken, ReplaceUser, RevokeTokens
from casemate.operations.node import KeepNodeValue

DAY = 86400.0
DEFAULT_DAYS = 90
RECOVERY_SECONDS = DAY
MAX_MAKERS = 8
"""Of tokens that were made with each other: who answers for the last has to be found."""
MAX_TOKENS = 1000
"""In force that one account has made, with those that these have made: each is in memory, on all
nodes, and makes a fact."""
_log = logging.getLogger("casemate.accounts")


class Revoked(NamedTuple):
    """What ended with a token."""

    token: Token
    line: tuple[Token, ...]
    """Those that were made with it, and with these, and ended now."""
    codes: tuple[str, ...]
    """People whose codes to enrol with ended: they were added or reset with one of these."""
    people: tuple[str, ...]
    """People who were added or reset so, and can log in still."""


def _without_code(user: User) -> User:
    return msgspec.structs.replace(user, enrolment_sha256=None, enrolment_expires_at=None)


class ServiceTokens:
    """Makes and revokes service tokens."""

    def __init__(self, directory: Directory, roles: Callable[[], frozenset[str]]) -> None:
        """Act on the directory; `roles` gives the roles that exist."""
        self._directory = directory
        self._roles = roles

    async def add(
        self,
        name: str,
        bindings: tuple[RoleBinding, ...],
        expires_at: float | None,
        *,
        by: Principal,
        made_with: str | None = None,
    ) -> Issued:
        """Make a token that can do no more than `by`, and return it with its text.

        `made_with` is the id of the token or session that `by` showed: who revokes that revokes
        this one.

        `expires_at` is Unix time, at most a year ahead; None, no expiry, is for owners of the
        node. A token made by a token does not outlive it. Raises ConflictError if one of
        `by` in force has the name, or MAX_TOKENS were made by the same account, EscalationError if
        `by` has less.
        """
        require_account_name(name, "token")
        if not bindings:
            raise InvalidInputError(
                "The token has no role, so it could do nothing.",
                next_step="Name at least one: `--role ROLE[@PROJECT[/FUNCTION]]`.",
            )
        require_known_roles(bindings, self._roles())

        def decision() -> tuple[Changes, Issued]:
            self._directory.require_current(by, made_with)
            require_covered(by, bindings, f"make the token {name}")
            self._require_expiry(expires_at, by)
            self._require_known_maker(by)
            self._require_few(by)
            issued = issue(
                name=name,
                created_by=by.text,
                made_with=made_with,
                created_at=self._directory.clock(),
                expires_at=expires_at,
                bindings=bindings,
            )
            return (KeepToken(token=issued.token),), issued

        issued = await self._directory.decide(decision)
        _log.warning(
            "token %s (%s) made by %s: %s, %s",
            issued.token.id,
            name,
            by.text,
            " ".join(map(binding_text, bindings)),
            "no expiry" if expires_at is None else f"expires {expires_at:.0f}",
        )
        return issued

    def _require_expiry(self, expires_at: float | None, by: Principal) -> None:
        now = self._directory.clock()
        if expires_at is None:
            if not is_node_owner(by.bindings):
                raise EscalationError(
                    f"{by.text} cannot make a token without expiry: that is for owners.",
                    next_step=f"Give it at most {MAX_DAYS} days.",
                )
        elif not now < expires_at <= now + MAX_DAYS * DAY + 60:
            raise InvalidInputError(
                f"The token would expire in {(expires_at - now) / DAY:.1f} days, "
                f"expected 0 to {MAX_DAYS}."
            )
        outlives = by.kind is PrincipalKind.TOKEN and by.expires_at is not None
        if outlives and (expires_at is None or expires_at > (by.expires_at or 0.0)):
            raise EscalationError(
                f"The token would outlive {by.text}, which makes it.",
                next_step="Log in as a person, or give it fewer days.",
            )

    def _require_known_maker(self, by: Principal) -> None:
        """Raise EscalationError at the end of a long line: whose budgets it is under is looked up
        with each call, and that has a bound."""
        if len(self._directory.makers_of(by.text)) >= MAX_MAKERS:
            raise EscalationError(
                f"{by.text} cannot make a token: it was made by a token, which was made by a "
                f"token, {MAX_MAKERS} times.",
                next_step="Log in as a person.",
            )

    def _require_few(self, by: Principal) -> None:
        """Raise ConflictError if whoever stands at the beginning of the line has enough tokens."""
        made = self._directory.made_in_line_of(by.text)
        if made >= MAX_TOKENS:
            raise ConflictError(
                f"{made} tokens are in force that {by.text}, or who made it, has made; "
                f"expected fewer than {MAX_TOKENS}.",
                next_step="Revoke those that nobody uses: `casemate tokens ls`, `tokens revoke`.",
            )

    async def revoke(self, token_id: str, *, by: Principal) -> Revoked:
        """Revoke a token or session at once with its line: all that was made with it.

        Whoever stole it may have made others with it, and added people: codes to enrol with that
        nobody has used end, too. LastOwnerError if it would be the last way in. A token that was
        revoked already gives its line another look.
        """
        directory = self._directory

        def decision() -> tuple[Changes, tuple[tuple[str, ...], set[str], tuple[User, ...]]]:
            directory.token(token_id)
            ids = directory.line_of(token_id)
            line = [directory.tokens[i] for i in ids]
            ending = {t.id for t in line if t.revoked_at is None}
            if any(is_node_owner(t.bindings) for t in line if t.id in ending):
                directory.require_owner_left(without_tokens=ids)
            people = directory.people_made_with(ids)
            ended = (ReplaceUser(user=_without_code(u)) for u in people if u.enrolment_sha256)
            return (RevokeTokens(ids=ids), *ended), (ids, ending, people)

        ids, ending, people = await directory.decide(decision)
        revoked = [directory.tokens[i] for i in ids]
        for token in revoked:
            if token.id in ending:
                _log.warning("token %s (%s) revoked by %s", token.id, token.name, by.text)
        return Revoked(
            token=revoked[0],
            line=tuple(token for token in revoked[1:] if token.id in ending),
            codes=tuple(user.name for user in people if user.enrolment_sha256 is not None),
            people=tuple(user.name for user in people if directory.can_get_in(user)),
        )

    async def add_owner(self, name: str, *, seconds: float | None) -> Issued:
        """Make an owner's token by the word of whoever runs the node itself."""
        made = await self._directory.decide(lambda: self._owner(name, seconds))
        _log.warning("owner token %s (%s) made by the node itself", made.token.id, name)
        return made

    async def add_first_owner(self, name: str, begun: KeepNodeValue) -> Issued | None:
        """Make an owner's token if nobody is there yet, and keep that it was made.

        Of nodes that start at the same moment one makes it.
        """

        def decision() -> tuple[Changes, Issued | None]:
            if self._directory.tokens or self._directory.users:
                return (begun,), None
            changes, issued = self._owner(name, None)
            return (*changes, begun), issued

        made = await self._directory.decide(decision)
        if made is not None:
            _log.warning("owner token %s (%s) made by the node itself", made.token.id, name)
        return made

    def _owner(self, name: str, seconds: float | None) -> tuple[Changes, Issued]:
        now = self._directory.clock()
        issued = issue(
            name=name,
            created_by="node",
            created_at=now,
            expires_at=None if seconds is None else now + seconds,
            bindings=(RoleBinding(role=OWNER),),
        )
        return (KeepToken(token=issued.token),), issued

    def all(self) -> tuple[Token, ...]:
        """Return every service token and session, oldest first."""
        return tuple(sorted(self._directory.tokens.values(), key=lambda t: (t.created_at, t.id)))

    def one(self, token_id: str) -> Token:
        """Return a token (NotFoundError if there is none)."""
        return self._directory.token(token_id)

    def used_at(self, token: Token) -> float | None:
        """Return when a token was last used, to the second; None if never."""
        return self._directory.index.used_at(token.id) or token.last_used_at
