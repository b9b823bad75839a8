"""ID tokens: what a provider signed for this login, and no forgery of it."""

from __future__ import annotations

import base64
import hmac
import json
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws, jwt
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from casemate.accounts import IdTokenError, OidcSettings
from casemate.accounts.oidc import verify_id_token
from casemate.accounts.oidc.id_token import MAX_AGE, SKEW, import_keys, read_header

NOW = 1_700_000_000.0
SETTINGS = OidcSettings(issuer="https://id.example.org", client_id="casemate", audiences=("api",))
RSA = RSAKey.generate_key(2048, {"kid": "rsa", "use": "sig"})
EC = ECKey.generate_key("P-256", {"kid": "ec", "alg": "ES256"})
ED = OKPKey.generate_key("Ed25519", {"kid": "ed", "alg": "EdDSA"})
STRANGER = RSAKey.generate_key(2048, {"kid": "rsa"})
PUBLISHED = {"keys": [key.as_dict(private=False) for key in (RSA, EC, ED)]}
KEYS = import_keys(PUBLISHED)
CLAIMS = {
    "iss": SETTINGS.issuer,
    "sub": "248289761001",
    "aud": "casemate",
    "exp": NOW + 300,
    "iat": NOW - 1,
    "nonce": "n-0S6",
}


def signed(claims=CLAIMS, *, key=RSA, alg="RS256", kid="rsa", **header) -> str:
    full = {"alg": alg, **({"kid": kid} if kid else {}), **header}
    registry = jws.JWSRegistry(algorithms=[alg], strict_check_header=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return jwt.encode(full, claims, key, algorithms=[alg], registry=registry)


def segment(value: object) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def verify(token: str, *, now: float = NOW, keys=KEYS, nonce: str = "n-0S6"):
    return verify_id_token(token, keys, SETTINGS, nonce_is_valid=nonce.__eq__, now=now)


@pytest.mark.parametrize(
    ("key", "alg"), [(RSA, "RS256"), (RSA, "PS256"), (EC, "ES256"), (ED, "EdDSA")]
)
def test_accepted(key, alg: str) -> None:
    found = verify(signed(key=key, alg=alg, kid=key.kid))
    assert (found.issuer, found.subject) == (SETTINGS.issuer, "248289761001")


@pytest.mark.parametrize(
    "change",
    [
        {"aud": ["casemate"]},
        {"aud": ["casemate", "api"], "azp": "casemate"},
        {"azp": "casemate"},
        {"nbf": NOW + SKEW - 1},
        {"exp": NOW - SKEW + 1},
        {"iat": NOW + SKEW - 1},
    ],
)
def test_accepted_claims(change) -> None:
    assert verify(signed({**CLAIMS, **change}))


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "https://id.example.org/"},
        {"iss": "https://evil.example.org"},
        {"iss": None},
        {"iss": ["https://id.example.org"]},
        {"aud": "other"},
        {"aud": ["casemate", "evil"], "azp": "casemate"},
        {"aud": ["casemate", "api"]},
        {"aud": []},
        {"aud": ["api"]},
        {"aud": {"casemate": 1}},
        {"aud": None},
        {"azp": "other"},
        {"azp": 1},
        {"exp": NOW - SKEW},
        {"exp": None},
        {"exp": "never"},
        {"exp": True},
        {"exp": float("nan")},
        {"exp": float("inf")},
        {"exp": 10**400},
        {"exp": -1},
        {"iat": NOW + SKEW + 1},
        {"iat": NOW - MAX_AGE - SKEW - 1},
        {"iat": None},
        {"nbf": NOW + SKEW + 1},
        {"nbf": "soon"},
        {"nonce": "other"},
        {"nonce": None},
        {"nonce": ["n-0S6"]},
        {"sub": ""},
        {"sub": None},
        {"sub": 248289761001},
        {"sub": "x" * 256},
        {"sub": "\ud800"},
        {"sub": "24400320\udfff"},
    ],
)
def test_refused_claims(change) -> None:
    body = {n: v for n, v in {**CLAIMS, **change}.items() if v is not None}
    token = _signed_raw(json.dumps(body).encode())
    with pytest.raises(IdTokenError) as caught:
        verify(token)
    assert "248289761001" not in str(caught.value)


def _signed_raw(payload: bytes, key=RSA, alg: str = "RS256", **header) -> str:
    registry = jws.JWSRegistry(algorithms=[alg], strict_check_header=False)
    full = {"alg": alg, "kid": "rsa", **header}
    return jws.serialize_compact(full, payload, key, algorithms=[alg], registry=registry)


@pytest.mark.parametrize(
    "payload", [b"", b"[]", b"1", b"{", b'{"iss":1,"iss":2}', b"\xff", b"[" * 100_000]
)
def test_refused_payloads(payload: bytes) -> None:
    with pytest.raises(IdTokenError):
        verify(_signed_raw(payload))


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "", None, 1, ["RS256"], "HS256", "RS1"])
def test_no_other_algorithm(alg) -> None:
    token = f"{segment({'alg': alg, 'kid': 'rsa'})}.{segment(CLAIMS)}."
    for signature in ("", signed().rpartition(".")[2]):
        with pytest.raises(IdTokenError):
            verify(token + signature)


def test_a_public_key_is_no_shared_secret() -> None:
    for secret in (RSA.as_pem(private=False), json.dumps(RSA.as_dict(private=False)).encode()):
        body = f"{segment({'alg': 'HS256', 'kid': 'rsa'})}.{segment(CLAIMS)}"
        forged = f"{body}.{segment(hmac.digest(secret, body.encode(), 'sha256'))}"
        with pytest.raises(IdTokenError, match="algorithm"):
            verify(forged)


def test_keys_that_are_not_the_providers() -> None:
    with pytest.raises(IdTokenError, match="signature"):
        verify(signed(key=STRANGER))
    with pytest.raises(IdTokenError, match="key"):
        verify(signed(key=STRANGER, kid="unknown"))
    with pytest.raises(IdTokenError):
        verify(signed(key=EC, alg="ES256", kid="rsa"))
    with pytest.raises(IdTokenError):
        verify(signed(kid="ec"))
    with pytest.raises(IdTokenError):
        verify(signed(), keys=())


def test_without_a_key_id_only_a_single_key_comes_into_question() -> None:
    assert verify(signed(kid=None))
    two = import_keys({"keys": [RSA.as_dict(private=False), STRANGER.as_dict(private=False)]})
    with pytest.raises(IdTokenError):
        verify(signed(kid=None), keys=two)
    with pytest.raises(IdTokenError):
        verify(signed(), keys=two)  # two keys of one id


@pytest.mark.parametrize("name", ["jku", "x5u", "jwk", "x5c", "crit", "b64", "zip", "enc"])
def test_a_token_does_not_bring_its_key(name: str) -> None:
    values = {"jwk": STRANGER.as_dict(private=False), "crit": ["exp"], "b64": False}
    header = segment({"alg": "RS256", "kid": "rsa", name: values.get(name, "https://evil.test/")})
    _, payload, signature = signed(key=STRANGER).split(".")
    with pytest.raises(IdTokenError, match=name):
        verify(f"{header}.{payload}.{signature}")


def test_parts_of_two_tokens_make_none() -> None:
    first, second = signed().split("."), signed({**CLAIMS, "sub": "root"}).split(".")
    for parts in ((first[0], second[1], first[2]), (second[0], second[1], first[2])):
        with pytest.raises(IdTokenError):
            verify(".".join(parts))


def test_every_changed_character_is_found() -> None:
    token = signed()
    for place in range(0, len(token), 7):
        changed = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        with pytest.raises(IdTokenError):
            verify(changed)


@pytest.mark.parametrize(
    "token", ["", ".", "..", "a.b", "a.b.c.d", "é.b.c", "x" * 20_000, "a.b.c.d.e"]
)
def test_what_is_no_token(token: str) -> None:
    with pytest.raises(IdTokenError):
        read_header(token)


def test_headers_with_a_name_twice() -> None:
    header = base64.urlsafe_b64encode(b'{"alg":"none","alg":"RS256"}').decode().rstrip("=")
    with pytest.raises(IdTokenError):
        read_header(f"{header}.e30.x")


@given(st.text(max_size=300))
def test_arbitrary_text_is_refused(text: str) -> None:
    for token in (text, f"{text}.{text}.{text}", f"{segment({'alg': 'RS256'})}.{text}.{text}"):
        with pytest.raises(IdTokenError):
            verify(token)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["keys", "kty", "n", "e", "use", "kid"]), inner)
        ),
        max_leaves=8,
    )
)
def test_whatever_a_provider_publishes_is_read_or_left_out(document) -> None:
    assert import_keys(document) == ()
    assert import_keys({"keys": [document, RSA.as_dict(private=False)]})[-1].kid == "rsa"


def test_keys_that_are_left_out() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        weak = RSAKey.generate_key(1024)
    for entry in (
        OctKey.generate_key(256).as_dict(),
        weak.as_dict(private=False),
        {**RSA.as_dict(private=False), "use": "enc"},
        {**RSA.as_dict(private=False), "key_ops": ["sign"]},
        {**RSA.as_dict(private=False), "alg": "RSA-OAEP"},
        {**RSA.as_dict(private=False), "n": "!!"},
        {**RSA.as_dict(private=False), "n": "_" * 500_000},
        {"kty": "RSA"},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
    ):
        assert import_keys({"keys": [entry]}) == ()
    private = import_keys({"keys": [RSA.as_dict(private=True)]})
    assert not private[0].is_private, "what a provider leaks is not kept"
