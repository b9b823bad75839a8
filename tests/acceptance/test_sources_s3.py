"""Objects of a real S3-compatible server, and what becomes of its notifications."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx2

from support.cli import casemate
from support.node import TestNode
from support.s3 import S3Server

SHARES_NODE = True
PROJECT = "uploads"
SOURCE = """
def handler(event, context):
    found = context.event
    context.table("seen").put({
        "id": found.id,
        "type": found.type,
        "key": found.subject,
        "event": found.detail["event"],
        "size": found.detail["size"],
        "etag": found.detail["etag"],
    })
"""
TOKEN = "what-the-server-shows"


def seen(node: TestNode) -> list[dict[str, Any]]:
    done = casemate(node, "tables", "query", f"{PROJECT}/seen", "--json")
    assert done.returncode == 0, done.stderr
    return [item["value"] for item in json.loads(done.stdout)["items"]]


def denials(node: TestNode) -> list[dict[str, Any]]:
    done = casemate(node, "denials", f"{PROJECT}/f", "--json")
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)["denials"]
    return found


def test_notifications_of_an_s3_server(node: TestNode, tmp_path: Path) -> None:
    assert casemate(node, "secrets", "set", f"{PROJECT}/s3-token", stdin=TOKEN).returncode == 0
    node.deploy(
        SOURCE,
        project=PROJECT,
        routes='[[function.f.s3]]\nname = "uploads"\nsecret = "s3-token"\nprefix = "in/"',
        grants='tables = [{ name = "seen", actions = ["put"] }]',
        resources='[table.seen]\nkey = "id"',
        approve=True,
    )
    server = S3Server(tmp_path)
    try:
        server.notify(f"{node.url}/hooks/{PROJECT}/f/uploads", TOKEN)
        with httpx2.Client(trust_env=False) as client:
            for name, content in (
                ("in/grün + 1.txt", b"hello"),
                ("out/other", b"not for us"),
                ("in/empty", b""),
            ):
                path = server.url + "/" + httpx2.URL(path="/" + name).raw_path.decode()[1:]
                answer = client.put(path.replace("+", "%2B"), content=content)
                assert answer.status_code == 200, answer.text
            assert client.delete(f"{server.url}/in/empty").status_code == 204
        node.wait_until(lambda: len(seen(node)) == 3, 20)
        found = sorted((s["key"], s["event"], s["size"]) for s in seen(node))
        assert found == [
            ("in/empty", "s3:ObjectCreated:Put", 0),
            ("in/empty", "s3:ObjectRemoved:Delete", None),
            ("in/grün + 1.txt", "s3:ObjectCreated:Put", 5),
        ]
        assert all(s["type"] == "casemate.s3.message" for s in seen(node))

        # With another token nothing comes, and that is recorded.
        server.notify(f"{node.url}/hooks/{PROJECT}/f/uploads", "a-token-of-another")
        httpx2.put(f"{server.url}/in/forged", content=b"x", trust_env=False)
        node.wait_until(lambda: denials(node), 20)
        assert TOKEN not in json.dumps(denials(node))
        assert len(seen(node)) == 3
    finally:
        server.close()
