"""Master key and data keys are changed while calls run, and not one call fails."""

from __future__ import annotations

import json
import os
import signal
import threading
from pathlib import Path

import httpx2
import pytest

from casemate.upgrade.asking import HAND_OVER, ask
from support import forked_cli
from support.load import Load
from support.node import TestNode
from support.processes import process

SHARES_NODE = True
KEEPER = """
def handler(event, context):
    files = context.bucket("files")
    name = context.request_id
    files.put(name, b"x" * 2000)
    return [len(files.get(name)), files.get("first").decode(), len(context.secret("api-key"))]
"""
FIRST = """
def handler(event, context):
    context.bucket("files").put("first", b"written with the first key")
"""
GRANTS = 'secrets = ["api-key"]\nbuckets = [{ name = "files", actions = ["read", "write"] }]'
RESOURCES = "[bucket.files]\n"
EXPECTED = [2000, "written with the first key", 28]


def run(node: TestNode, *arguments: str, stdin: str = "") -> str:
    env = {**os.environ, "CASEMATE_URL": node.url, "CASEMATE_KEY": node.key}
    done = forked_cli.run(arguments, stdin=stdin, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def keeper(fresh_node: TestNode) -> TestNode:
    node = fresh_node
    run(node, "secrets", "set", "t/api-key", stdin="correct horse battery staple")
    node.deploy(FIRST, name="first", grants=GRANTS, resources=RESOURCES, approve=True)
    assert node.invoke({}, function="t/first").status_code == 200
    node.deploy(KEEPER, grants=GRANTS, resources=RESOURCES, approve=True)
    answer = node.invoke({})
    assert answer.json() == EXPECTED, node.error(answer)
    return node


def status(node: TestNode) -> dict:
    return json.loads(run(node, "vault", "status", "--json"))


@pytest.mark.storm
def test_data_keys_under_load(keeper: TestNode) -> None:
    node = keeper
    with Load(node.port, "/invoke/t/f", node.key) as load:
        load.more(10)
        before = status(node)["oldest_data_key_at"]
        for _ in range(3):
            run(node, "vault", "rotate-keys")
            load.more(10)
        run(node, "vault", "rotate-keys", "--project", "t")
        run(node, "vault", "rotate-keys", "--signing")
        load.more(10)
    assert load.failed == []
    assert all(call.body == EXPECTED for call in load.calls)
    assert status(node)["oldest_data_key_at"] > before, "the first keys are no longer used"
    node.stop(9)
    node.start()
    assert node.invoke({}).json() == EXPECTED
    assert node.get("/node")["lost_records"] == 0


def test_the_master_key_under_load(keeper: TestNode, tmp_path: Path) -> None:
    node = keeper
    old = present = node.master_key
    with Load(node.port, "/invoke/t/f", node.key) as load:
        load.more(10)
        for number in (2, 3):
            new = tmp_path / f"master-{number}.key"
            run(
                node,
                *("vault", "rotate-master", "--data", str(node.data), "--to", f"file:{new}"),
                *("--from", f"file:{present}", "--yes"),
            )
            present = new
            load.more(10)
    assert load.failed == []
    assert all(call.body == EXPECTED for call in load.calls)
    assert status(node)["master_key"] == f"file:{new}"
    node.stop(9)
    with pytest.raises(RuntimeError, match="another one"):
        node.start()
    node.process.wait(10)
    node.process.stdout.close()
    old.unlink()
    node.master_key = new
    node.start()
    assert node.invoke({}).json() == EXPECTED


def test_a_vault_that_ends_after_that_is_opened_with_the_new_key(
    keeper: TestNode, tmp_path: Path
) -> None:
    """As often as it ends; and no other release is started, which would be given the old one."""
    node = keeper
    assert node.process is not None
    new = f"file:{tmp_path / 'new.key'}"
    run(
        node,
        *("vault", "rotate-master", "--data", str(node.data), "--to", new),
        *("--from", f"file:{node.master_key}", "--yes"),
    )
    for _ in range(2):
        vault = node.part("vault")
        os.kill(vault, signal.SIGKILL)
        node.wait_until(lambda vault=vault: not process(vault).lives, 20)
        node.wait_until(lambda: _answer(node) == EXPECTED, 30)
    assert status(node)["master_key"] == new
    state = ask(node.data, HAND_OVER)
    assert state is not None and f"--master-key {new}" in state.problem
    assert _answer(node) == EXPECTED


def _answer(node: TestNode) -> object:
    try:
        return node.invoke({}).json()
    except httpx2.HTTPError:
        return None


@pytest.mark.storm
def test_a_kill_within_a_rotation_loses_nothing(keeper: TestNode) -> None:
    node = keeper
    for delay in (0.05, 0.3, 0.6):
        rotating = threading.Thread(target=_rotate_until_killed, args=(node,))
        rotating.start()
        rotating.join(delay)
        node.stop(9)
        rotating.join(30)
        node.start()
        assert node.invoke({}).json() == EXPECTED
    run(node, "vault", "rotate-keys")
    assert node.invoke({}).json() == EXPECTED


def test_a_project_that_is_not_there_is_not_found(node: TestNode) -> None:
    body = {"key": "data", "project": "nothing"}
    before = status(node)
    answer = node.client.post(f"{node.url}/api/v1/vault/rotate", json=body)
    assert answer.status_code == 404
    assert "nothing" in answer.json()["detail"]
    assert status(node) == before, "no key was made"


def _rotate_until_killed(node: TestNode) -> None:
    try:
        httpx2.post(
            f"{node.url}/api/v1/vault/rotate",
            json={"key": "data"},
            headers={"authorization": f"Bearer {node.key}"},
            timeout=20,
        )
    except httpx2.HTTPError:
        return
