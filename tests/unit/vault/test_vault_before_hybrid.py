"""Vaults and sealed values of the code before hybrid sealing: they open, and are carried over."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from vault_samples import VALUE, contents, master_key, open_engine, put, value_of

from casemate.vault import sealed_x25519
from casemate.vault.envelope import new_key
from casemate.vault.errors import VaultInputError
from casemate.vault.new_master import NewMaster, seal_master
from casemate.vault.sealed import PUBLIC_KEY_BYTES
from casemate.vault.sources import KeyParameters
from casemate.vault.state import STATE_FILE, read_header

_SAMPLE = json.loads(Path(__file__).with_name("before_hybrid.json").read_text(encoding="utf-8"))


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


MASTER = master_key(key=_bytes(_SAMPLE["master"]))
LATE = _bytes(_SAMPLE["late"])
"""Sealed to the old key for shop/late, and not yet sent when the node was updated."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "vault"
    path.mkdir(mode=0o700)
    for name, text in _SAMPLE["files"].items():
        (path / name).write_bytes(_bytes(text))
        (path / name).chmod(0o600)
    return path


def test_values_that_were_sealed_before_open() -> None:
    private = _bytes(_SAMPLE["private"])
    for value, sealed in _SAMPLE["sealed"].items():
        assert sealed_x25519.unseal(private, b"info", _bytes(sealed)) == value.encode()
        with pytest.raises(VaultInputError):
            sealed_x25519.unseal(private, b"other", _bytes(sealed))
        with pytest.raises(VaultInputError):
            sealed_x25519.unseal(new_key(), b"info", _bytes(sealed))
        for cut in (b"", _bytes(sealed)[:40], _bytes(sealed)[:-1]):
            with pytest.raises(VaultInputError):
                sealed_x25519.unseal(private, b"info", cut)


@pytest.mark.parametrize("ephemeral", [bytes(32), bytes([1]) + bytes(31)])
def test_an_old_key_of_low_order_is_refused(ephemeral: bytes) -> None:
    with pytest.raises(VaultInputError):
        sealed_x25519.unseal(new_key(), b"", b"\x01" + ephemeral + bytes(40))


def test_an_old_vault_opens_with_all_it_had(folder: Path) -> None:
    assert len(read_header((folder / STATE_FILE).read_bytes()).public_key) == 32
    engine = open_engine(folder, MASTER)
    assert value_of(engine) == VALUE
    assert value_of(engine, "tls-key") == b"v" * 1000
    assert engine.unwrap("test", _bytes(_SAMPLE["wrapped"])) == b"wrapped before"
    assert len(engine.public_key()) == PUBLIC_KEY_BYTES
    engine.put_secret("shop", "late", LATE, "user:ada")
    assert value_of(engine, "late") == b"sealed before"
    put(engine, name="new")
    engine.close()


def test_it_is_carried_over_once(folder: Path) -> None:
    open_engine(folder, MASTER).close()
    first = contents(folder)
    engine = open_engine(folder, MASTER)
    assert contents(folder) == first
    engine.put_secret("shop", "late", LATE, "user:ada")
    assert value_of(engine, "late") == b"sealed before"
    engine.close()


def test_both_keys_survive_another_master_key(folder: Path) -> None:
    engine = open_engine(folder, MASTER)
    header = read_header((folder / STATE_FILE).read_bytes())
    new = NewMaster("file:/new.key", new_key(), KeyParameters(), MASTER.key)
    engine.rotate_master(seal_master(header.public_key, header.vault, new))
    engine.close()
    engine = open_engine(folder, master_key("file:/new.key", new.key))
    engine.put_secret("shop", "late", LATE, "user:ada")
    put(engine, name="new")
    assert value_of(engine, "late") == b"sealed before" and value_of(engine, "new") == VALUE
    engine.close()


def test_a_new_vault_opens_nothing_of_the_old_kind(tmp_path: Path) -> None:
    engine = open_engine(tmp_path / "vault", master_key(), create=True)
    with pytest.raises(VaultInputError):
        engine.put_secret("shop", "late", LATE, "user:ada")
    engine.close()
