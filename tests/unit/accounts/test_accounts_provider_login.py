"""Logins by ID tokens of a provider: who is let in while somebody at the same address fails."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from casemate.accounts.errors import LoginRefusedError, TooManyAttemptsError
from casemate.accounts.issuing import Issued
from casemate.model.back_off import FREE_PER_ADDRESS
from casemate.model.oidc import OidcSettings
from casemate.model.principal import RoleBinding
from support.accounts import World
from support.oidc.published import Published

PLACE = "10.0.0.9"


class Logins:
    """A node whose people come by a provider."""

    def __init__(self) -> None:
        self.issuer = Published()
        self.world = World()
        self.provider = self.world.accounts.provider
        settings = OidcSettings(issuer=self.issuer.issuer, client_id="c")
        self.world.run(self.provider.set_settings(settings, by=self.world.owner))
        self.world.run(
            self.world.accounts.people.add(
                "ada",
                (RoleBinding(role="auditor"),),
                by=self.world.owner,
                oidc_subject="ada-sub",
            )
        )

    def token(self, **changes: Any) -> str:
        now = self.world.clock()
        nonce = self.world.run(self.provider.begin()).nonce
        claims = {"aud": "c", "sub": "ada-sub", "iat": now, "exp": now + 300, "nonce": nonce}
        return self.issuer.token(**{**claims, **changes})

    def login(self, token: str) -> Issued:
        return self.world.run(self.provider.login(token, PLACE))


@pytest.fixture
def logins() -> Iterator[Logins]:
    made = Logins()
    yield made
    made.issuer.close()


@pytest.mark.parametrize("replaced", [True, False])
def test_sessions_end_with_the_trust_in_the_provider_that_has_opened_them(
    logins: Logins, replaced: bool
) -> None:
    """Before: whoever ran it could go on as a person of the node, an owner as well."""
    world, provider = logins.world, logins.provider
    world.person("bea", RoleBinding(role="auditor"))
    ada, bea = logins.login(logins.token()).text, world.login("bea").text
    again = OidcSettings(issuer=logins.issuer.issuer, client_id="c", audiences=("d",))
    world.run(provider.set_settings(again, by=world.owner))
    assert world.who(ada) and world.who(bea)
    other = Published()
    settings = OidcSettings(issuer=other.issuer, client_id="c") if replaced else None
    world.run(provider.set_settings(settings, by=world.owner))
    other.close()
    assert world.who(ada) is None and world.who(bea)
    # For good: that it is trusted again opens none of them.
    world.run(provider.set_settings(again, by=world.owner))
    assert world.who(ada) is None
    assert world.who(logins.login(logins.token()).text)


def test_who_fails_at_an_address_keeps_nobody_of_it_out(logins: Logins) -> None:
    for _ in range(FREE_PER_ADDRESS + 5):
        with pytest.raises((LoginRefusedError, TooManyAttemptsError)):
            logins.login("x.y.z")
    used = logins.token()
    assert logins.login(used)
    with pytest.raises(LoginRefusedError, match="used before"):
        logins.login(used)
    for wrong in ({"sub": "eve-sub"}, {"nonce": secrets.token_hex(8)}, {"aud": "d"}):
        with pytest.raises(TooManyAttemptsError):
            logins.login(logins.token(**wrong))
    assert not logins.provider._attempts._doubted
