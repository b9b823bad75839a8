"""The store's calls about users, their roles and tokens."""

from __future__ import annotations

from casemate.model.account import Token, User, UserRoles
from casemate.store.sqlite import accounts
from casemate.store.sqlite.session import StoreSession


class AccountCalls(StoreSession):
    """Documented in `casemate.store.interface.Store`."""

    async def add_user(self, user: User) -> None:
        """Keep a user."""
        await self._change(accounts.add_user, user)

    async def replace_user(self, user: User) -> None:
        """Replace the user of that name."""
        await self._change(accounts.replace_user, user)

    async def accept_totp_step(self, name: str, step: int) -> bool:
        """Set `totp_last` if `step` is later."""
        return await self._change(accounts.accept_totp_step, name, step)

    async def remove_user(self, name: str) -> None:
        """Forget a user with its roles, and revoke its tokens."""
        await self._change(accounts.remove_user, name)

    async def users(self) -> tuple[User, ...]:
        """Return every user."""
        return await self._read(accounts.users)

    async def set_roles(self, roles: UserRoles) -> None:
        """Replace a user's roles."""
        await self._change(accounts.set_roles, roles)

    async def roles(self) -> tuple[UserRoles, ...]:
        """Return the roles of every user that has any."""
        return await self._read(accounts.roles)

    async def add_token(self, token: Token) -> None:
        """Keep a token."""
        await self._change(accounts.add_token, token)

    async def tokens(self) -> tuple[Token, ...]:
        """Return every token that is kept."""
        return await self._read(accounts.tokens)

    async def revoke_tokens(self, token_ids: tuple[str, ...]) -> tuple[Token, ...]:
        """Mark tokens revoked, all or none."""
        return await self._change(accounts.revoke_tokens, token_ids)

    async def revoke_tokens_of(self, user: str) -> int:
        """Mark every token of a user revoked."""
        return await self._change(accounts.revoke_tokens_of, user)

    async def touch_tokens(self, used: dict[str, float]) -> None:
        """Note when tokens were last used."""
        await self._change(accounts.touch_tokens, dict(used))
