"""Certificates of the node's own authority: made once, kept wrapped, renewed in time."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

import msgspec

from casemate.certificates.issuing import (
    Names,
    begins_at,
    covered,
    ends_at,
    fingerprint,
    is_by,
    issue,
    names_of,
    new_authority,
    now_utc,
    renew_at,
)
from casemate.certificates.key_pair import CertificateError, KeyPair
from casemate.decoding import DECODING_ERRORS, decodable
from casemate.operations.node import KeepNodeValue, ReadNodeValue
from casemate.store.interface import Store
from casemate.vault.interface import Vault

_AUTHORITY, _SERVER = "tls/authority", "tls/server"


class _Kept(msgspec.Struct, frozen=True):
    """A pair as the store has it: the key is wrapped by the vault, bound to the certificate."""

    certificate: bytes
    wrapped_key: bytes


class OwnCertificate:
    """The node's authority and its server certificate. Keys are in clear in memory only."""

    interval = 60.0
    """Seconds between two looks at the clock."""

    def __init__(
        self,
        vault: Vault,
        store: Store,
        *,
        wanted: Names,
        found: Names,
        report: Callable[[str], None],
        new_authority: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Issue for `wanted`, which must all be possible, and for what is possible of `found`.

        `new_authority` replaces the one there is, which no client trusts any more then.
        """
        self._vault = vault
        self._store = store
        self._wanted = wanted
        self._found = found
        self._report = report
        self._replace = new_authority
        self._clock = clock
        self._authority: KeyPair | None = None
        self._begins_at: datetime | None = None
        self._renew_at: datetime | None = None

    @property
    def authority(self) -> bytes | None:
        """The authority's certificate in PEM, once `first` has returned."""
        return self._authority.certificate if self._authority else None

    async def first(self) -> KeyPair:
        """Return the server's pair, made if there is none that can still be used.

        Raises CertificateError and VaultError; an authority is never replaced silently.
        """
        self._authority = None if self._replace else await self._load(_AUTHORITY)
        if self._authority is None:
            everything = Names.of((*self._names(self._wanted), *self._names(self._found)))
            self._authority = new_authority(everything, self._now())
            await self._keep(_AUTHORITY, self._authority)
        names = self._possible(self._authority)
        server = await self._load(_SERVER)
        if server is None or not self._usable(server, names):
            server = await self._issue(names)
        else:
            self._take(server)
        begins = begins_at(server.certificate)
        if self._now() < begins:
            self._report(
                f"the certificate is valid from {begins:%Y-%m-%d %H:%M} UTC on, and by the clock "
                "of this node that is still to come: set it right, or clients by the same clock "
                "refuse to connect. If it is right, it was ahead when the authority was made: "
                "casemate serve --tls-new-authority makes another"
            )
        return server

    def _take(self, server: KeyPair) -> None:
        self._begins_at = begins_at(server.certificate)
        self._renew_at = renew_at(server.certificate)

    async def changed(self) -> KeyPair | None:
        """Return a new pair if two thirds of the present one's life are over, or before it begins:
        a clock that was far ahead has been set right since it was made.
        """
        if self._authority is None or self._renew_at is None or self._begins_at is None:
            return None
        if not self._is_to_come(self._begins_at) and self._now() < self._renew_at:
            return None
        return await self._issue(self._possible(self._authority))

    def forget(self) -> None:
        """Have the next look issue a new certificate."""
        self._renew_at = self._now()

    @staticmethod
    def _names(names: Names) -> tuple[str, ...]:
        return names.dns + names.addresses

    def _now(self) -> datetime:
        return now_utc(self._clock())

    def _possible(self, authority: KeyPair) -> Names:
        """Return the names to issue for. Raises CertificateError for a wanted one beyond them."""
        beyond = set(self._names(self._wanted))
        beyond -= set(self._names(covered(authority.certificate, self._wanted)))
        if beyond:
            raise CertificateError(
                f"The node's certificate authority was not made for {', '.join(sorted(beyond))}, "
                "and can vouch only for what it was made for.",
                next_step="Make a new one with `casemate serve --tls-new-authority`; clients log "
                "in again with its fingerprint.",
            )
        found = covered(authority.certificate, self._found)
        left_out = set(self._names(self._found)) - set(self._names(found))
        if left_out:
            self._report(
                f"the certificate is not for {', '.join(sorted(left_out))}: the node's authority "
                "was made before this host had that; --tls-new-authority makes a new one"
            )
        return Names.of((*self._names(self._wanted), *self._names(found)))

    def _usable(self, server: KeyPair, names: Names) -> bool:
        authority = self.authority or b""
        return (
            is_by(server.certificate, authority)
            and names_of(server.certificate) == names
            and self._now() < renew_at(server.certificate)
            and not self._is_to_come(begins_at(server.certificate))
        )

    def _is_to_come(self, begins: datetime) -> bool:
        """Tell whether what is valid from then on is not yet, and another would be."""
        now = self._now()
        return now < begins and now >= begins_at(self.authority or b"")

    async def _issue(self, names: Names) -> KeyPair:
        if self._authority is None:
            raise CertificateError("The node's certificate authority is not loaded.")
        server = issue(self._authority, names, self._now())
        await self._keep(_SERVER, server)
        self._take(server)
        self._report(f"a new certificate, valid until {ends_at(server.certificate):%Y-%m-%d}")
        return server

    async def _keep(self, name: str, pair: KeyPair) -> None:
        wrapped = await self._vault.wrap(f"{name} {fingerprint(pair.certificate)}", pair.key)
        value = msgspec.msgpack.encode(_Kept(pair.certificate, wrapped))
        await self._store.change(KeepNodeValue(name=name, value=value))

    async def _load(self, name: str) -> KeyPair | None:
        stored = await self._store.read(ReadNodeValue(name=name))
        if stored is None:
            return None
        try:
            kept = msgspec.msgpack.decode(stored, type=decodable(_Kept))
            context = f"{name} {fingerprint(kept.certificate)}"
        except (CertificateError, *DECODING_ERRORS) as error:
            raise CertificateError(
                f"What the node keeps as {name} is damaged.",
                next_step="Restore a backup, or make a new authority with "
                "`casemate serve --tls-new-authority`",
            ) from error
        key = await self._vault.unwrap(context, kept.wrapped_key)
        return KeyPair(certificate=kept.certificate, key=key)
