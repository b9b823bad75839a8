"""The vault's process dies, its key or folder is missing: nothing is answered, nothing is lost."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from support import forked_cli
from support.bundles import make_bundle, publish
from support.load import Load
from support.node import TestNode, cgroups_of
from support.processes import command, gateway_of, process

ECHO = """
def handler(event, context):
    return {"event": event}
"""
READER = """
def handler(event, context):
    return len(context.secret("api-key"))
"""
SECRET_GRANT = 'secrets = ["api-key"]'


def casemate(node: TestNode, *arguments: str, stdin: str = "") -> None:
    env = {**os.environ, "CASEMATE_URL": node.url, "CASEMATE_KEY": node.key}
    done = forked_cli.run(arguments, stdin=stdin, env=env, timeout=60)
    assert done.returncode == 0, done.stderr


def is_base(pid: int) -> bool:
    """Tell whether a process is what a base zygote is started in, or that itself."""
    return any("casemate.runner.base" in word for word in command(pid))


def snapshot(data: Path) -> dict[str, bytes]:
    """Return the content of every file, but who held the lock last and the log of the database."""
    return {
        str(path.relative_to(data)): path.read_bytes()
        for path in sorted(data.rglob("*"))
        if path.is_file() and not path.name.endswith((".pid", "-shm", "-wal"))
    }


def refused(data: Path, source: str | None) -> str:
    """Start a node that must not start; return what it says."""
    key = () if source is None else ("--master-key", source)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "casemate.cli.main", "serve", "--port", "0"),
            *("--data", str(data), *key),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "Error: " in done.stderr and "Next: " in done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    assert "Casemate serves on" not in done.stdout
    return done.stderr


def fill(node: TestNode) -> TestNode:
    """Give it a function, a secret, and a record of a call."""
    casemate(node, "secrets", "set", "t/api-key", stdin="correct horse battery staple")
    node.deploy(READER, grants=SECRET_GRANT, approve=True)
    assert node.invoke({}).json() == 28
    return node


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestNode]:
    """One that is there for all tests, and has to be as it was after whichever of them ran."""
    node = fill(TestNode(tmp_path_factory.mktemp("lasting") / "data").start())
    yield node
    running(node)
    assert node.invoke({}).json() == 28
    assert node.stop() == 0
    node.close()


def running(node: TestNode) -> TestNode:
    """Start it where a test has stopped it, and have it answer."""
    if node.process is None:
        node.start()
    node.wait_until(lambda: answers(node))
    return node


@pytest.fixture
def filled(lasting: TestNode) -> TestNode:
    """A node whose vault may be killed."""
    return running(lasting)


@pytest.fixture
def stopped(lasting: TestNode) -> TestNode:
    """Its folder and key are as the test found them when it ends."""
    assert lasting.stop() == 0
    return lasting


def answers(node: TestNode) -> bool:
    try:
        return node.invoke({}).status_code == 200
    except httpx2.HTTPError:
        return False


def test_a_vault_that_hangs_answers_no_secret(filled: TestNode) -> None:
    """Neither the value nor a made-up one: the call ends by its own deadline or with an error."""
    node = filled
    node.deploy(READER, name="hurried", limits='timeout = "2s"', grants=SECRET_GRANT, approve=True)
    vault = node.part("vault")
    os.kill(vault, signal.SIGSTOP)
    try:
        answer = node.invoke({}, function="t/hurried")
        assert answer.status_code >= 500
    finally:
        os.kill(vault, signal.SIGCONT)
    node.wait_until(lambda: answers(node))


def test_a_killed_vault_is_started_again_and_calls_fail_closed_meanwhile(filled: TestNode) -> None:
    node = filled
    publish(node, make_bundle(ECHO, name="echo"))
    with (
        Load(node.port, "/invoke/t/echo", node.key) as load,
        Load(node.port, "/invoke/t/f", node.key, clients=1) as reading,
    ):
        load.more(20)
        for _ in range(2):
            vault = process(node.part("vault"))
            os.kill(vault.pid, signal.SIGKILL)
            node.wait_until(lambda dead=vault: not dead.lives)
            node.wait_until(lambda: answers(node))
        load.more(20)
    wrong = [c for c in load.failed + reading.failed if c.status is not None and c.status < 500]
    assert wrong == [], "a call while the vault was dead got neither an answer nor an error"
    assert {call.body for call in reading.calls if call.status == 200} == {28}
    assert {str(call.body) for call in load.calls if call.status == 200} == {"{'event': {'n': 1}}"}
    assert node.invoke({}).json() == 28
    assert "correct horse" not in node.errors.read_text()
    assert node.stop() == 0


@pytest.mark.storm
def test_a_vault_that_loses_its_key_file_keeps_the_node_down_until_it_is_back(
    filled: TestNode,
) -> None:
    """The vault is killed while its key is gone: nothing is answered without one."""
    node = filled
    hidden = node.master_key.with_suffix(".hidden")
    node.master_key.rename(hidden)
    os.kill(node.part("vault"), signal.SIGKILL)
    told = f"There is no file {node.master_key}"
    # Tried again less and less often, so that its log is not flooded.
    node.wait_until(lambda: node.errors.read_text().count(told) >= 3)
    assert not answers(node)
    assert node.errors.read_text().count(told) <= 12
    hidden.rename(node.master_key)
    node.wait_until(lambda: answers(node))


@pytest.mark.parametrize(
    "how",
    [
        *("missing", "another", "readable by all"),
        *(pytest.param(how, marks=pytest.mark.storm) for how in ("cut", "empty", "link")),
    ],
)
def test_a_wrong_master_key_is_refused_and_changes_nothing(stopped: TestNode, how: str) -> None:
    node = stopped
    before = snapshot(node.data)
    key = node.master_key.read_bytes()
    other = node.master_key.with_name(f"{how.replace(' ', '-')}.key")
    if how == "another":
        other.write_text(os.urandom(32).hex())
    elif how == "link":
        target = other.with_suffix(".target")
        target.write_bytes(os.urandom(32).hex().encode())
        target.chmod(0o600)
        other.symlink_to(target)
    elif how != "missing":
        other.write_bytes({"cut": key[:20], "empty": b"", "readable by all": key}[how])
    if how not in ("missing", "link"):
        other.chmod(0o644 if how == "readable by all" else 0o600)
    said = refused(node.data, f"file:{other}")
    assert str(other) in said or "another one" in said
    assert key.decode().strip() not in said
    assert snapshot(node.data) == before
    assert how != "missing" or not other.exists(), "no new key is made for what is there"


def test_what_starts_while_a_vault_opens_goes_where_it_does_not(tmp_path: Path) -> None:
    waits, fails = tmp_path / "waits", tmp_path / "key-service"
    fails.write_text(f"#!/bin/sh\nwhile [ -e {waits} ]; do sleep 0.05; done\nexit 1\n")
    fails.chmod(0o700)
    waits.touch()
    node = TestNode(tmp_path / "data", "--master-key", f"command:{fails}")
    with ThreadPoolExecutor(1) as pool:
        starting = pool.submit(node.start)
        node.wait_until(lambda: node.process is not None)
        supervisor = node.process
        assert supervisor is not None
        try:
            node.wait_until(lambda: any(is_base(one) for one in node.processes()))
            begun = node.processes()
        finally:
            waits.unlink()
        with pytest.raises(RuntimeError, match="did not start"):
            starting.result(60)
    # Neither a process, though those of a namespace take a moment, nor a control group is left.
    node.wait_until(lambda: not any(Path(f"/proc/{one}").exists() for one in begun))
    assert cgroups_of(supervisor.pid) == []
    node.process = None
    node.close()


@pytest.mark.parametrize(
    "lost",
    [
        "folder",
        "state",
        *(pytest.param(how, marks=pytest.mark.storm) for how in ("cut", "of another node")),
    ],
)
def test_a_lost_vault_is_refused_and_nothing_is_made_anew(
    stopped: TestNode, tmp_path: Path, lost: str
) -> None:
    node = stopped
    vault = node.data / "vault"
    kept = tmp_path / "kept"
    shutil.copytree(vault, kept)
    state = vault / "vault.sealed"
    if lost == "folder":
        shutil.rmtree(vault)
    elif lost == "state":
        state.unlink()
    elif lost == "cut":
        os.truncate(state, state.stat().st_size - 1)
    else:
        other = TestNode(tmp_path / "other").start()
        other.stop()
        state.write_bytes((other.data / "vault" / "vault.sealed").read_bytes())
    broken = {k: v for k, v in snapshot(node.data).items() if not k.startswith("vault/")}
    said = refused(node.data, f"file:{node.master_key}")
    assert "vault" in said.lower() or "master key" in said
    assert {k: v for k, v in snapshot(node.data).items() if not k.startswith("vault/")} == broken
    vault.mkdir(exist_ok=True)
    for file in kept.iterdir():
        (vault / file.name).write_bytes(file.read_bytes())


@pytest.mark.storm
def test_everything_is_readable_after_a_restart_and_after_a_kill(filled: TestNode) -> None:
    node = filled
    node.deploy(
        "def handler(event, context):\n"
        "    files = context.bucket('files')\n"
        "    if event == 'put':\n"
        "        files.put('a', b'kept')\n"
        "    return files.get('a').decode()\n",
        name="keeper",
        grants='buckets = [{ name = "files", actions = ["read", "write"] }]',
        resources="[bucket.files]\n",
        approve=True,
    )
    assert node.invoke("put", function="t/keeper").json() == "kept"
    count = len(node.get("/invocations")["invocations"])
    for number in (signal.SIGTERM, signal.SIGKILL):
        node.stop(number)
        node.start()
        assert node.invoke({}).json() == 28
        assert node.invoke("get", function="t/keeper").json() == "kept"
        assert len(node.get("/invocations")["invocations"]) >= count
        assert [s["name"] for s in node.get("/secrets/t")["secrets"]] == ["api-key"]
        assert gateway_of(node.process.pid) is not None
