"""Statements about playbooks: signed by a key of their own, verified by this vault alone."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from shared_samples import two
from vault_samples import master_key, open_engine

from casemate.model.errors import NotFoundError
from casemate.vault.interface import Purpose

STATEMENT = b"version 1 of mine"


def test_what_was_signed_verifies_and_nothing_else(tmp_path: Path) -> None:
    master = master_key()
    engine = open_engine(tmp_path / "vault", master, create=True)
    signature = engine.sign_playbook(STATEMENT)
    assert engine.verify_playbook(STATEMENT, signature)
    assert not engine.verify_playbook(STATEMENT + b"0", signature)
    for place in range(4, len(signature)):
        changed = bytearray(signature)
        changed[place] ^= 1
        assert not engine.verify_playbook(STATEMENT, bytes(changed))
    for wrong in (b"", signature[4:], signature + b"\0", signature[:-1]):
        assert not engine.verify_playbook(STATEMENT, wrong)
    with pytest.raises(NotFoundError):
        engine.verify_playbook(STATEMENT, b"\0\0\0\x09" + signature[4:])
    engine.close()
    again = open_engine(tmp_path / "vault", master)
    assert again.verify_playbook(STATEMENT, signature)
    again.close()
    other = open_engine(tmp_path / "other", master_key(), create=True)
    other.sign_playbook(b"")
    assert not other.verify_playbook(STATEMENT, signature)
    other.close()


def test_former_keys_verify_after_a_rotation_and_are_not_taken_for_the_new_one(
    tmp_path: Path,
) -> None:
    engine = open_engine(tmp_path / "vault", master_key(), create=True)
    before = engine.sign_playbook(STATEMENT)
    engine.rotate_data_keys("")
    after = engine.sign_playbook(STATEMENT)
    assert before != after
    assert engine.verify_playbook(STATEMENT, before) and engine.verify_playbook(STATEMENT, after)
    assert not engine.verify_playbook(STATEMENT, after[:4] + before[4:])
    assert not engine.verify_playbook(STATEMENT, before[:4] + after[4:])
    engine.close()


def test_no_key_that_the_gateway_gets_signs_them_and_none_of_theirs_signs_others(
    tmp_path: Path,
) -> None:
    engine = open_engine(tmp_path / "vault", master_key(), create=True)
    signature = engine.sign_playbook(STATEMENT)[4:]
    public = [bytes(engine.journal_key().public)]
    for purpose in Purpose:
        key = engine.data_key("", purpose, None).key
        public.append(Ed25519PrivateKey.from_private_bytes(key).public_key().public_bytes_raw())
        assert not engine.verify_playbook(STATEMENT, b"\0\0\0\x01" + _by(key))
    for each in public:
        with pytest.raises(InvalidSignature):
            Ed25519PublicKey.from_public_bytes(each).verify(signature, STATEMENT)
    engine.close()


def _by(key: bytes) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(key).sign(STATEMENT)


def test_vaults_of_one_cluster_verify_what_each_has_signed(tmp_path: Path) -> None:
    async def run() -> None:
        async with two(tmp_path) as (one, other, _):
            for _ in range(2):
                signature = await one.change("sign_playbook", STATEMENT)
                assert isinstance(signature, bytes)
                await other.follow()
                assert other.engine.verify_playbook(STATEMENT, signature)
                await one.change("rotate_data_keys", "")

    asyncio.run(run())
