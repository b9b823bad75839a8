"""Events of every kind that needs no server outside: something happens, a function is invoked."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import httpx2
from calls import expect
from node import Node
from orders import ORDER
from projects import copy_project, deploy
from workspace import CASEMATE, OUT, ROOT, DemoError, run, say, telling

EVENT_SECONDS = 30
NIGHTLY = 'cron = "15 2 * * *"\ntimezone = "Europe/Berlin"\n'
SOONER = 'every = "1s"\n'

FoundT = TypeVar("FoundT")


def show_events(client: httpx2.Client, node: Node) -> None:
    """Have something happen of each kind, and print what became of it."""
    say("\n==> Events: functions that nobody calls")
    _show_bucket(node)
    _show_table_and_schedule(client, node)
    _show_pipeline(client, node)
    _show_repository(node)


def _wait_for(what: str, look: Callable[[], FoundT]) -> FoundT:
    """Return what `look` returns once it is something."""
    end = time.monotonic() + EVENT_SECONDS
    with telling(f"waiting for {what}"):
        while not (found := look()):
            if time.monotonic() > end:
                raise DemoError(f"{what}: it did not happen within {EVENT_SECONDS} s")
            time.sleep(0.1)
    return found


def _keys(node: Node, bucket: str, prefix: str) -> list[str]:
    command = [CASEMATE, "buckets", "objects", bucket, "--prefix", prefix, "--json"]
    return [one["key"] for one in json.loads(run(command, ROOT, node.variables))["objects"]]


def _json_of(node: Node, bucket: str, key: str) -> Any:
    return json.loads(run([CASEMATE, "buckets", "get", bucket, key], ROOT, node.variables))


def _show_bucket(node: Node) -> None:
    key = f"demo/{secrets.token_hex(4)}.jpg"
    picture = ROOT / "examples/thumbnail/data/landscape.jpg"
    put = [CASEMATE, "buckets", "put", "thumbnail/pictures", key, str(picture)]
    run(put, ROOT, node.variables)
    say(f"\n--> bucket: {key} was put into thumbnail/pictures")
    (made,) = _wait_for("a thumbnail", lambda: _keys(node, "thumbnail/thumbnails", key))
    path = OUT / "from-the-bucket.jpg"
    path.unlink(missing_ok=True)
    fetch = [CASEMATE, "buckets", "get", "thumbnail/thumbnails", made, "--output", str(path)]
    run(fetch, ROOT, node.variables)
    say(f"    its thumbnail has {path.stat().st_size} bytes: {path.relative_to(ROOT)}")


def _show_table_and_schedule(client: httpx2.Client, node: Node) -> None:
    project = copy_project("ledger")
    manifest = project / "casemate.toml"
    # Nobody waits for the night: in the demo's copy the report is due every second.
    manifest.write_text(manifest.read_text(encoding="utf-8").replace(NIGHTLY, SOONER), "utf-8")
    say(f"\n    {deploy(project, node)}")
    name = f"e-{secrets.token_hex(4)}"
    entry = json.loads((project / "data/entry.json").read_text(encoding="utf-8"))
    for cents in (-1890, -1980):
        answer = client.put(
            f"/entries/{name}",
            json={**entry, "cents": cents},
            headers={"authorization": f"Bearer {node.token}"},
        )
        expect(answer, 200, "PUT /entries")
    say(f"--> table: entry {name} was entered and changed")
    keys = _wait_for("the trail", lambda: _two(_keys(node, "ledger/archive", f"trail/{name}/")))
    for trail in sorted((_json_of(node, "ledger/archive", key) for key in keys), key=_when):
        say(f"    trail: {trail['what']}, changed: {', '.join(trail['changed'])}")
    (key,) = _wait_for("a report", lambda: _keys(node, "ledger/archive", "reports/")[-1:])
    say(f"--> schedule: {key}")
    say(f"    {json.dumps(_json_of(node, 'ledger/archive', key))}")
    run([CASEMATE, "rm", "ledger/report", "--yes"], ROOT, node.variables)


def _two(found: list[str]) -> list[str]:
    return found if len(found) == 2 else []


def _when(trail: dict[str, Any]) -> float:
    return float(trail["at"])


def _show_pipeline(client: httpx2.Client, node: Node) -> None:
    placed = {}
    for name, quantity in (("light", 1), ("heavy", 20), ("impossible", 1000)):
        order = json.loads(ORDER.read_text(encoding="utf-8"))
        order["reference"] = f"demo-{name}-{secrets.token_hex(6)}"
        order["lines"] = [{"sku": "kettle-2l", "quantity": quantity}]
        answer = client.post(
            "/orders", json=order, headers={"authorization": f"Bearer {node.token}"}
        )
        expect(answer, 201, "POST /orders")
        placed[name] = answer.json()["id"]
    say("\n--> queue and topic: a light, a heavy and an impossible order were placed")
    for name, prefix in (("light", "labels"), ("heavy", "labels"), ("heavy", "pallets")):
        where = f"{prefix}/{placed[name]}"
        (key,) = _wait_for(where, lambda at=where: _keys(node, "orders/documents", at))  # type: ignore[misc]
        say(f"    {name}: {key}")
    if _keys(node, "orders/documents", f"pallets/{placed['light']}"):
        raise DemoError("a light order passed the filter for heavy ones")
    command = [CASEMATE, "dlq", "ls", "orders/to-ship", "--queue"]

    def letters() -> list[dict[str, Any]]:
        found = json.loads(run([*command, "--json"], ROOT, node.variables))["letters"]
        return [letter for letter in found if letter["attempts"] == 3]

    _wait_for("a dead letter", letters)
    say("--> the impossible one was tried three times: casemate dlq ls orders/to-ship --queue")
    for line in run(command, ROOT, node.variables).strip().splitlines():
        say(f"    {line.rstrip()}")
    _wait_for("a complaint", lambda: _keys(node, "orders/documents", "complaints/"))
    say("    and another function was told of its end (a result trigger)")


def _show_repository(node: Node) -> None:
    project = copy_project("deploy-notifier")
    say(f"\n    {deploy(project, node)}")
    key = secrets.token_hex(32)
    command = [CASEMATE, "secrets", "set", "deploy-notifier/push-key"]
    run(command, project, node.variables, stdin=key.encode())
    folder = project / "repository"
    shutil.rmtree(folder, ignore_errors=True)
    bare, clone = folder / "shop.git", folder / "clone"
    folder.mkdir()
    _git(folder, "init", "--quiet", "--bare", str(bare))
    _git(folder, "init", "--quiet", "--initial-branch=main", str(clone))
    script = run([CASEMATE, "hooks", "git", "announce"], project, node.variables)
    _write(bare / "hooks/post-receive", script, 0o755)
    _write(bare / "hooks/casemate.key", key, 0o600)
    _git(clone, "commit", "--quiet", "--allow-empty", "--message", f"Demo {datetime.now(UTC)}")
    _git(clone, "push", "--quiet", str(bare), "main")
    commit = _git(clone, "rev-parse", "HEAD").strip()
    say(f"--> repository: {commit[:10]} was pushed to a git repository with a signed hook")
    command = [CASEMATE, "logs", "announce", "--json"]
    _wait_for("the announcement", lambda: commit in run(command, project, node.variables))
    say("    announce was invoked with it, and has sent a line into its queue")


def _git(folder: Path, *arguments: str) -> str:
    identity = {f"GIT_{who}_NAME": "Demo" for who in ("AUTHOR", "COMMITTER")}
    identity |= {f"GIT_{who}_EMAIL": "demo@example.org" for who in ("AUTHOR", "COMMITTER")}
    return run(["git", *arguments], folder, identity)


def _write(path: Path, text: str, mode: int) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
