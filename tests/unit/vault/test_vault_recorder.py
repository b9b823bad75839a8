"""What the recorder alone may ask of the vault, and what it may not."""

from __future__ import annotations

from pathlib import Path

import pytest
from vault_samples import master_key, open_engine

from casemate.vault import protocol
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
    ],
)
def test_a_gateway_may_ask_none_of_what_is_the_recorder_s(request_: protocol.Request) -> None:
    assert protocol.is_allowed(request_, protocol.RECORDER)
    assert not protocol.is_allowed(request_, GATEWAY)


def test_the_recorder_may_ask_nothing_of_a_gateway_s() -> None:
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
