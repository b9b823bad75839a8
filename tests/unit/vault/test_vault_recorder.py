"""What the recorder alone may ask of the vault, and what it may not."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from shared_samples import two
from vault_samples import master_key, open_engine

from casemate.vault import protocol
from casemate.vault.errors import VaultInputError
from casemate.vault.interface import Purpose

GATEWAY = b"gateway"


@pytest.mark.parametrize("purpose", list(Purpose))
def test_each_purpose_s_keys_go_to_one_kind_of_connection(purpose: Purpose) -> None:
    asked = protocol.GetDataKey(1, "", purpose, None)
    whose = {
        Purpose.JOURNAL: protocol.RECORDER,
        Purpose.RECORDS: protocol.RECORDER,
        Purpose.MONITOR: protocol.MONITOR,
    }.get(purpose, GATEWAY)
    for kind in (protocol.RECORDER, protocol.MONITOR, GATEWAY):
        assert protocol.is_allowed(asked, kind) is (kind == whose)


@pytest.mark.parametrize(
    "request_",
    [
        protocol.GetJournalKey(1),
        protocol.SignHead(1, ""),
        protocol.AreRecordsKept(1),
        protocol.KeepRecords(1),
        protocol.GetNode(1),
        protocol.Attest(1, bytes(32)),
        protocol.IsAttested(1, "", bytes(32), bytes(32)),
    ],
)
def test_a_gateway_may_ask_none_of_what_is_the_recorder_s(request_: protocol.Request) -> None:
    assert protocol.is_allowed(request_, protocol.RECORDER)
    assert not protocol.is_allowed(request_, GATEWAY)


def test_the_recorder_may_ask_nothing_of_a_gateway_s() -> None:
    for request in (protocol.SignPlaybook(1, b""), protocol.VerifyPlaybook(1, b"", b"")):
        assert protocol.is_allowed(request, GATEWAY)
        assert not protocol.is_allowed(request, protocol.RECORDER)
        assert not protocol.is_allowed(request, protocol.MONITOR)
    assert not protocol.is_allowed(protocol.GetStatus(1), protocol.RECORDER)
    assert not protocol.is_allowed(protocol.HasSecrets(1, "p"), protocol.RECORDER)


def test_that_there_are_records_is_known_for_good_once_it_was_said(tmp_path: Path) -> None:
    master = master_key()
    engine = open_engine(tmp_path / "vault", master, create=True)
    assert not engine.records_kept()
    engine.keep_records()
    engine.keep_records()
    assert engine.records_kept()
    engine.close()
    again = open_engine(tmp_path / "vault", master)
    assert again.records_kept()
    again.close()


def test_the_keys_of_store_and_records_are_different(tmp_path: Path) -> None:
    engine = open_engine(tmp_path / "vault", master_key(), create=True)
    keys = {engine.data_key("", purpose, None).key for purpose in Purpose}
    assert len(keys) == len(Purpose)
    engine.close()


def test_a_vault_attests_as_its_own_node_and_no_other(tmp_path: Path) -> None:
    async def run() -> None:
        async with two(tmp_path) as (one, other, _):
            digest, another = bytes(32), bytes(range(32))
            code = one.engine.attest(digest)
            assert one.engine.node() != other.engine.node()
            for each in (one, other):
                assert each.engine.is_attested(one.engine.node(), digest, code)
                assert not each.engine.is_attested(other.engine.node(), digest, code)
                assert not each.engine.is_attested(one.engine.node(), another, code)
                assert not each.engine.is_attested(one.engine.node(), digest, b"")
            assert other.engine.attest(digest) != code

    asyncio.run(run())


def test_a_vault_of_one_node_alone_attests_nothing(tmp_path: Path) -> None:
    engine = open_engine(tmp_path / "vault", master_key(), create=True)
    assert engine.node() == ""
    with pytest.raises(VaultInputError):
        engine.attest(bytes(32))
    with pytest.raises(VaultInputError):
        engine.is_attested("", bytes(32), bytes(32))
    engine.close()
