"""The node of `casemate dev` ends with the command, whatever ends that."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from casemate.cli.commands import dev
from casemate.cli.errors import CommandError
from support.processes import process

_READY = 'print(\'{"url": "http://127.0.0.1:1", "key": "k"}\', flush=True)'
_PROGRAM = f"import time; {_READY}; time.sleep(60)"


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_a_terminal_that_closes_leaves_no_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    real, started = subprocess.Popen, []

    def start(_: list[str], **options: Any) -> subprocess.Popen[str]:
        started.append(real([sys.executable, "-I", "-c", _PROGRAM], **options))
        return started[0]

    monkeypatch.setattr(subprocess, "Popen", start)
    before = [signal.getsignal(each) for each in (signal.SIGHUP, signal.SIGTERM)]
    with (
        pytest.raises(SystemExit) as ended,
        dev._node(tmp_path / "data", "127.0.0.1", 0, [], learn=False),
    ):
        os.kill(os.getpid(), number)
        signal.pause()
    assert ended.value.code == 128 + number
    assert started[0].returncode == -signal.SIGTERM
    assert [signal.getsignal(each) for each in (signal.SIGHUP, signal.SIGTERM)] == before


@pytest.mark.parametrize("serves", [True, False])
def test_what_a_start_tells_is_shown_where_it_fails(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    serves: bool,
) -> None:
    real = subprocess.Popen
    start = "import sys, time; print('the master key was made', file=sys.stderr, flush=True)"
    more = "while 1: time.sleep(0.1); print('a late line', file=sys.stderr, flush=True)"
    program = f"{start}; {_READY}\n{more}" if serves else start

    def popen(_: list[str], **options: Any) -> subprocess.Popen[str]:
        return real([sys.executable, "-I", "-c", program], **options)

    monkeypatch.setattr(subprocess, "Popen", popen)
    shown = ""
    with suppress(CommandError), dev._node(tmp_path / "d", "127.0.0.1", 0, [], learn=False):
        ends = time.monotonic() + 5
        while "late" not in shown and time.monotonic() < ends:
            shown += capsys.readouterr().err
            time.sleep(0.01)
    shown += capsys.readouterr().err
    assert ("the master key was made" in shown) is not serves
    assert ("a late line" in shown) is serves


@pytest.mark.parametrize(
    ("host", "names", "told"),
    [
        ("127.0.0.1", (), ["localhost"]),
        ("127.0.0.1", ("tunnel.example",), ["localhost", "tunnel.example"]),
        # By TLS: a browser takes its certificate for no name of somebody else.
        ("0.0.0.0", (), []),
        ("0.0.0.0", ("mine.example",), ["mine.example"]),
    ],
)
def test_on_this_machine_alone_it_answers_to_names_of_this_machine(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    host: str,
    names: tuple[str, ...],
    told: list[str],
) -> None:
    """A page of somebody else read it, by a name that was led to 127.0.0.1."""
    real, given = subprocess.Popen, []

    def popen(command: list[str], **options: Any) -> subprocess.Popen[str]:
        given.extend(command)
        return real([sys.executable, "-I", "-c", _PROGRAM], **options)

    monkeypatch.setattr(subprocess, "Popen", popen)
    with dev._node(tmp_path / "data", host, 0, [], names=names, learn=False):
        pass
    at = [number for number, word in enumerate(given) if word == "--host-name"]
    assert [given[number + 1] for number in at] == told


def test_a_node_that_ended_is_told_and_ends_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = subprocess.Popen

    def popen(_: list[str], **options: Any) -> subprocess.Popen[str]:
        return real([sys.executable, "-I", "-c", _PROGRAM], **options)

    monkeypatch.setattr(subprocess, "Popen", popen)
    with dev._node(tmp_path / "data", "127.0.0.1", 0, [], learn=False) as running:
        running.require()
        running.process.kill()
        running.process.wait(10)
        with pytest.raises(CommandError, match="ended by signal 9") as told:
            dev._watch(running, iter([False]), lambda: pytest.fail("nothing was saved"))
    assert told.value.next_step == "Start it again: casemate dev"


_STAYS = "signal.signal(signal.SIGTERM, lambda *_: None)"
_FINISHES = f"import signal, time; {_STAYS}; {_READY}\nwhile 1: time.sleep(0.1)"


def test_a_second_interrupt_cuts_off_what_still_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real, started = subprocess.Popen, []

    def popen(_: list[str], **options: Any) -> subprocess.Popen[str]:
        started.append(real([sys.executable, "-I", "-c", _FINISHES], **options))
        return started[0]

    monkeypatch.setattr(subprocess, "Popen", popen)
    monkeypatch.setattr(dev, "_TOLD_AFTER_SECONDS", 0.1)
    again = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    with (
        pytest.raises(KeyboardInterrupt),
        dev._node(tmp_path / "data", "127.0.0.1", 0, [], learn=False),
    ):
        again.start()
        raise KeyboardInterrupt
    assert started[0].returncode is not None and "Ctrl-C again" in capsys.readouterr().err


_KILLED = """
import os, signal, sys
from pathlib import Path
from casemate.cli.commands import dev
with dev._node(Path(sys.argv[1]), "127.0.0.1", 0, [], learn=False) as running:
    print(running.process.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.sandbox
def test_a_command_that_is_killed_leaves_no_node(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _KILLED, tmp_path / "data"], stdout=subprocess.PIPE, text=True
    ) as command:
        assert command.stdout is not None
        node = int(command.stdout.readline())
    assert command.returncode == -signal.SIGKILL
    ends = time.monotonic() + 10
    while process(node).lives:
        assert time.monotonic() < ends
        time.sleep(0.02)


def test_a_node_on_every_address_is_reached_on_this_machine_and_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []
    monkeypatch.setattr(dev, "fetch_ca", lambda *words: asked.append(words) or "PEM")
    for host, own in (("0.0.0.0", "127.0.0.1"), ("[::]", "[::1]"), ("10.0.0.5", "10.0.0.5")):
        ready = {"url": f"https://{host}:8788", "key": "cm_k", "ca_fingerprint": "5f"}
        found = dev._credentials(ready)
        assert (found.url, found.ca) == (f"https://{own}:8788", "PEM")
    assert asked[0] == ("https://127.0.0.1:8788", "5f")
    dev._tell_how_to_reach(found, tmp_path / "dev.ca.pem")
    assert (tmp_path / "dev.ca.pem").read_text() == "PEM"
    assert f"CASEMATE_CA={tmp_path}/dev.ca.pem" in capsys.readouterr().out
    dev._tell_how_to_reach(found, tmp_path / "dev.ca.pem", json=True)
    ca = str(tmp_path / "dev.ca.pem")
    told = {"node": {"url": "https://10.0.0.5:8788", "key": "cm_k", "ca": ca}}
    assert json.loads(capsys.readouterr().out) == told
    (tmp_path / "a/dev.ca.pem").mkdir(parents=True)
    with pytest.raises(CommandError, match="cannot be written"):
        dev._tell_how_to_reach(found, tmp_path / "a/dev.ca.pem")
    plain = dev._credentials({"url": "http://127.0.0.1:1", "key": "k", "ca_fingerprint": None})
    assert plain.ca is None and len(asked) == 3


@pytest.mark.parametrize("other", ["--learn", "--debug"])
def test_json_is_for_a_run_that_watches(cli, home: Path, other: str) -> None:
    told = cli("dev", "--json", other)
    assert told.code == 2
    assert "Leave --json out." in told.err


def test_what_a_deploy_comes_to_is_a_line_of_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "casemate.toml").write_text("[project]\nname = 1\n")
    client: Any = None
    assert not dev._deploy_all(tmp_path / "casemate.toml", client, client, learn=False, json=True)
    told = capsys.readouterr()
    assert "The manifest has" in json.loads(told.out)["failed"]["message"]
    assert told.err == ""
