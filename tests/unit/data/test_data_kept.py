"""Bytes are bounded as well as counts, on every way in; and a part of the disk stays free."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from data_support import Data, end_of

from casemate.data import DataFullError, LimitError, kept
from casemate.data.interface import (
    Fate,
    InvocationState,
    InvocationStatus,
    NewMessage,
    Subscription,
)

FOR_SQLITE_ALONE: frozenset[str] = frozenset(
    {"test_in_the_reserve_nothing_new_is_kept_and_what_is_kept_is_handled"}
)

INBOX = ("p", "inbox", "f")


@pytest.fixture
def inbox(data: Data) -> Data:
    data.subscribe("p", (Subscription(function="f"),))
    return data


def keep(data: Data, body: bytes, caller: str = "token:a", *, anonymous: bool = False) -> None:
    data.send_many(*INBOX, (NewMessage(body=body, caller=caller, anonymous=anonymous),))


def text(size: int) -> bytes:
    return b'"' + b"x" * (size - 2) + b'"'


def test_what_waits_for_one_caller_is_bounded(inbox: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "MAX_CALLER_BYTES", 1000)
    keep(inbox, text(900))
    with pytest.raises(LimitError, match="caller"):
        keep(inbox, text(200))
    keep(inbox, text(900), "token:b")
    # What is handled, or is a dead letter, is the caller's no more.
    for fate in (Fate.DONE, Fate.DEAD):
        (first,) = inbox.lease(*INBOX, limit=1, lease=10)
        inbox.settle(*INBOX, (end_of(first, fate=fate),))
        keep(inbox, text(900))
        with pytest.raises(LimitError):
            keep(inbox, text(200))
        (second,) = inbox.lease(*INBOX, limit=1, lease=10)
        inbox.settle(*INBOX, (end_of(second, fate=Fate.DONE),))


def test_those_without_a_token_share_less(inbox: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "MAX_ANONYMOUS_EVENTS", 3)
    for _ in range(3):
        keep(inbox, b"1", "anonymous:public", anonymous=True)
    with pytest.raises(LimitError, match="3 events"):
        keep(inbox, b"1", "anonymous:public", anonymous=True)
    keep(inbox, b"1")


def test_a_queue_is_bounded_in_bytes_dead_letters_included(
    inbox: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "MAX_QUEUE_BYTES", 1000)
    keep(inbox, text(600), "")
    (first,) = inbox.lease(*INBOX, limit=1, lease=10)
    inbox.settle(*INBOX, (end_of(first, fate=Fate.DEAD),))
    with pytest.raises(LimitError, match="1000 is the most"):
        keep(inbox, text(600), "")
    keep(inbox, text(300), "")
    assert inbox.purge(*INBOX) == 1
    keep(inbox, text(300), "")


def test_a_project_is_bounded_in_bytes(inbox: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "MAX_PROJECT_BYTES", 1000)
    inbox.subscribe("p", (Subscription(function="f"), Subscription(function="g")))
    keep(inbox, text(600))
    with pytest.raises(LimitError, match="project"):
        inbox.send_many("p", "inbox", "g", (NewMessage(body=text(600), caller="token:a"),))


def test_results_are_bounded_in_bytes(inbox: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "MAX_RESULT_TOTAL_BYTES", 1000)

    def finish(name: str) -> bytes | None:
        status = InvocationStatus(
            id=name,
            function="f",
            state=InvocationState.SUCCEEDED,
            attempts=1,
            accepted_at=0.0,
            finished_at=1.0,
            result=text(600),
        )
        inbox.finish_invocation("p", status)
        return inbox.invocation_status("p", name).result

    assert finish("a") is not None
    assert finish("a") is not None, "the same once more takes no more room"
    assert finish("b") is None


def test_a_part_of_the_disk_stays_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = 0

    def statvfs(_: object) -> SimpleNamespace:
        return SimpleNamespace(f_blocks=1_000_000, f_frsize=4096, f_bavail=free)

    monkeypatch.setattr(os, "statvfs", statvfs)
    monkeypatch.setattr(kept, "_LOOK_SECONDS", 0.0)
    reserve = kept.DiskReserve(tmp_path)
    for available, is_full in ((49_999, True), (50_000, False), (0, True), (1_000_000, False)):
        free = available
        if is_full:
            with pytest.raises(DataFullError, match="reserve"):
                reserve.require()
        else:
            reserve.require()


def test_in_the_reserve_nothing_new_is_kept_and_what_is_kept_is_handled(
    inbox: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(inbox, b"1")
    monkeypatch.setattr(kept.DiskReserve, "_look", lambda _: 1)
    monkeypatch.setattr(kept, "_LOOK_SECONDS", 0.0)
    with pytest.raises(DataFullError):
        keep(inbox, b"2")
    with pytest.raises(DataFullError):
        inbox.put_object("p", "files", "k", b"x")
    with pytest.raises(DataFullError):
        inbox.put_item("p", "plain", {"id": "a"})
    (first,) = inbox.lease(*INBOX, limit=1, lease=10)
    assert inbox.settle(*INBOX, (end_of(first, fate=Fate.DONE),)) == 1
