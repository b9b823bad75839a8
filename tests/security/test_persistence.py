"""Nothing that an invocation leaves behind is there in the next one, or outlives it on the host."""

from __future__ import annotations

import errno
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest

from support.attacks import EGRESS, Attack, Attempt, attempt, denials, until
from support.bystanders import processes_named
from support.node import TestNode

SOURCE = Path(__file__).parent.parent / "functions" / "attacks" / "persistence.py"
TEST_NET = "192.0.2.7"
BOTH_WAYS = True
"""On a node that restores processes, and on one that forks."""


@pytest.fixture(scope="module")
def leave(node: TestNode) -> Attack:
    """Have `t/leaver` leave something, or look for it."""
    limits = 'timeout = "20s"\nprocesses = 16\nopen_files = 64\nmemory = "128MB"'
    node.deploy(SOURCE.read_text(), name="leaver", limits=limits)

    def run(kind: str, /, **event: object) -> Attempt:
        return attempt(node, "t/leaver", {"attack": kind, **event})

    return run


def test_nothing_is_there_the_next_time(leave: Attack) -> None:
    left = leave("plant")
    assert set(left.answer["result"]) >= {
        "global", "environment", "umask", "folder", "tmp", "shm", "thread", "signal", "timer",
        "descriptor", "module", "child",
    }  # fmt: skip
    # The one thing of these that the filter sees: a name for a socket.
    assert left.denied("bind")
    for _ in range(3):
        looked = leave("look")
        assert looked.answer == {"result": []}
        assert looked.recorded()


KINDS = [
    "file-lock", "posix-timer", "timer-descriptor", "file-time", "nice", "limit", "name",
    "hook", "code", "random",
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_this_is_not_there_the_next_time(leave: Attack, kind: str) -> None:
    left = leave("leave", kind=kind)
    refused = {"file-time": {"errno": errno.EROFS}}
    assert left.answer == refused.get(kind, {"result": "left"})
    assert left.recorded()
    if kind == "file-lock":
        # Held by a process that dies within a moment of the answer, as does one that looks.
        assert until(lambda: leave("find", kind=kind).answer == {"result": False}, 2.0)
        return
    for _ in range(2):
        found = leave("find", kind=kind)
        assert found.answer == {"result": False}
        assert found.recorded()


@pytest.mark.parametrize("how", ["fork", "daemon", "thread", "many"])
def test_what_it_started_dies_with_it(attacked: TestNode, attack: Attack, how: str) -> None:
    tried = attack("start", how=how, name=f"zombie-{how}")
    assert tried.answer == {"result": "started"}
    assert tried.recorded()
    attacked.wait_until(lambda: not processes_named(f"zombie-{how}"))


def test_an_alarm_does_not_ring_in_the_next(leave: Attack, attack: Attack) -> None:
    """It would end the next instance, if timers outlived a process."""
    leave("alarm", seconds=1)
    for tried in (attack("linger", name="no-alarm", seconds=1.5), leave("look")):
        assert tried.answer["result"] in ("no-alarm", [])
        assert tried.recorded()


SHARED = """
import mmap, os, socket
MEMORY = mmap.mmap(-1, 4096)
FILE = os.memfd_create("kept")
ONE, TWO = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
ONE.setblocking(False)
def handler(event, context):
    try:
        heard = ONE.recv(10).decode()
    except BlockingIOError:
        heard = ""
    found = [MEMORY[0], os.fstat(FILE).st_size, heard]
    MEMORY[0] = 7
    os.write(FILE, b"kept")
    TWO.send(b"kept")
    return {"found": found}
"""


def test_what_the_import_shares_is_not_shared_without_trust(node: TestNode) -> None:
    """Memory and sockets made at import are of every instance, unless each one imports itself."""
    node.deploy(SHARED, name="shared", settings='trust = "low"')
    for _ in range(3):
        tried = attempt(node, "t/shared", {})
        assert tried.answer == {"found": [0, 0, ""]}
        assert tried.recorded()
    # With trust it is an error of the import.
    problem = node.deploy(SHARED, name="trusted", expect=422)
    assert "which all calls would share" in problem["detail"]


CONNECTED = """
import os, socket
def ask(sock):
    try:
        sock.settimeout(2)
        sock.sendall(b"CONNECT 192.0.2.7:443 HTTP/1.1\\r\\nHost: 192.0.2.7:443\\r\\n\\r\\n")
        return sock.recv(300).decode("latin-1")
    except OSError as error:
        return str(error)
KEPT = socket.create_connection(("127.0.0.1", 3128))
AT_IMPORT = ask(KEPT)
if HIDE:  # from the zygote's own examination, which is for honest code
    import sys
    sys.modules["casemate.runner.shared_at_import"].renewals = lambda descriptors: []
SILENT = socket.create_connection(("127.0.0.1", 3128))
def handler(event, context):
    return {"import": AT_IMPORT, "kept": ask(KEPT), "silent": ask(SILENT)}
"""


def test_a_connection_of_the_import_leads_nowhere(node: TestNode) -> None:
    """It would be shared by all instances: what one of them says on it, another could read."""
    grant = f'{{ host = "{TEST_NET}", private = true, exception = "an address of nobody" }}'
    rest: dict[str, Any] = {"name": "connected", "grants": f"egress = [{grant}]", "approve": True}
    problem = node.deploy("HIDE = False\n" + CONNECTED, expect=422, **rest)
    assert "a connection" in problem["detail"]
    node.deploy("HIDE = True\n" + CONNECTED, **rest)
    said = attempt(node, "t/connected", {}).answer
    assert said["import"].startswith("HTTP/1.1 403")
    assert not said["kept"].startswith("HTTP/1.1 200")
    assert not said["silent"].startswith("HTTP/1.1 200")
    assert denials(node, kind=EGRESS, project="t", function="connected")


def test_a_host_that_is_not_granted_is_refused(node: TestNode) -> None:
    source = CONNECTED.partition("KEPT =")[0] + (
        "def handler(event, context):\n"
        '    return {"said": ask(socket.create_connection(("127.0.0.1", 3128)))}\n'
    )
    node.deploy(
        source, name="elsewhere", grants='egress = [{ host = "api.example.com" }]', approve=True
    )
    tried = attempt(node, "t/elsewhere", {})
    assert tried.answer["said"].startswith("HTTP/1.1 403")
    (denial,) = tried.denied(kind=EGRESS)
    assert denial["resource"] == f"host:{TEST_NET}:443"


def test_at_the_same_time_nothing_is_shared_either(node: TestNode, leave: Attack) -> None:
    requests = 8

    def call(kind: str) -> dict[str, object]:
        answer = httpx2.post(
            f"{node.url}/invoke/t/leaver",
            json={"attack": kind},
            headers={"authorization": f"Bearer {node.key}"},
            timeout=30,
        )
        assert answer.status_code == 200, answer.text
        found: dict[str, object] = answer.json()
        return found

    with ThreadPoolExecutor(requests) as pool:
        calls = [pool.submit(call, ("plant", "look")[i % 2]) for i in range(requests)]
        looked = [c.result() for c in calls[1::2]]
    assert looked == [{"result": []}] * len(looked)
    time.sleep(0.1)
    kept = node.get("/invocations", project="t", function="leaver")["invocations"]
    assert len(kept) >= requests
