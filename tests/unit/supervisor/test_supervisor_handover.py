"""What one version leaves to the next, and to whom it goes back."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from casemate.supervisor import handover as module
from casemate.supervisor.handover import VARIABLE, Handover
from casemate.supervisor.options import ServeOptions
from casemate.upgrade.asking import HAND_OVER, OPENED_BY, STATE, State, ask
from casemate.upgrade.versions import FOLDER, Versions

ONCE = {"recover_owner": True, "tls_new_authority": True, "accepted_losses": ("store",)}


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        sock.setblocking(False)
        yield sock


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], dict[str, str]]]:
    """What would have been started in place of this process."""
    started: list[tuple[list[str], dict[str, str]]] = []
    monkeypatch.setattr("os.execve", lambda _, *rest: started.append(rest))  # type: ignore[arg-type]
    return started


@pytest.fixture
def versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Versions:
    for path in (tmp_path / "first/bin", tmp_path / FOLDER / "2.0.0/bin"):
        path.mkdir(parents=True)
    for path in tmp_path.rglob("*"):
        path.chmod(0o755)
    found = Versions(tmp_path / "first")
    monkeypatch.setattr(module, "Versions", lambda: found)
    return found


SOURCES: list[str] = []
"""Where supervisors were told that the master key may be."""


def make(tmp_path: Path, environ: dict[str, str] | None = None) -> Handover:
    return Handover(tmp_path / "data", environ or {}, ["serve", "--port", "1"])


def asked(handover: Handover, data: Path, listener: socket.socket, request: bytes = HAND_OVER,
          *, problem: str = "", serving: bool = True) -> tuple[State, list[bool]]:  # fmt: skip
    """Ask a supervisor, and have it look."""
    answers: list[Any] = []
    drained: list[bool] = []
    thread = threading.Thread(target=lambda: answers.append(ask(data, request, seconds=3)))
    thread.start()
    while thread.is_alive():
        handover.look(
            listener,
            lambda: problem,
            lambda: drained.append(True),
            opened_by=SOURCES.append,
            serving=serving,
            calls=3,
        )
        thread.join(0.01)
    return answers[0], drained


def test_handed_over_with_the_socket_and_back(tmp_path, versions, listener, begun) -> None:
    handover = make(tmp_path, {"NOTIFY_SOCKET": "/x"})
    versions.switch(versions.folder / "2.0.0")
    state, drained = asked(handover, tmp_path / "data", listener)
    assert state.handing_over and drained == [True] and handover.due
    assert state.calls == 3, "who waits for their end is told how many there are"
    listener.close()
    handover.go_on()
    [(command, environ)] = begun
    assert command[0] == str(versions.folder / "2.0.0/bin/python")
    assert command[-3:] == ["serve", "--port", "1"]
    assert environ["NOTIFY_SOCKET"] == "/x", "the service manager is told by the next one, too"
    pid, number, former = environ[VARIABLE].split(":")
    assert pid == str(os.getpid()) and former == str(versions.own)
    assert os.get_inheritable(int(number))

    # What is started takes the socket, which did not stop to listen or begin to block.
    left = dict(environ, **{VARIABLE: f"{pid}:{os.dup(int(number))}:{former}"})
    following = make(tmp_path, left)
    assert VARIABLE not in left, "no child gets it"
    taken = following.listener()
    assert taken is not None
    assert taken.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1
    assert not os.get_blocking(taken.fileno())
    options = ServeOptions(data=tmp_path, host="x", port=1, **ONCE)  # type: ignore[arg-type]
    cleaned = following.options(options)
    assert (cleaned.recover_owner, cleaned.tls_new_authority, cleaned.accepted_losses) == (
        False, False, (),
    )  # fmt: skip
    following.go_back(OSError("broken"))
    assert begun[1][0][0] == str(versions.own / "bin/python")
    assert begun[1][1][VARIABLE].endswith(":"), "it goes back once, and not to and fro"
    following.close()
    taken.close()


def test_where_the_master_key_may_be_is_heard(tmp_path, versions, listener) -> None:
    handover = make(tmp_path)
    SOURCES.clear()
    request = OPENED_BY + b"file:/etc/new.key"
    state, drained = asked(handover, tmp_path / "data", listener, request)
    assert (SOURCES, state.problem, drained, handover.due) == (["file:/etc/new.key"], "", [], False)
    handover.close()


def test_one_that_serves_goes_back_no_more(tmp_path, versions, listener, begun) -> None:
    left = {VARIABLE: f"{os.getpid()}:{os.dup(listener.fileno())}:/former"}
    handover = make(tmp_path, left)
    handover.served()
    assert handover.listener() is None
    handover.go_back(OSError("later"))
    handover.go_on()
    assert begun == []
    handover.close()


@pytest.mark.parametrize("left", ["", "x", "1:2:3", "{pid}:", "{pid}:x:", "{pid}:999999:", "::"])
def test_what_was_left_to_others_or_is_no_socket_is_not_taken(tmp_path, versions, left) -> None:
    handover = make(tmp_path, {VARIABLE: left.format(pid=os.getpid())})
    assert handover.listener() is None
    options = ServeOptions(data=tmp_path, host="x", port=1, **ONCE)  # type: ignore[arg-type]
    assert handover.options(options) is options
    handover.close()


def test_what_is_in_the_way_is_said(tmp_path, versions, listener, begun) -> None:
    handover, data = make(tmp_path), tmp_path / "data"
    assert "names no current" in asked(handover, data, listener)[0].problem
    versions.switch(versions.folder / "2.0.0")
    assert "does not serve" in asked(handover, data, listener, serving=False)[0].problem
    assert asked(handover, data, listener, problem="a key")[0].problem == "a key"
    versions.folder.chmod(0o777)
    state, drained = asked(handover, data, listener)
    assert "would choose what runs" in state.problem and drained == []
    assert asked(handover, data, listener, STATE)[0].problem == ""
    assert not handover.due
    handover.go_on()
    assert begun == []
    handover.close()


def test_only_serve_is_handed_over(tmp_path, versions, listener) -> None:
    versions.switch(versions.folder / "2.0.0")
    handover = Handover(tmp_path / "data", {}, ["dev"])
    assert "casemate serve" in asked(handover, tmp_path / "data", listener)[0].problem
    handover.close()


def test_a_stop_meanwhile_is_a_stop(tmp_path, versions, listener, begun) -> None:
    versions.switch(versions.folder / "2.0.0")
    handover = make(tmp_path)
    asked(handover, tmp_path / "data", listener)
    handover.cancel()
    handover.go_on()
    assert begun == [] and not handover.due
    handover.close()


def test_one_that_cannot_be_started_leaves_the_own_one(
    tmp_path, versions, listener, monkeypatch
) -> None:
    started: list[list[str]] = []

    def execve(_: str, command: list[str], __: object) -> None:
        started.append(command)
        if len(started) == 1:
            raise PermissionError(13, "no")

    monkeypatch.setattr("os.execve", execve)
    versions.switch(versions.folder / "2.0.0")
    handover = make(tmp_path)
    asked(handover, tmp_path / "data", listener)
    handover.go_on()
    assert [command[0] for command in started] == [
        str(versions.folder / "2.0.0/bin/python"), str(versions.own / "bin/python"),
    ]  # fmt: skip


def test_a_second_node_on_the_same_name_goes_without(tmp_path, versions, listener, capfd) -> None:
    first = make(tmp_path)
    second = make(tmp_path)
    assert not capfd.readouterr().err, "whether the data is its own is not known yet"
    first.tell()
    assert not capfd.readouterr().err
    second.tell()
    assert "cannot be asked to hand over" in capfd.readouterr().err
    second.look(listener, str, lambda: None, opened_by=SOURCES.append, serving=True)
    second.close()
    first.close()
