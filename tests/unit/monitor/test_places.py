"""Second places for checkpoints: what arrives, what is said if not, and what is found."""

from __future__ import annotations

import asyncio
import base64
import errno
import hashlib
import hmac
import json
import os
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from casemate.journal.errors import JournalDamagedError
from casemate.journal.kept import MAX_KEPT, notes_in
from casemate.monitor import retrying
from casemate.monitor.detecting import ROLLED_BACK, UNSENT
from casemate.monitor.errors import MonitorError, UndeliveredError
from casemate.monitor.http import Request
from casemate.monitor.places import checkpoints as checkpoints_module
from casemate.monitor.places import kept_file, sending
from casemate.monitor.places.checkpoints import Checkpoints
from casemate.monitor.places.kept_file import KeptFile
from casemate.monitor.places.note import Note, note_of
from casemate.monitor.places.posting import LoggedAt, PostedTo
from casemate.monitor.places.s3 import S3Objects, signed
from casemate.monitor.places.sending import Place
from casemate.monitor.places.settings import FilePlace
from casemate.monitor.places.settings import Place as Settings
from casemate.monitor.reaching import Reach
from casemate.recorder.reading_protocol import Head
from support.egress import TestAuthority
from support.journal import KEY
from support.monitor import (
    Journal,
    Receiver,
    SyslogServer,
    Watch,
    not_own,
    refused,
    running,
)
from support.monitor import signed as hmac_of
from support.waiting import until


def place(kind: str, **fields: Any) -> Any:
    chosen = {"kind": kind, **fields}
    return msgspec.convert(chosen, Settings)  # type: ignore[arg-type]


def note(size: int = 7) -> Note:
    root = hashlib.sha256(b"%d" % size).digest()
    text = f"casemate.test/journal\n{size}\n{base64.b64encode(root).decode()}\n\n"
    return Note(f"{text}\u2014 casemate.test/journal AAAA\n", KEY.text, size, root)


def opened(path: Path, own: Path | None = None, **fields: Any) -> KeptFile:
    folder = os.open(own or path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return KeptFile(FilePlace(path=str(path), accept=("same-mount",), **fields), folder)
    finally:
        os.close(folder)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(retrying, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(retrying, "LONGEST_PAUSE", 0.05)


# -- a file ----------------------------------------------------------------------------------------


@running
async def test_what_is_sent_is_at_the_end_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "kept"
    made = opened(file)
    for n in range(3):
        await made.send(note(n))
    assert notes_in(file.read_text()) == [note(n).text for n in range(3)]
    assert file.stat().st_mode & 0o777 == 0o600
    assert "somebody else" in opened(file).problem
    os.close(made._file)
    again = opened(file)
    await again.send(note(9))
    assert notes_in(file.read_text())[-1] == note(9).text


@running
async def test_what_a_kill_cut_is_written_over(tmp_path: Path) -> None:
    whole = note(1).text + note(2).text
    data = whole.encode()
    for cut in range(len(note(1).text.encode()), len(data)):
        file = tmp_path / f"kept{cut}"
        file.write_bytes(data[:cut])
        made = opened(file)
        await made.send(note(3))
        assert file.read_text() == note(1).text + note(3).text, cut
        os.close(made._file)


@running
async def test_a_file_that_was_cut_from_below_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "kept"
    made = opened(file)
    await made.send(note(1))
    os.truncate(file, 0)  # logrotate, with copytruncate
    await made.send(note(2))
    assert file.read_text() == note(2).text


@running
async def test_the_file_is_bounded_and_its_newest_are_at_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_file, "MAX_KEPT", 40)
    monkeypatch.setattr("casemate.journal.kept.MAX_KEPT", 40)
    monkeypatch.setattr(os, "fsync", lambda _file: None)
    file = tmp_path / "kept"
    made = opened(file)
    for n in range(500):
        await made.send(note(n))
        assert notes_in(file.read_text())[-1] == note(n).text
    kept = notes_in(file.read_text())
    assert len(kept) <= 40 < MAX_KEPT
    assert kept[0] == note(0).text


@running
async def test_a_kill_while_it_is_thinned_leaves_the_newest_at_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "kept"
    made = opened(file)
    for n in range(60):
        await made.send(note(n))
    monkeypatch.setattr("casemate.journal.kept.MAX_KEPT", 40)
    with monkeypatch.context() as patch:

        def killed(*_: Any) -> None:
            raise OSError(errno.EIO, "killed")

        patch.setattr(os, "ftruncate", killed)
        with pytest.raises(OSError, match="killed"):
            made._thin()
    assert notes_in(file.read_text())[-1] == note(59).text
    os.close(made._file)
    again = opened(file)
    await again.send(note(60))
    assert notes_in(file.read_text())[-2:] == [note(59).text, note(60).text]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS])
def test_a_full_disk_is_named_and_what_was_there_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    async def run() -> None:
        file = tmp_path / "kept"
        made = opened(file)
        await made.send(note(1))
        real = os.pwrite

        def short(descriptor: int, data: Any, at: int) -> int:
            if at > len(note(1).text.encode()):
                raise OSError(number, os.strerror(number))
            return real(descriptor, bytes(data)[:10], at)

        with monkeypatch.context() as patch:
            patch.setattr(os, "pwrite", short)
            with pytest.raises(OSError, match=os.strerror(number)):
                await made.send(note(2))
        assert file.read_text() == note(1).text
        await made.send(note(2))
        assert file.read_text() == note(1).text + note(2).text

    asyncio.run(run())


@running
async def test_a_mount_that_hangs_holds_one_thread_and_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = opened(tmp_path / "kept")
    gate = __import__("threading").Event()
    monkeypatch.setattr(os, "fsync", lambda _file: gate.wait(20))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(made.send(note(1)), 0.1)
    began = time.monotonic()
    for _ in range(20):
        with pytest.raises(UndeliveredError, match="hangs"):
            await made.send(note(2))
    assert time.monotonic() - began < 15
    gate.set()
    await until(lambda: made._writing is not None and made._writing.done())
    await made.send(note(3))
    assert notes_in((tmp_path / "kept").read_text()) == [note(1).text, note(3).text]


def test_what_is_no_file_of_its_own_is_refused_and_named(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("a diary\n")
    (tmp_path / "link").symlink_to(tmp_path / "other")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    os.link(tmp_path / "other", tmp_path / "twin")
    for name in ("other", "link", "pipe", "folder", "twin", "missing/kept"):
        made = opened(tmp_path / name, tmp_path)
        assert made.problem and made._file < 0, name
        with pytest.raises(UndeliveredError):
            asyncio.run(made.send(note()))
    assert (tmp_path / "other").read_text() == "a diary\n"


def test_no_link_on_the_way_to_it_is_followed(tmp_path: Path) -> None:
    """Whoever could put one there had a node of root make a file in any folder."""
    for name in ("real/below", "elsewhere"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "real/below/up").symlink_to("../../elsewhere")
    for name in ("linked/kept", "real/below/up/kept"):
        made = opened(tmp_path / name, tmp_path)
        assert "cannot be opened" in made.problem and made._file < 0, name
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert opened(tmp_path / "real/below/kept", tmp_path).problem == ""


def test_a_file_on_the_node_s_own_mount_is_refused_unless_it_is_meant(tmp_path: Path) -> None:
    folder = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    made = KeptFile(FilePlace(path=str(tmp_path / "kept")), folder)
    os.close(folder)
    assert "same mount" in made.problem
    assert not (tmp_path / "kept").exists()


# -- webhook, syslog, S3 ---------------------------------------------------------------------------


@running
async def test_a_webhook_gets_the_note_signed() -> None:
    with Receiver() as receiver:
        url = f"http://127.0.0.1:{receiver.port}/kept"
        chosen = place("webhook", url=url, secret="ops/key", accept=["private", "plaintext"])
        await PostedTo(chosen, Reach(not_own), 1, "node", hmac_of).send(note())
        [(_, headers, body)] = receiver.requests
        receiver.answer = b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\n\r\n"
        with pytest.raises(UndeliveredError, match="not followed"):
            await PostedTo(chosen, Reach(not_own), 1, "node", hmac_of).send(note())
    told = json.loads(body)
    assert told["checkpoint"] == note().text and told["type"] == "checkpoint"
    assert (told["size"], told["key"]) == (7, KEY.text)
    text = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    right = base64.b64encode(hmac.digest(b"key", text, hashlib.sha256)).decode()
    assert headers["webhook-signature"] == f"v1,{right}"


@running
async def test_a_line_of_syslog_holds_the_whole_note() -> None:
    authority = TestAuthority()
    server = SyslogServer(authority.context("127.0.0.1"))
    ca = authority.path.read_text()
    chosen = place("syslog", server=f"127.0.0.1:{server.port}", ca=ca, accept=["private"])
    await LoggedAt(chosen, Reach(not_own), 1, "node").send(note())
    await until(lambda: server.lines)
    [line] = server.lines
    encoded = line.partition(b' note="')[2].partition(b'"')[0]
    assert base64.b64decode(encoded).decode() == note().text
    server.close()


def test_a_request_is_signed_as_amazon_s_example_is() -> None:
    # "PUT Object" of the documentation of Signature Version 4 (AmazonS3, sig-v4-header-based-auth).
    request = Request(
        "PUT",
        "https://examplebucket.s3.amazonaws.com/test%24file.text",
        {"date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY"},
        b"Welcome to Amazon S3.",
    )
    headers = signed(
        request,
        access_key="AKIAIOSFODNN7EXAMPLE",
        secret="wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        region="us-east-1",
        at=1369353600.0,
    )
    assert headers["authorization"].endswith(
        "Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"
    )


@running
async def test_an_object_is_put_under_a_name_of_its_own() -> None:
    async def password(secret: str) -> str:
        assert secret == "ops/s3"
        return "topsecret\n"

    with Receiver() as receiver:
        chosen = place(
            "s3",
            url=f"http://127.0.0.1:{receiver.port}",
            bucket="witness",
            prefix="node-1/",
            access_key="AKIA1",
            secret="ops/s3",
            accept=["private", "plaintext"],
        )
        await S3Objects(chosen, Reach(not_own), 1, password).send(note())
        [(_, headers, body)] = receiver.requests
        receiver.answer = b"HTTP/1.1 403 Forbidden\r\n\r\n"
        with pytest.raises(UndeliveredError, match="403"):
            await S3Objects(chosen, Reach(not_own), 1, password).send(note())
    name = f"/witness/node-1/{7:017d}-{note().id}.checkpoint"
    assert headers[":request"] == f"PUT {name} HTTP/1.1"
    assert body.decode() == note().text
    assert "topsecret" not in str(headers)
    assert (
        "/us-east-1/s3/aws4_request, SignedHeaders=content-type;host;" in headers["authorization"]
    )
    assert (
        headers["x-amz-checksum-sha256"] == base64.b64encode(hashlib.sha256(body).digest()).decode()
    )


# -- when ------------------------------------------------------------------------------------------


class Target:
    """Takes notes, or does what it is told to."""

    def __init__(self) -> None:
        self.notes: list[Note] = []
        self.problem: Exception | None = None
        self.hangs = False

    async def send(self, note: Note) -> None:
        if self.hangs:
            await asyncio.sleep(3600)
        if self.problem is not None:
            raise self.problem
        self.notes.append(note)


@running
async def test_what_is_new_is_sent_once_and_a_node_at_rest_sends_nothing(tmp_path: Path) -> None:
    journal, target = Journal(tmp_path / "journal"), Target()
    sent = Checkpoints((Place("usb", 0.05, target.send),))
    watch = await Watch(tmp_path / "m", {}, checkpoints=sent).start(journal)
    await journal.keep(refused(1, at=1.0))
    assert target.notes == []
    text = journal.checkpoint()
    await until(lambda: target.notes)
    await asyncio.sleep(0.3)
    assert [each.text for each in target.notes] == [text]
    await journal.keep(refused(2, at=2.0))
    journal.checkpoint()
    await until(lambda: len(target.notes) == 2)
    [state] = watch.noticing.status().places
    assert (state.sent, state.size, state.problem) == (2, 2, "")
    await watch.stop()
    # Another monitor knows what was sent.
    again = Checkpoints((Place("usb", 0.05, target.send),))
    watch = await Watch(tmp_path / "m", {}, checkpoints=again).start(journal)
    await asyncio.sleep(0.3)
    assert len(target.notes) == 2
    await watch.stop()
    journal.close()


@running
async def test_a_place_that_does_not_answer_is_said_found_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "UNSENT_SECONDS", 0.2)
    monkeypatch.setattr(sending, "ATTEMPT_SECONDS", 0.1)
    journal, gone, well = Journal(tmp_path / "journal"), Target(), Target()
    gone.problem = UndeliveredError("It answers 503.")
    places = (Place("cloud", 0.02, gone.send), Place("usb", 0.02, well.send))
    watch = await Watch(tmp_path / "m", {}, checkpoints=Checkpoints(places)).start(journal)
    await journal.keep(refused(1, at=1.0))
    text = journal.checkpoint()
    await until(lambda: well.notes)
    rules = lambda: [each.rule for each in watch.findings.newest_first()]  # noqa: E731
    await until(lambda: UNSENT in rules())
    assert any("cloud: It answers 503" in each for each in watch.noticing.status().problems)
    cloud = watch.noticing.status().places[0]
    assert cloud.failed > 1 and cloud.sent == 0
    gone.problem, gone.hangs = None, True
    await until(lambda: "not taken within" in watch.noticing.status().places[0].problem)
    gone.hangs = False
    await until(lambda: gone.notes)
    assert gone.notes[0].text == text
    assert not watch.noticing.status().problems
    assert rules().count(UNSENT) == 1
    await watch.stop()
    journal.close()


@running
async def test_a_journal_that_became_shorter_than_what_was_sent_is_found(tmp_path: Path) -> None:
    journal, target = Journal(tmp_path / "journal"), Target()
    await journal.keep(*(refused(n, at=float(n)) for n in range(5)))
    places = Checkpoints((Place("usb", 0.02, target.send),))
    watch = await Watch(tmp_path / "m", {}, checkpoints=places).start(journal)
    journal.checkpoint()
    await until(lambda: target.notes)
    other = note(5)
    journal.head = Head(other.text, other.key, 5)  # as long, and another
    entities = lambda: {  # noqa: E731
        each.entity for each in watch.findings.newest_first() if each.rule == ROLLED_BACK
    }
    await until(lambda: "place=usb sent=5 now=5" in entities())
    shorter = note(3)
    journal.head = Head(shorter.text, shorter.key, 3)
    await until(lambda: "place=usb sent=5 now=3" in entities())
    # All of it is sent on: the other place holds what contradicts itself.
    await until(lambda: [each.size for each in target.notes] == [5, 5, 3])
    await watch.stop()
    journal.close()


@running
async def test_a_journal_without_a_head_is_said_and_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "UNSENT_SECONDS", 0.1)
    target, told = Target(), list[str]()
    damaged = True

    async def head() -> Head:
        if damaged:
            raise JournalDamagedError("checkpoint is missing.")
        return Head(note().text, note().key, 7)

    made = Place("usb", 0.02, target.send)
    made.unsent = told.append
    task = asyncio.create_task(made.run(head))
    await until(lambda: told)
    assert "checkpoint is missing" in made.problem and made.failing_for == 0
    damaged = False
    await until(lambda: target.notes)
    assert made.problem == "" and made.failed == 0
    task.cancel()


@running
async def test_a_file_that_fails_for_long_has_another_monitor_open_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(checkpoints_module, "REOPEN_SECONDS", 0.2)
    monkeypatch.setattr(checkpoints_module, "_LOOK_SECONDS", 0.05)
    file, cloud = Target(), Target()
    file.problem = cloud.problem = OSError(errno.EIO, "Input/output error")

    async def head() -> Head:
        return Head(note().text, note().key, 7)

    both = (Place("usb", 0.02, file.send), Place("cloud", 0.02, cloud.send))
    await asyncio.wait_for(Checkpoints(both, frozenset({"usb"})).run(head), 10)
    alone = asyncio.create_task(Checkpoints(both[1:], frozenset({"usb"})).run(head))
    await asyncio.sleep(0.5)
    assert not alone.done()
    alone.cancel()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a\nb\nc\n",
        "a\n1\n",
        "a\n-1\nAAAA\n\n",
        "a\n" + "9" * 40 + "\nAAAA\n\n\u2014 a b\n",
        f"a\n1\n{'A' * 8}\n\n\u2014 a b\n",
        f"a\n\u0661\n{'A' * 43}=\n\n\u2014 a b\n",
        f"a\n01\n{'A' * 43}=\n\n\u2014 a b\n",
        "a\n1\n" + "\u00e9" * 43 + "=\n\n\u2014 a b\n",
    ],
)
def test_what_is_no_checkpoint_is_sent_nowhere(text: str) -> None:
    with pytest.raises(MonitorError):
        note_of(Head(text, "k", 1))
