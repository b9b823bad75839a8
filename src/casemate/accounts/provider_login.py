"""Login by an OpenID provider: its settings as stored, and sessions by its ID tokens.

People are known by issuer and subject, and added beforehand: a provider opens no accounts.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable

import msgspec

from casemate.accounts.bindings import require_covered
from casemate.accounts.directory import Changes, Directory
from casemate.accounts.errors import LoginRefusedError
from casemate.accounts.issuing import Issued
from casemate.accounts.login import guarded, signed_in
from casemate.accounts.oidc import Identity, Nonces, Provider, verify_id_token
from casemate.accounts.oidc.id_token import candidates, read_header, same_subject
from casemate.accounts.oidc.nonces import KEY_BYTES
from casemate.accounts.oidc.settings import require_valid
from casemate.accounts.refusals import Refusals
from casemate.accounts.sessions import Sessions
from casemate.accounts.throttle import Throttle
from casemate.decoding import decodable
from casemate.model.account import User
from casemate.model.errors import NotFoundError
from casemate.model.facts import Fact
from casemate.model.oidc import OidcSettings, ProviderLoginStart
from casemate.model.principal import OWNER, Principal, RoleBinding
from casemate.operations.accounts import RequireUser, RevokeSessions
from casemate.operations.node import KeepNodeValue
from casemate.store import StoreMovedError, UsedBeforeError
from casemate.store.interface import Store
from casemate.store.value import KeptValue
from casemate.vault.interface import Vault

SETTINGS = "accounts/oidc"
"""Name of the node value that holds the settings; empty means none."""
NONCE_KEY = "accounts/nonce-key"
"""Name of the node value that holds the key of nonces, sealed by the vault for this name."""
_log = logging.getLogger("casemate.accounts")


class ProviderLogin:
    """Logs people in by the word of the provider."""

    def __init__(
        self,
        store: Store,
        vault: Vault,
        directory: Directory,
        sessions: Sessions,
        attempts: Throttle,
        refusals: Refusals,
        *,
        happened: Callable[[Fact], None],
    ) -> None:
        """Act on these; `happened` is told who signed in."""
        self._happened = happened
        self._value = KeptValue(store, SETTINGS)
        self._directory = directory
        self._sessions = sessions
        self._attempts = attempts
        self._refusals = refusals
        self._vault = vault
        self._key_value = KeptValue(store, NONCE_KEY)
        self._nonces: Nonces | None = None
        self._provider: Provider | None = None

    async def load(self) -> None:
        """Read the settings; at any time, by who holds the directory's lock."""
        stored = await self._value.read()
        found = msgspec.json.decode(stored, type=decodable(OidcSettings)) if stored else None
        if found != self.settings:
            self._use(found)

    def _use(self, settings: OidcSettings | None) -> None:
        self._provider = Provider(settings, self._directory.clock) if settings else None
        self._directory.oidc_issuer = settings.issuer if settings else None

    @property
    def settings(self) -> OidcSettings | None:
        """The present settings, None if there is no provider."""
        return self._provider.settings if self._provider is not None else None

    async def set_settings(
        self, settings: OidcSettings | None, *, by: Principal, made_with: str | None = None
    ) -> None:
        """Trust another provider, or none.

        `made_with` is the id of the token or session that `by` showed: it has to be in force still
        once the provider has answered.

        Sessions that were opened by the word of one that is not trusted any more end. For owners of
        the node, for a provider's word can be that of an owner. Raises
        EscalationError, OidcSettingsError, LastOwnerError if the last owner comes by the present
        one.
        """
        require_covered(by, (RoleBinding(role=OWNER),), "set the OpenID provider")
        if settings is not None:
            require_valid(settings)
            await Provider(settings, self._directory.clock).discovery()  # before it is trusted
        issuer = settings.issuer if settings is not None else None
        stored = msgspec.json.encode(settings) if settings is not None else b""

        def decision() -> tuple[Changes, None]:
            self._directory.require_current(by, made_with)
            if issuer != self._directory.oidc_issuer:
                self._directory.require_owner_left(issuer=issuer)
            return (KeepNodeValue(name=SETTINGS, value=stored), *self._ends(issuer)), None

        await self._directory.decide(decision, taken=lambda: self._use(settings))
        _log.warning("OpenID provider set to %s by %s", issuer or "none", by.text)

    def _ends(self, issuer: str | None) -> Changes:
        """Return what ends sessions of people who come by another provider than this one."""
        return tuple(
            RevokeSessions(user=user.name)
            for user in self._directory.users.values()
            if user.oidc_issuer not in (None, issuer) and self._directory.index.of_user(user.name)
        )

    def _required(self) -> Provider:
        if self._provider is None:
            raise NotFoundError(
                "There is no OpenID provider for this node.",
                next_step="Log in with a password, or have an owner run `casemate oidc set`.",
            )
        return self._provider

    async def begin(self) -> ProviderLoginStart:
        """Return what a client needs to begin (NotFoundError without a provider)."""
        provider = self._required()
        discovery = await provider.discovery()
        return ProviderLoginStart(
            issuer=provider.settings.issuer,
            client_id=provider.settings.client_id,
            authorization_endpoint=discovery.authorization_endpoint,
            token_endpoint=discovery.token_endpoint,
            nonce=(await self._made_nonces()).new(),
        )

    async def login(self, id_token: str, remote: str) -> Issued:
        """Open a session. Raises LoginRefusedError, TooManyAttemptsError, OidcProviderError."""
        provider = self._required()

        async def proves() -> User:
            return self._user(await self._identity(provider, id_token))

        async with guarded(
            self._attempts, self._refusals, "login by OIDC", None, remote, proves=proves
        ) as attempt:
            identity = await self._identity(provider, id_token)

            def decision() -> tuple[Changes, tuple[User, Issued]]:
                user = self._user(identity)
                opening, issued = self._sessions.opening(user)
                used = Nonces.use(identity.nonce)
                return (used, RequireUser(user=user), *opening), (user, issued)

            try:
                user, issued = await self._directory.apply(decision)
            except UsedBeforeError as error:
                raise LoginRefusedError("The ID token was used before.") from error
            except StoreMovedError as error:
                raise LoginRefusedError("The account has just changed.") from error
            await attempt.succeed()
        _log.info("user %s logged in by %s from %s", user.name, identity.issuer, remote)
        self._happened(signed_in(user.name, remote, "provider", self._directory.clock()))
        return issued

    async def _identity(self, provider: Provider, id_token: str) -> Identity:
        header = read_header(id_token)
        nonces = await self._made_nonces()
        keys = await provider.keys(knows=lambda known: bool(candidates(header, known)))
        return verify_id_token(
            id_token,
            keys,
            provider.settings,
            nonce_is_valid=nonces.is_valid,
            now=self._directory.clock(),
        )

    async def _made_nonces(self) -> Nonces:
        """Return the nonces under the key that all nodes have, made by the first that asks."""
        if self._nonces is None:
            sealed = await self._key_value.read()
            if sealed is None:
                made = await self._vault.wrap(NONCE_KEY, secrets.token_bytes(KEY_BYTES))
                try:
                    await self._key_value.write(made)
                except StoreMovedError:
                    _log.info("another node has made the key of nonces")
                sealed = await self._key_value.read() or made
            key = await self._vault.unwrap(NONCE_KEY, sealed)
            self._nonces = Nonces(key, self._directory.clock)
        return self._nonces

    def _user(self, identity: Identity) -> User:
        for user in self._directory.users.values():
            # The issuer must also be the one that is trusted now, not only when this began.
            known = user.oidc_issuer == identity.issuer == self._directory.oidc_issuer
            if known and same_subject(user.oidc_subject, identity.subject):
                if user.disabled_at is not None:
                    break
                return user
        raise LoginRefusedError(
            f"Nobody here is known by the provider's subject {identity.subject[:255]!r}.",
            next_step="Have an owner run `casemate users add NAME --oidc-subject SUBJECT`.",
        )
