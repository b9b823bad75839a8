"""Tokens: verified by the published keys, and by nothing else."""

from __future__ import annotations

import time
import warnings
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import KeySet
from vault_samples import master_key, open_engine

from casemate.vault import signing
from casemate.vault.errors import VaultInputError


@pytest.fixture
def engine(tmp_path: Path):
    opened = open_engine(tmp_path / "vault", master_key(), create=True)
    yield opened
    opened.close()


def claims(**more: object) -> bytes:
    now = int(time.time())
    return msgspec.json.encode({"sub": "shop/cart", "iat": now, "exp": now + 60, **more})


def verified(engine, token: str, algorithms=("EdDSA",)):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SecurityWarning)
        keys = KeySet.import_key_set(engine.public_keys())
        return jwt.decode(token, keys, algorithms=list(algorithms))


def test_a_token_is_verified_by_the_jwks(engine) -> None:
    token = verified(engine, engine.sign_token(claims()))
    assert token.claims["sub"] == "shop/cart"
    (key,) = engine.public_keys()["keys"]
    assert token.header == {"typ": "JWT", "alg": "EdDSA", "kid": key["kid"]}
    assert "d" not in key


def test_forged_tokens(engine) -> None:
    token = engine.sign_token(claims())
    head, body, signature = token.split(".")
    other = engine.sign_token(claims(sub="shop/admin")).split(".")[1]
    none = "eyJhbGciOiJub25lIn0"
    for forged in (f"{head}.{other}.{signature}", f"{head}.{body}.", f"{none}.{body}."):
        with pytest.raises((JoseError, ValueError)):
            verified(engine, forged)


def test_rotation_overlaps_by_a_day(engine, monkeypatch) -> None:
    before = engine.sign_token(claims())
    kid = engine.rotate_signing_key()
    assert verified(engine, before).claims["sub"] == "shop/cart"
    assert verified(engine, engine.sign_token(claims())).header["kid"] == kid
    assert len(engine.public_keys()["keys"]) == 2
    later = time.time() + signing.OVERLAP_SECONDS + 1
    monkeypatch.setattr(signing.time, "time", lambda: later)
    assert [key["kid"] for key in engine.public_keys()["keys"]] == [kid]
    engine.rotate_signing_key()
    assert len(engine.public_keys()["keys"]) == 2


def test_a_key_that_a_clock_ahead_has_retired_is_published_no_longer(engine, monkeypatch) -> None:
    """It was for as long as the clock had been ahead, and whoever had stolen it signed."""
    ahead = time.time() + 10 * 365 * 86_400.0
    with monkeypatch.context() as patched:
        patched.setattr(signing.time, "time", lambda: ahead)
        kid = engine.rotate_signing_key()
    assert [key["kid"] for key in engine.public_keys()["keys"]] == [kid]


@pytest.mark.parametrize(
    "data",
    [
        b"[]",
        b"nothing",
        b"\xff",
        b"{}",
        b'{"iat": 1}',
        b'{"iat": 1, "exp": 1}',
        b'{"iat": 2, "exp": 1}',
        b'{"iat": 0, "exp": 86401}',
        b'{"iat": true, "exp": 5}',
        b'{"iat": "1", "exp": "2"}',
        b'{"iat": 0, "exp": 1e400}',
        b'{"iat": 1, "exp": 2, "x": "' + b"y" * 20_000 + b'"}',
    ],
)
def test_claims_that_are_refused(engine, data) -> None:
    with pytest.raises(VaultInputError) as caught:
        engine.sign_token(data)
    assert caught.value.next_step


@given(st.binary(max_size=200))
def test_rubbish_is_refused(data) -> None:
    with pytest.raises(VaultInputError):
        signing.check_claims(data)
