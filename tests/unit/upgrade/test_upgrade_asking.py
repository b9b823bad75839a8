"""A supervisor answers its own user and root, one at a time, and never waits."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time

import pytest

from casemate.upgrade import asking as module
from casemate.upgrade.asking import HAND_OVER, STATE, Requests, State, address_of, ask
from casemate.upgrade.errors import UpgradeError

SAYS = State(version="1.0.0", prefix="/x", serving=True)


def answering(requests: Requests, state: State = SAYS, pause: float = 0.01) -> list[bytes]:
    """Answer the next one, in a thread that looks now and then; return what was asked."""
    asked: list[bytes] = []

    def answer() -> None:
        for _ in range(200):
            found = requests.next()
            if found is not None:
                asked.append(found[0])
                requests.answer(found[1], state)
                return
            time.sleep(pause)

    threading.Thread(target=answer, daemon=True).start()
    return asked


def test_asked_and_answered(tmp_path) -> None:
    requests = Requests(tmp_path)
    asked = answering(requests)
    assert ask(tmp_path, HAND_OVER) == SAYS
    assert asked == [HAND_OVER]
    assert requests.next() is None
    requests.close()
    assert ask(tmp_path, seconds=0.1) is None


def test_whose_name_somebody_has_is_asked_in_its_folder(tmp_path, monkeypatch) -> None:
    """Before: who took the name while the node was down kept it from being upgraded."""
    data = tmp_path / ("long" * 50)
    data.mkdir()
    monkeypatch.chdir(data)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(address_of(data))
        requests = Requests(data)
        assert [path.lstat().st_mode & 0o777 for path in data.iterdir()] == [0o600]
        asked = answering(requests)
        assert ask(data, HAND_OVER) == SAYS
        assert asked == [HAND_OVER]
        with pytest.raises(BlockingIOError):
            other.recv(100, socket.MSG_DONTWAIT)
        requests.close()
        assert list(data.iterdir()) == []


@pytest.mark.parametrize("killed", [True, False])
def test_what_is_left_in_the_folder_leads_to_the_name(tmp_path, monkeypatch, killed) -> None:
    """What a killed one has left, and what is not a socket."""
    monkeypatch.chdir(tmp_path)
    if killed:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one:
            one.bind(".supervisor")
    else:
        (tmp_path / ".supervisor").symlink_to("/dev/log")
    requests = Requests(tmp_path)
    answering(requests)
    assert ask(tmp_path) == SAYS
    requests.close()


def test_one_that_hangs_is_waited_for_no_longer_than_that(tmp_path) -> None:
    requests = Requests(tmp_path)
    begun = time.monotonic()
    assert ask(tmp_path, seconds=0.2) is None
    assert time.monotonic() - begun < 30
    requests.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_what_others_ask_is_passed_over_and_what_others_answer_refused(tmp_path) -> None:
    requests = Requests(tmp_path)
    send = (
        "import os, socket, sys; os.setuid(12345); s = socket.socket(1, 2); s.bind('');"
        "s.sendto(b'hand over', b'\\0' + sys.argv[1].encode())"
    )
    name = address_of(tmp_path)[1:]
    subprocess.run([sys.executable, "-I", "-c", send, name], check=True)
    assert requests.next() is None
    requests.close()
    answer = (
        "import os, socket, sys; os.setuid(12345); s = socket.socket(1, 2);"
        "s.bind(b'\\0' + sys.argv[1].encode()); print(flush=True);"
        "d, a = s.recvfrom(100); s.sendto(b'{}', a)"
    )
    with subprocess.Popen(
        [sys.executable, "-I", "-c", answer, name], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(UpgradeError, match="not of its user"):
            ask(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_who_floods_it_keeps_nobody_from_asking(tmp_path) -> None:
    requests = Requests(tmp_path)
    flood = (
        "import os, socket, sys\nos.setuid(12345)\nname = b'\\0' + sys.argv[1].encode()\n"
        "while True:\n"
        "    with socket.socket(1, 2) as s:\n"
        "        s.setblocking(False)\n"
        "        s.bind('')\n"
        "        try:\n"
        "            s.sendto(b'state', name)\n"
        "        except OSError:\n"
        "            pass\n"
        "        else:\n"
        "            print(flush=True)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-I", "-c", flood, address_of(tmp_path)[1:]], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        for _ in range(5):
            process.stdout.readline()
        try:
            for _ in range(3):
                answering(requests, pause=0.25)  # as a supervisor does
                assert ask(tmp_path) == SAYS
        finally:
            process.kill()
    requests.close()


def test_a_flood_costs_one_look_each_time_and_what_is_too_long_counts_for_nothing(tmp_path) -> None:
    requests = Requests(tmp_path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        sender.bind("")
        sender.sendto(b"x" * 10_000, address_of(tmp_path))
        assert requests.next() is None
        sent = 0
        try:
            for _ in range(10_000):
                sender.sendto(STATE, address_of(tmp_path))
                sent += 1
        except BlockingIOError:
            pass
        assert 0 < sent < 10_000, "the kernel holds a few, and the supervisor none"
        found = requests.next()
        assert found is not None and found[0] == STATE
        # Who does not read answers keeps nobody waiting.
        begun = time.monotonic()
        for _ in range(1000):
            requests.answer(found[1], SAYS)
        assert time.monotonic() - begun < 30
    requests.close()


def test_without_an_address_there_is_nobody_to_answer(tmp_path) -> None:
    requests = Requests(tmp_path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(STATE, address_of(tmp_path))
        # The kernel gives one that asks for credentials an address; others have none.
        requests.next()
    requests.close()


def test_another_form_is_said(tmp_path, monkeypatch) -> None:
    requests = Requests(tmp_path)
    monkeypatch.setattr(module.msgspec.json, "encode", lambda _: b"[]")
    answering(requests)
    with pytest.raises(UpgradeError, match="another form"):
        ask(tmp_path)
    requests.close()
