"""The tokens in force, in memory: what every request is authenticated against.

Whatever changes a token, its user or the user's roles changes this index before the change is
answered, so that the next request already meets it.
"""

from __future__ import annotations

import hmac
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from hashlib import sha256

from casemate.accounts.credential import ID_END, PREFIX, bearer_text
from casemate.model.account import Token
from casemate.model.principal import Checked, Principal, PrincipalKind, RoleBinding

_ID_START = len(PREFIX)
_HOLDS_SECONDS = 1.0
"""How long a check holds at most, so that a session that nobody uses ends in time."""
_CLOCK_SECONDS = 300.0
"""What the clocks of nodes that share their state may differ by, whatever a token is for."""


def begins_at(token: Token) -> float:
    """Return the Unix time before which a token lets nobody in.

    One that ends was given for a time. A clock that is set back does not end it at once, and one
    that was ahead when it was made, and is set right, does not give it years: it lets in for twice
    its time at most.
    """
    if token.expires_at is None:
        return -math.inf
    return token.created_at - max(_CLOCK_SECONDS, token.expires_at - token.created_at)


class _Entry:
    """One token. The principal is made beforehand: authentication allocates none."""

    __slots__ = (
        *("begins_at", "expires_at", "idle_limit", "principal", "sha256", "token"),
        *("used_at", "written"),
    )

    def __init__(self, token: Token, principal: Principal, idle_limit: float) -> None:
        self.token = token
        self.principal = principal
        self.sha256 = bytes.fromhex(token.sha256)
        self.expires_at = math.inf if token.expires_at is None else token.expires_at
        self.begins_at = begins_at(token)
        self.idle_limit = idle_limit
        self.used_at = token.last_used_at or token.created_at
        self.written = self.used_at


class TokenIndex:
    """Finds the principal of a token in a few microseconds, without input or output."""

    def __init__(self, clock: Callable[[], float], idle_limit: float | None) -> None:
        """Start with no token: nobody is let in. `idle_limit` (seconds) is for sessions."""
        self._clock = clock
        self._idle_limit = math.inf if idle_limit is None else idle_limit
        self._entries: dict[str, _Entry] = {}
        self._revision = 0
        """Counts what has changed who is let in."""

    def check(self, authorization: str | None, before: Checked | None = None) -> Checked:
        """Return what `authenticate` finds, to be confirmed by it a moment later.

        That is what was found `before` for the same value, if nothing can have changed since.
        """
        if before is not None and self._holds(before):
            return before
        return Checked(self.authenticate(authorization), self._revision, self._clock())

    def authenticate(
        self, authorization: str | None, checked: Checked | None = None
    ) -> Principal | None:
        """Return the principal of the token in an Authorization header's value, or None.

        `checked` spares a second look if nothing can have changed since: a token that was revoked
        or has expired meanwhile, be it while a body was sent, is not let in.
        """
        if checked is not None and self._holds(checked):
            return checked.principal
        text = bearer_text(authorization)
        if text is None:
            return None
        entry = self._entries.get(text[_ID_START:ID_END])
        if entry is None or not hmac.compare_digest(entry.sha256, sha256(text.encode()).digest()):
            return None
        now = self._clock()
        if not entry.begins_at <= now < entry.expires_at or now - entry.used_at > entry.idle_limit:
            return None
        entry.used_at = now
        return entry.principal

    def _holds(self, checked: Checked) -> bool:
        now = self._clock()
        if checked.revision != self._revision or not 0 <= now - checked.at <= _HOLDS_SECONDS:
            return False
        principal = checked.principal
        return principal is None or principal.expires_at is None or now < principal.expires_at

    def put(self, token: Token, bindings: tuple[RoleBinding, ...]) -> None:
        """Let a token in, in place of the one of its id. A revoked one is left out."""
        self._revision += 1
        if token.revoked_at is not None:
            self._entries.pop(token.id, None)
            return
        session = token.user is not None
        principal = Principal(
            kind=PrincipalKind.USER if session else PrincipalKind.TOKEN,
            id=token.user or token.id,
            bindings=bindings,
            expires_at=token.expires_at,
        )
        entry = _Entry(token, principal, self._idle_limit if session else math.inf)
        old = self._entries.get(token.id)
        if old is not None:
            entry.used_at = max(old.used_at, entry.used_at)
            entry.written = max(old.written, entry.written)
        self._entries[token.id] = entry

    def remove(self, token_ids: Iterable[str]) -> None:
        """Let these tokens in no more."""
        self._revision += 1
        for token_id in token_ids:
            self._entries.pop(token_id, None)

    def of_user(self, user: str) -> tuple[Token, ...]:
        """Return the sessions of a user."""
        return tuple(e.token for e in self._entries.values() if e.token.user == user)

    def used_at(self, token_id: str) -> float | None:
        """Return when a token was last used, None if never or if it is not in force."""
        entry = self._entries.get(token_id)
        return entry.used_at if entry and entry.used_at > entry.token.created_at else None

    def note_used(self, used: Mapping[str, float]) -> None:
        """Know when tokens were used elsewhere."""
        for token_id, at in used.items():
            entry = self._entries.get(token_id)
            if entry is not None and at > entry.used_at:
                entry.used_at = entry.written = at

    def take_used(self) -> dict[str, float]:
        """Return when each token was last used, of those used since the last call."""
        return {entry.token.id: entry.used_at for entry in self._mark_written()}

    def _mark_written(self) -> Iterator[_Entry]:
        for entry in self._entries.values():
            if entry.used_at > entry.written:
                entry.written = entry.used_at
                yield entry

    def drop_expired(self, now: float | None = None) -> tuple[str, ...]:
        """Forget tokens that have expired, by the clock or by `now`; return their ids."""
        now = self._clock() if now is None else now
        ended = tuple(i for i, e in self._entries.items() if now >= e.expires_at)
        self.remove(ended)
        return ended
