"""Two real nodes with one vault: what is set on one is used on the other, whichever is killed."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from casemate.vault import seal_value
from casemate.vault.key_material import parse_key
from casemate.vault.new_master import NewMaster, seal_master
from casemate.vault.sources import KeyParameters
from support.database import Server
from support.node import TestNode
from support.s3 import S3Server
from support.waiting import wait_for

pytestmark = [pytest.mark.storm, pytest.mark.sandbox]
ARGUMENTS = (*("--encrypted-disks", "--accept-risk", "unproved-store"),)
SOURCE = """
import hashlib
def handler(event, context):
    return hashlib.sha256(context.secret("api-key").encode()).hexdigest()
"""
BINARY = {"content-type": "application/octet-stream"}


def put(node: TestNode, value: str) -> None:
    key = base64.b64decode(node.get("/vault/key")["public_key"])
    answer = node.client.put(
        f"{node.url}/api/v1/secrets/t/api-key",
        content=seal_value(key, "t", "api-key", value.encode()),
        headers=BINARY,
    )
    assert answer.is_success, answer.text


def gives(node: TestNode, value: str) -> bool:
    return bool(node.invoke({}).json() == hashlib.sha256(value.encode()).hexdigest())


def again(node: TestNode, like: TestNode) -> None:
    node.key = like.key
    node.start()
    node.client.headers["authorization"] = f"Bearer {like.key}"


@pytest.fixture
def nodes(
    tmp_path: Path, postgresql_server: Server, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[TestNode, TestNode]]:
    buckets = S3Server(tmp_path / "s3")
    place = f"test@127.0.0.1:{postgresql_server.port}/{postgresql_server.database()}"
    monkeypatch.setenv("CASEMATE_STORE", f"postgresql://{place}")
    endpoint = buckets.url.removesuffix("/uploads")
    monkeypatch.setenv("CASEMATE_OBJECTS", f"s3://uploads/c?endpoint={endpoint}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "S3RVER")
    one = TestNode(tmp_path / "one", *ARGUMENTS)
    other = TestNode(tmp_path / "other", *ARGUMENTS)
    try:
        yield one.start(), other
    finally:
        one.stop()
        other.stop()
        buckets.close()


def test_one_vault(nodes: tuple[TestNode, TestNode], tmp_path: Path) -> None:
    one, other = nodes
    with pytest.raises(RuntimeError, match="There is no file"):
        other.start()
    shutil.copy(one.master_key, other.master_key)
    again(other, one)
    put(one, "first-value")
    one.deploy(SOURCE, grants='secrets = ["api-key"]', approve=True)
    assert gives(one, "first-value")
    wait_for(lambda: other.invoke({}).status_code == 200, 30)
    assert gives(other, "first-value")
    put(other, "second-value")
    wait_for(lambda: gives(one, "second-value"), 30)
    kid = one.client.post(f"{one.url}/api/v1/vault/rotate", json={"key": "signing"}).json()["kid"]
    wait_for(lambda: kid in other.client.get(f"{other.url}/.well-known/jwks.json").text, 30)
    rotated = one.client.post(f"{one.url}/api/v1/vault/rotate", json={"key": "data"})
    assert rotated.status_code == 200, rotated.text
    assert gives(other, "second-value")
    for round_ in range(3):
        one.stop(signal.SIGKILL)
        put(other, f"while-it-is-dead-{round_}")
        again(one, other)
        assert gives(one, f"while-it-is-dead-{round_}")
        os.kill(other.part("vault"), signal.SIGKILL)
        put(one, f"its-vault-is-dead-{round_}")
        wait_for(lambda round_=round_: gives_at_last(other, f"its-vault-is-dead-{round_}"), 60)
    new = tmp_path / "new.key"
    new.write_bytes(base64.b64encode(os.urandom(32)))
    new.chmod(0o600)
    changed = seal_master(
        base64.b64decode(one.get("/vault/key")["public_key"]),
        one.get("/vault")["vault"],
        NewMaster(
            f"file:{new}",
            parse_key(new.read_bytes(), "new"),
            KeyParameters(),
            parse_key(one.master_key.read_bytes(), "old"),
        ),
    )

    def change() -> httpx2.Response:
        url = f"{one.url}/api/v1/vault/master-key"
        return one.client.put(url, content=changed, headers=BINARY)

    refused = change()
    assert refused.status_code == 409 and "Other nodes share this vault" in refused.text
    assert gives(other, f"its-vault-is-dead-{round_}")
    other.stop()
    wait_for(lambda: change().is_success, 30)
    with pytest.raises(RuntimeError, match="The master key is another one"):
        other.start()
    shutil.copy(new, other.master_key)
    again(other, one)
    put(other, "last-value")
    wait_for(lambda: gives(one, "last-value"), 30)


def gives_at_last(node: TestNode, value: str) -> bool:
    """Tell whether a node, which may be starting its gateway again, gives a value."""
    try:
        return node.invoke({}).status_code == 200 and gives(node, value)
    except OSError:
        return False
    except Exception as error:
        if type(error).__module__.startswith("httpx2"):
            return False
        raise
