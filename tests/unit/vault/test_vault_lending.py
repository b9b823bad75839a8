"""Logins of package indexes are lent, sealed to one key for one use; no other secret is."""

from __future__ import annotations

from pathlib import Path

import pytest
from vault_samples import master_key, open_engine, put

from casemate.child.protocol import CONNECT
from casemate.model.errors import NotFoundError
from casemate.model.vault import is_for_index
from casemate.vault import protocol
from casemate.vault.errors import VaultInputError
from casemate.vault.sealed import (
    new_private_key,
    open_lent,
    public_key_of,
    secret_info,
    unseal,
)

VALUE = b"https://pkgs.example bearer hunter2"


@pytest.fixture
def engine(tmp_path: Path):
    opened = open_engine(tmp_path / "vault", master_key(), create=True)
    yield opened
    opened.close()


def test_a_login_is_lent_to_the_key_that_asks_and_opens_with_no_other(engine) -> None:
    put(engine, name="index-own", value=VALUE)
    key = new_private_key()
    sealed = engine.lend_secret("shop", "index-own", public_key_of(key))
    assert VALUE not in sealed
    assert open_lent(key, "shop", "index-own", sealed) == VALUE
    for other in (
        (new_private_key(), "shop", "index-own"),
        (key, "mail", "index-own"),
        (key, "shop", "index-other"),
    ):
        with pytest.raises(VaultInputError):
            open_lent(*other, sealed)
    with pytest.raises(VaultInputError):  # it is no value that could be set
        unseal(key, secret_info("shop", "index-own"), sealed)
    put(engine, name="index-own", value=VALUE + b"-new")
    again = engine.lend_secret("shop", "index-own", public_key_of(key))
    assert open_lent(key, "shop", "index-own", again) == VALUE + b"-new"


@pytest.mark.parametrize(
    "name", ["api-key", "index", "index-", "indexes", "my-index-own", "INDEX-X"]
)
def test_what_is_for_functions_is_lent_to_nobody(engine, name: str) -> None:
    assert not is_for_index(name)
    put(engine, name="api-key", value=VALUE)
    with pytest.raises(VaultInputError, match="only functions get it"):
        engine.lend_secret("shop", name, public_key_of(new_private_key()))


def test_what_is_not_there_and_what_is_no_key(engine) -> None:
    key = public_key_of(new_private_key())
    with pytest.raises(NotFoundError):
        engine.lend_secret("shop", "index-own", key)
    put(engine, name="index-own", value=VALUE)
    for wrong in (b"", key[:-1], key + b"\0", bytes(32)):
        with pytest.raises(VaultInputError):
            engine.lend_secret("shop", "index-own", wrong)


def test_neither_recorder_nor_monitor_may_ask() -> None:
    asked = protocol.LendSecret(1, "shop", "index-own", b"")
    assert protocol.is_allowed(asked, CONNECT)
    for kind in (protocol.RECORDER, protocol.MONITOR):
        assert not protocol.is_allowed(asked, kind, frozenset({"shop/index-own"}))
