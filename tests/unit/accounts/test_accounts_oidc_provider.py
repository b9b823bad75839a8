"""What a provider publishes: fetched from it alone, within limits, seldom."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest

from casemate.accounts import OidcProviderError, OidcSettings, OidcSettingsError
from casemate.accounts.oidc import Nonces, Provider
from casemate.accounts.oidc import provider as provider_module
from casemate.accounts.oidc.id_token import MAX_KEYS
from casemate.accounts.oidc.nonces import LIFETIME
from casemate.accounts.oidc.provider import KEEP, MAX_BYTES, REFRESH_AFTER
from casemate.accounts.oidc.settings import require_valid
from casemate.model.nodes import MAX_CLOCK_OFF
from support.accounts import Clock
from support.oidc.published import PUBLIC as KEY
from support.oidc.published import Published


@pytest.fixture
def published() -> Iterator[Published]:
    made = Published()
    yield made
    made.close()


def provider_of(published: Published, clock: Clock | None = None) -> Provider:
    settings = OidcSettings(issuer=published.issuer, client_id="casemate")
    return Provider(settings, clock or Clock())


def has_keys(keys: tuple[object, ...]) -> bool:
    return bool(keys)


def fetch(provider: Provider):
    return asyncio.run(provider.keys(knows=has_keys))


def test_fetched_once_for_an_hour(published: Published) -> None:
    clock = Clock()
    provider = provider_of(published, clock)
    for _ in range(3):
        assert [key.kid for key in fetch(provider)] == ["one"]
        assert asyncio.run(provider.discovery()).token_endpoint == f"{published.issuer}/token"
    assert len(published.requests) == 2
    clock.now += KEEP
    fetch(provider)
    assert len(published.requests) == 4


def test_an_unknown_key_refreshes_at_most_once_a_minute(published: Published) -> None:
    clock = Clock()
    provider = provider_of(published, clock)
    fetch(provider)
    clock.now += REFRESH_AFTER
    for _ in range(50):
        asyncio.run(provider.keys(knows=lambda _keys: False))
    assert len(published.requests) == 4


def test_new_keys_are_found(published: Published) -> None:
    clock = Clock()
    provider = provider_of(published, clock)
    fetch(provider)
    published.publish({**KEY, "kid": "two"})
    clock.now += REFRESH_AFTER
    found = asyncio.run(provider.keys(knows=lambda keys: any(k.kid == "two" for k in keys)))
    assert [key.kid for key in found] == ["two"]


@pytest.mark.parametrize("back", [1.0, 3 * KEEP, 10 * 365 * 86_400.0])
def test_a_clock_that_was_set_back_keeps_no_key_alive(published: Published, back: float) -> None:
    clock = Clock()
    provider = provider_of(published, clock)
    fetch(provider)
    clock.now -= back
    published.publish({**KEY, "kid": "two"})
    assert [key.kid for key in fetch(provider)] == ["two"]


def test_old_keys_are_not_used_when_the_provider_is_gone(published: Published) -> None:
    clock = Clock()
    provider = provider_of(published, clock)
    fetch(provider)
    published.answers.clear()
    clock.now += KEEP
    for _ in range(2):
        with pytest.raises(OidcProviderError):
            fetch(provider)
        with pytest.raises(OidcProviderError):
            asyncio.run(provider.discovery())


@pytest.mark.parametrize(
    "change",
    [
        {"issuer": "https://evil.example.org"},
        {"issuer": None},
        {"jwks_uri": None},
        {"jwks_uri": "http://192.0.2.1/jwks"},
        {"jwks_uri": "file:///etc/passwd"},
        {"token_endpoint": "http://evil.example.org/token"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": "https://user:pw@id.example.org/"},
        {"jwks_uri": 7},
    ],
)
def test_configurations_that_are_not_used(published: Published, change) -> None:
    published.publish(**change)
    with pytest.raises(OidcProviderError):
        fetch(provider_of(published))


@pytest.mark.parametrize("there", ["http://127.0.0.1:8787/x", "https://[::1]/x"])
def test_an_issuer_elsewhere_names_nothing_on_this_machine(there: str) -> None:
    issuer = "https://ci.example.org"
    source = provider_module.KeySource(issuer, provider_module.Issuer, Clock())
    assert source._checked({"issuer": issuer, "jwks_uri": f"{issuer}/jwks"})
    with pytest.raises(OidcProviderError, match="on this machine"):
        source._checked({"issuer": issuer, "jwks_uri": there})


def test_redirects_are_not_followed(published: Published) -> None:
    elsewhere = Published()
    published.put("/jwks", b"", 302, location=f"{elsewhere.issuer}/jwks")
    with pytest.raises(OidcProviderError):
        fetch(provider_of(published))
    assert elsewhere.requests == []
    elsewhere.close()


@pytest.mark.parametrize(
    "body", [b"", b"not json", b"[" * 50_000, b"\xff", b" " * (MAX_BYTES + 1), b'{"keys": []}']
)
def test_answers_that_are_none(published: Published, body: bytes) -> None:
    published.put("/jwks", body)
    with pytest.raises(OidcProviderError) as caught:
        fetch(provider_of(published))
    assert caught.value.next_step


def test_a_flood_of_keys_is_not_read(published: Published) -> None:
    """Keys are read on the event loop: half a megabyte of them held it for half a second."""
    published.put("/jwks", {"keys": [KEY] * MAX_KEYS})
    fetch(provider_of(published))
    published.put("/jwks", {"keys": [*([{"kty": "oct"}] * MAX_KEYS), KEY]})
    with pytest.raises(OidcProviderError, match=f"publishes more than {MAX_KEYS} keys"):
        fetch(provider_of(published))


def test_a_provider_that_hangs_is_given_up(published: Published, monkeypatch) -> None:
    monkeypatch.setattr(provider_module, "SECONDS", 0.1)
    published.delay = 10.0
    started = time.monotonic()
    with pytest.raises(OidcProviderError):
        fetch(provider_of(published))
    assert time.monotonic() - started < 9


@pytest.mark.parametrize(
    "issuer",
    ["", "id.example.org", "http://id.example.org", "http://localhost.evil.example", "ftp://a",
     "https://", "https://u:p@id.example.org", "https://id.example.org/#x", "https://a/?q=1",
     "https://id.example.org:99999", "https://id.example.org/\n", "https://bücher.example",
     "http://127.0.0.1.evil.example", "https://a b", "https://" + "a" * 600],
)  # fmt: skip
def test_settings_that_are_refused(issuer: str) -> None:
    with pytest.raises(OidcSettingsError):
        require_valid(OidcSettings(issuer=issuer, client_id="casemate"))


@pytest.mark.parametrize(
    "change", [{"client_id": ""}, {"client_id": "a\n"}, {"audiences": ("",)},
               {"audiences": tuple("abcdefghijklmnopq")}, {"client_id": "x" * 600}],
)  # fmt: skip
def test_other_settings_that_are_refused(change) -> None:
    whole = {"issuer": "https://id.example.org", "client_id": "casemate", **change}
    with pytest.raises(OidcSettingsError):
        require_valid(OidcSettings(**whole))


@pytest.mark.parametrize(
    "issuer",
    [
        "https://id.example.org",
        "https://id.example.org/realms/x",
        "http://127.0.0.1:8",
        "http://[::1]:8",
        "http://localhost:8080",
    ],
)
def test_settings_that_are_accepted(issuer: str) -> None:
    require_valid(OidcSettings(issuer=issuer, client_id="casemate"))


def test_nonces_are_valid_for_ten_minutes_on_all_nodes_with_their_key() -> None:
    clock = Clock()
    nonces, others = Nonces(bytes(32), clock), Nonces(bytes(32), clock)
    nonce = nonces.new()
    assert nonces.is_valid(nonce) and others.is_valid(nonce)
    assert nonces.use(nonce) == others.use(nonce) != nonces.use(nonces.new())
    assert nonces.use(nonce).seconds >= LIFETIME + 2 * MAX_CLOCK_OFF
    clock.now += LIFETIME
    assert not nonces.is_valid(nonce)


def test_nonces_of_others_and_variants_are_refused() -> None:
    nonces = Nonces(bytes(32), Clock())
    nonce = nonces.new()
    assert not nonces.is_valid(Nonces(b"x" * 32, Clock()).new())
    for forged in ("", nonce[:-1], nonce + "A", nonce.swapcase(), "é" * 70, nonce + "=="):
        assert not nonces.is_valid(forged)
    digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    accepted = sum(nonces.is_valid(nonce[:-1] + last) for last in digits)
    assert accepted == 1, "one nonce has one spelling"
