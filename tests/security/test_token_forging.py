"""Credentials that nobody was given: made up, taken apart, put together, or no longer valid."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import httpx2
import joserfc.jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from casemate.accounts.credential import checksum, new_text
from support.attacks import AUTHENTICATION, REQUEST, attempt, denials
from support.node import TestNode
from support.shared_node import SharedNode

SOURCE = Path(__file__).parent.parent / "functions" / "attacks" / "capabilities.py"


def make_token(node: TestNode, name: str, *roles: str) -> tuple[str, str]:
    """Return id and text of a new service token."""
    answer = node.client.post(f"{node.url}/api/v1/tokens", json={"name": name, "roles": roles})
    assert answer.status_code == 201, answer.text
    return answer.json()["token"]["id"], answer.json()["text"]


@pytest.fixture(scope="module")
def target(node: TestNode) -> Iterator[TestNode]:
    node.deploy(SOURCE.read_text(), name="f")
    yield node


def _is_refused(node: TestNode, **request: object) -> None:
    """Neither the API nor a function is reached, and both attempts are on record."""
    for method, path in (("GET", "/api/v1/whoami"), ("POST", "/invoke/t/f")):
        since = time.time()
        with httpx2.Client() as client:
            answer = client.request(method, f"{node.url}{path}", **request)  # type: ignore[arg-type]
        assert answer.status_code == 401, answer.text
        assert "token:" not in answer.text
        (denial, *_) = denials(node, kind=AUTHENTICATION, since=since)
        assert denial["principal"] == "anonymous:public"


def _flip(text: str, place: int, *, mend: bool = False) -> str:
    other = "a" if text[place] != "a" else "b"
    flipped = text[:place] + other + text[place + 1 :]
    return flipped[:-6] + checksum(flipped[:-6]) if mend else flipped


FORGERIES = {
    "flip-id": lambda t, o: _flip(t, 5),
    "flip-id-mended": lambda t, o: _flip(t, 5, mend=True),
    "flip-secret": lambda t, o: _flip(t, 30),
    "flip-secret-mended": lambda t, o: _flip(t, 30, mend=True),
    "flip-last-of-secret": lambda t, o: _flip(t, 62, mend=True),
    "flip-checksum": lambda t, o: _flip(t, 66),
    "without-checksum": lambda t, o: t[:-6],
    "truncated": lambda t, o: t[:-1],
    "truncated-secret": lambda t, o: t[:40],
    "only-id": lambda t, o: t[:20],
    "longer": lambda t, o: t + "a",
    "twice": lambda t, o: t + t,
    "upper": lambda t, o: t.upper(),
    "lower": lambda t, o: t.lower(),
    "id-of-another": lambda t, o: _splice(o, t),
    "id-of-another-unmended": lambda t, o: o[:20] + t[20:],
    "made-up": lambda t, o: new_text()[1],
    "made-up-secret": lambda t, o: _splice(t, new_text()[1]),
    "nearly-empty": lambda t, o: ".",
    "only-prefix": lambda t, o: "cm_",
    "wildcard": lambda t, o: "cm_" + "*" * 16 + t[19:],
    "null": lambda t, o: "null",
    "sql": lambda t, o: "cm_' or 1=1 --",
    "hash-of-it": lambda t, o: hashlib.sha256(t.encode()).hexdigest(),
    "quoted": lambda t, o: f'"{t}"',
    "comma": lambda t, o: f"{t},{t}",
}


def _splice(identity: str, secret: str) -> str:
    body = identity[:20] + secret[20:63]
    return body + checksum(body)


@pytest.fixture(scope="module")
def two(target: TestNode) -> tuple[str, str]:
    """The texts of two tokens of owners."""
    return make_token(target, "one", "owner")[1], make_token(target, "two", "owner")[1]


def test_the_token_itself_is_let_in(target: TestNode, two: tuple[str, str]) -> None:
    """Or the tests below would prove nothing."""
    for text in two:
        with httpx2.Client(headers={"authorization": f"Bearer {text}"}) as client:
            assert client.get(f"{target.url}/api/v1/whoami").status_code == 200
            assert client.post(f"{target.url}/invoke/t/f", json={"attack": "x"}).status_code == 500


@pytest.mark.parametrize("name", list(FORGERIES))
def test_a_forged_token_is_refused(target: TestNode, two: tuple[str, str], name: str) -> None:
    forged = FORGERIES[name](*two)
    assert forged not in two
    _is_refused(target, headers={"authorization": f"Bearer {forged}"})


PLACES = {
    "basic": lambda t: {
        "headers": {"authorization": "Basic " + base64.b64encode(f"x:{t}".encode()).decode()}
    },
    "no-scheme": lambda t: {"headers": {"authorization": t}},
    "token-scheme": lambda t: {"headers": {"authorization": f"Token {t}"}},
    "tab": lambda t: {"headers": {"authorization": f"Bearer\t{t}"}},
    "cookie": lambda t: {"headers": {"cookie": f"token={t}; authorization=Bearer {t}"}},
    "own-header": lambda t: {"headers": {"x-api-key": t, "x-authorization": f"Bearer {t}"}},
    "proxy-header": lambda t: {"headers": {"proxy-authorization": f"Bearer {t}"}},
    "forwarded": lambda t: {"headers": {"x-forwarded-user": "owner", "x-remote-user": "owner"}},
    "method-override": lambda t: {"headers": {"x-http-method-override": "GET"}},
    "original-url": lambda t: {"headers": {"x-original-url": "/api/v1/health"}},
}


@pytest.mark.parametrize("place", list(PLACES))
def test_a_token_in_another_place_is_none(
    target: TestNode, two: tuple[str, str], place: str
) -> None:
    _is_refused(target, **PLACES[place](two[0]))


def test_a_token_in_the_query_is_none(target: TestNode, two: tuple[str, str]) -> None:
    _is_refused(target, params={"access_token": two[0], "token": two[0]})


def test_two_tokens_are_none(target: TestNode, two: tuple[str, str]) -> None:
    """Which one counts must not depend on who reads. The parser refuses it, of nobody."""
    pairs = [("authorization", f"Bearer {text}") for text in two]
    with httpx2.Client() as client:
        for path in ("/api/v1/whoami", "/invoke/t/f"):
            since = time.time()
            method = "GET" if "api" in path else "POST"
            answer = client.request(method, f"{target.url}{path}", headers=pairs)
            assert answer.status_code == 400, path
            assert denials(target, kind=REQUEST, since=since)


def test_a_revoked_token_is_refused_at_once(target: TestNode) -> None:
    identity, text = make_token(target, "revoked", "owner")
    assert target.client.delete(f"{target.url}/api/v1/tokens/{identity}").status_code == 200
    _is_refused(target, headers={"authorization": f"Bearer {text}"})


def test_a_token_that_revokes_itself_is_over(target: TestNode) -> None:
    identity, text = make_token(target, "itself", "invoker@t")
    headers = {"authorization": f"Bearer {text}"}
    with httpx2.Client(headers=headers) as client:
        assert client.delete(f"{target.url}/api/v1/tokens/{identity}").status_code == 200
    _is_refused(target, headers=headers)


def test_a_token_of_another_node_is_refused(target: TestNode, shared_node: SharedNode) -> None:
    other = shared_node.lend()
    try:
        other.deploy("def handler(event, context):\n    return 1\n", name="f")
        _is_refused(target, headers={"authorization": f"Bearer {other.key}"})
        _is_refused(other, headers={"authorization": f"Bearer {target.key}"})
    finally:
        shared_node.take_back()


# -- tokens of functions (JWT) -----------------------------------------------------------------


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def part(value: object) -> str:
    return b64(json.dumps(value).encode())


@pytest.fixture(scope="module")
def issued(target: TestNode) -> str:
    """A token that a function was given, whose claims a verifier accepts."""
    token = attempt(target, "t/f", {"attack": "token", "audience": "https://svc.test"}).answer
    text: str = token["token"]
    assert _verify(target, text)["sub"] == "function:t/f"
    return text


def _verify(node: TestNode, text: str) -> dict[str, object]:
    """Verify as a careful service does: published keys, EdDSA alone. Raises JoseError."""
    with httpx2.Client() as client:
        keys = client.get(f"{node.url}/.well-known/jwks.json").json()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dict(
            joserfc.jwt.decode(text, KeySet.import_key_set(keys), algorithms=["EdDSA"]).claims
        )


def _changed(text: str, **changes: object) -> str:
    head, claims, signature = text.split(".")
    decoded = json.loads(base64.urlsafe_b64decode(claims + "=="))
    return f"{head}.{part(decoded | changes)}.{signature}"


def _header(text: str, **changes: object) -> str:
    head, claims, signature = text.split(".")
    decoded = json.loads(base64.urlsafe_b64decode(head + "=="))
    return f"{part(decoded | changes)}.{claims}.{signature}"


def _unsigned(text: str, algorithm: str) -> str:
    _, claims, _ = text.split(".")
    return f"{part({'alg': algorithm, 'typ': 'JWT'})}.{claims}."


def _with_public_key_as_secret(node: TestNode, text: str) -> str:
    """HS256 with the bytes of the public key as the secret: the old confusion."""
    with httpx2.Client() as client:
        key = client.get(f"{node.url}/.well-known/jwks.json").json()["keys"][0]
    raw = base64.urlsafe_b64decode(key["x"] + "==")
    pem = Ed25519PublicKey.from_public_bytes(raw).public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    signed = f"{part({'alg': 'HS256', 'typ': 'JWT', 'kid': key['kid']})}.{text.split('.')[1]}"
    return f"{signed}.{b64(hmac.digest(pem, signed.encode(), 'sha256'))}"


def _signed_by_another(text: str, *, embed: bool) -> str:
    own = Ed25519PrivateKey.generate()
    head = json.loads(base64.urlsafe_b64decode(text.partition(".")[0] + "=="))
    if embed:
        x = own.public_key().public_bytes_raw()
        head |= {"jwk": {"kty": "OKP", "crv": "Ed25519", "x": b64(x)}, "jku": "http://127.0.0.1/"}
    signed = f"{part(head)}.{text.split('.')[1]}"
    return f"{signed}.{b64(own.sign(signed.encode()))}"


JWT_FORGERIES = {
    "alg-none": lambda n, t: _unsigned(t, "none"),
    "alg-none-case": lambda n, t: _unsigned(t, "nOnE"),
    "alg-empty": lambda n, t: _unsigned(t, ""),
    "hs256-public-key": _with_public_key_as_secret,
    "another-key": lambda n, t: _signed_by_another(t, embed=False),
    "embedded-key": lambda n, t: _signed_by_another(t, embed=True),
    "subject": lambda n, t: _changed(t, sub="function:other/f"),
    "audience": lambda n, t: _changed(t, aud="https://bank.test"),
    "expiry": lambda n, t: _changed(t, exp=int(time.time()) + 10**6),
    "kid-other": lambda n, t: _header(t, kid="other"),
    "kid-path": lambda n, t: _header(t, kid="../../dev/null"),
    "alg-changed": lambda n, t: _header(t, alg="ES256"),
    "signature-empty": lambda n, t: t.rsplit(".", 1)[0] + ".",
    "signature-flipped": lambda n, t: _flip(t, t.rindex(".") + 10),
    "signature-short": lambda n, t: t[:-10],
}


@pytest.mark.parametrize("name", list(JWT_FORGERIES))
def test_a_forged_identity_is_verified_by_nobody(target: TestNode, issued: str, name: str) -> None:
    """With the published keys it does not verify, and to the node it is no credential."""
    forged = JWT_FORGERIES[name](target, issued)
    with pytest.raises((JoseError, ValueError)):
        _verify(target, forged)
    _is_refused(target, headers={"authorization": f"Bearer {forged}"})


def test_a_functions_own_identity_is_no_credential_of_the_node(
    target: TestNode, issued: str
) -> None:
    _is_refused(target, headers={"authorization": f"Bearer {issued}"})


@pytest.mark.parametrize(
    "audience", ['x","sub":"function:other/f', "a\nb", "\u202ex", "", "x" * 600]
)
def test_an_audience_changes_no_other_claim(target: TestNode, audience: str) -> None:
    tried = attempt(target, "t/f", {"attack": "token", "audience": audience})
    if tried.response.status_code == 200:
        claims = _verify(target, tried.answer["token"])
        assert (claims["sub"], claims["aud"]) == ("function:t/f", audience)
    assert tried.recorded("ok" if tried.response.status_code == 200 else "handler-error")


def test_what_is_public_signs_nothing(target: TestNode) -> None:
    """The published keys hold no private part."""
    with httpx2.Client() as client:
        keys = client.get(f"{target.url}/.well-known/jwks.json").json()["keys"]
    assert keys
    assert {name for key in keys for name in key} <= {"kty", "crv", "x", "kid", "alg", "use"}
