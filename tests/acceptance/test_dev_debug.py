"""`casemate dev --debug`: an error is looked at where it happened, and by nobody else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.attacks import until
from support.node import TestNode
from support.processes import process

SHARES_NODE = True
MANIFEST = """\
[project]
name = "looked"
[table.orders]
key = "id"
[function.f]
handler = "app:handler"
grants = { tables = [{ name = "orders", actions = ["get", "put"] }] }
"""
SOURCE = """\
import os, socket, sys
from casemate import NotFoundError

def look():
    found = []
    for path in ("/root", "/home", "/etc/passwd", "/proc/1/environ", "/var"):
        try:
            found.append(sorted(os.listdir(path)) if os.path.isdir(path) else open(path).read())
        except OSError as error:
            found.append(type(error).__name__)
    try:
        socket.create_connection(("127.0.0.1", int(os.environ.get("PORT", "22"))), timeout=1)
        found.append("connected")
    except OSError as error:
        found.append(type(error).__name__)
    return found

def handler(event, context):
    orders = context.table("orders")
    try:
        orders.get("none")
    except NotFoundError:
        print("not found, as it was")
    orders.put({"id": event["order"]})
    item = orders.get(event["order"]).value
    print("\\x1b]0;title\\x07")
    total = item["id"] + 1
    return total
"""


@pytest.fixture(scope="module")
def failed(node: TestNode, tmp_path_factory: pytest.TempPathFactory) -> tuple[TestNode, Path, str]:
    """A node with a handler that raised, its project's folder, and the id of the error."""
    folder = tmp_path_factory.mktemp("debug") / "shop"
    folder.mkdir()
    (folder / "casemate.toml").write_text(MANIFEST)
    (folder / "app.py").write_text(SOURCE)
    node.deploy_project(MANIFEST, SOURCE)
    answer = node.invoke({"order": "o-17"}, function="looked/f")
    identity = answer.headers["x-request-id"]
    assert until(lambda: identity in str(node.get("/recordings", project="looked")["recordings"]))
    return node, folder, answer.json()["error_id"]


def run(node: TestNode, folder: Path, *words: str, typed: str, key: str = "") -> str:
    done = subprocess.run(
        [sys.executable, "-m", "casemate.cli.main", "dev", "--debug", *words],
        cwd=folder, input=typed, capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "CASEMATE_URL": node.url, "CASEMATE_KEY": key or node.key},
    )  # fmt: skip
    return f"{done.stdout}\n{done.stderr}\nexit {done.returncode}"


def test_it_stops_where_it_raised_with_what_was_recorded(
    failed: tuple[TestNode, Path, str],
) -> None:
    node, folder, error = failed
    told = run(node, folder, error, typed="p event\nc\np item\nw\nq\n")
    assert "{'order': 'o-17'}" in told and "not found, as it was" in told
    assert "{'id': 'o-17'}" in told, "what the table answered then it answers again"
    assert "TypeError" in told and "total = item" in told
    assert "\x1b" not in told and "exit 0" in told
    assert "TypeError" in run(node, folder, typed="c\nq\n"), "the newest one without an id"


def test_an_event_of_a_bucket_is_handed_over_as_the_node_did(
    node: TestNode, tmp_path: Path
) -> None:
    manifest = """\
[project]
name = "pictured"
[bucket.pictures]
[function.f]
handler = "app:handler"
[function.f.delivery]
attempts = 1
[[function.f.bucket]]
bucket = "pictures"
"""
    source = """\
def handler(event, context):
    key = event.detail["key"]
    raise ValueError(f"{event.type} of {key}, {event.subject}, {event['bucket']['size']} bytes")
"""
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "casemate.toml").write_text(manifest)
    (folder / "app.py").write_text(source)
    node.deploy_project(manifest, source)
    address = f"{node.url}/api/v1/buckets/pictured/pictures/object"
    put = node.client.put(address, params={"key": "in/a.png"}, content=b"12345")
    assert put.status_code < 300, put.text
    assert until(lambda: node.get("/recordings", project="pictured")["recordings"])
    told = run(node, folder, typed="p event.data['key']\nc\nq\n")
    assert "ValueError: casemate.bucket.created of in/a.png, in/a.png, 5 bytes" in told, told
    assert "'in/a.png'" in told and "exit 0" in told


def test_a_handler_of_aws_has_its_event_in_the_shape_of_aws(node: TestNode, tmp_path: Path) -> None:
    manifest = """\
[project]
name = "shaped"
[function.f]
handler = "app:handler"
event_format = "aws"
public = true
[[function.f.http]]
method = "GET"
path = "/orders/{id}"
"""
    source = """\
def handler(event, context):
    id = event["pathParameters"]["id"]
    if id == "0":
        raise ValueError(f"{event['version']} {event['rawPath']} {context.event['method']}")
    return {"statusCode": 200, "body": id}
"""
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "casemate.toml").write_text(manifest)
    (folder / "app.py").write_text(source)
    node.deploy_project(manifest, source)
    assert node.client.get(f"{node.url}/orders/0").status_code == 500
    assert until(lambda: node.get("/recordings", project="shaped")["recordings"])
    told = run(node, folder, typed="c\nq\n")
    (folder / "app.py").write_text(source.replace('"0"', '"1"'))
    mended = run(node, folder, typed="c\n")
    assert "ValueError: 2.0 /orders/0 GET" in told and "exit 0" in told, told
    assert '"statusCode"' in told and "event_format = 'aws'" in told
    assert "It returned {'statusCode': 200, 'body': '0'}" in mended, mended


def test_it_reaches_neither_files_nor_the_network_nor_its_node(
    failed: tuple[TestNode, Path, str],
) -> None:
    node, folder, error = failed
    typed = (
        f"import os; os.environ['PORT'] = '{node.port}'\n"
        "import app\np app.look()\n"
        "p os.getuid(), sorted(os.listdir('/'))\n"
        "p [k for k in os.environ if 'CASEMATE' in k]\n"
        "!open('/function/code/app.py', 'a')\nq\n"
    )
    told = run(node, folder, error, typed=typed)
    assert "connected" not in told
    assert node.key not in told and "root:" not in told
    assert "65534" in told or os.geteuid() != 0
    assert "Read-only file system" in told or "Permission denied" in told
    assert "CASEMATE_KEY" not in told


def test_nothing_of_it_listens(failed: tuple[TestNode, Path, str]) -> None:
    node, folder, error = failed
    child = subprocess.Popen(
        [sys.executable, "-m", "casemate.cli.main", "dev", "--debug", error],
        cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env={**os.environ, "CASEMATE_URL": node.url, "CASEMATE_KEY": node.key},
    )  # fmt: skip
    try:
        assert child.stdout is not None
        while b"(Pdb)" not in (line := os.read(child.stdout.fileno(), 65536)):
            assert line, "it began"
        mine = {child.pid, *descendants(child.pid)}
        assert len(mine) > 2
        inodes = {
            os.readlink(f"/proc/{pid}/fd/{fd}") for pid in mine for fd in listed(f"/proc/{pid}/fd")
        }
        sockets = [name for name in inodes if name.startswith("socket:")]
        listening = {
            f"socket:[{line.split()[9]}]"
            for kind in ("tcp", "tcp6")
            for line in Path(f"/proc/net/{kind}").read_text().splitlines()[1:]
            if line.split()[3] == "0A"
        }
        assert not listening & set(sockets)
    finally:
        child.kill()
        child.wait()
    until(lambda: not any(process(pid).lives for pid in mine))


def listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def descendants(pid: int) -> set[int]:
    found: set[int] = set()
    for task in listed(f"/proc/{pid}/task"):
        try:
            children = Path(f"/proc/{pid}/task/{task}/children").read_text().split()
        except OSError:
            continue
        for child in map(int, children):
            found |= {child} | descendants(child)
    return found


def test_who_may_not_see_recordings_debugs_nothing(failed: tuple[TestNode, Path, str]) -> None:
    node, folder, error = failed
    made = node.client.post(
        f"{node.url}/api/v1/tokens", json={"name": "dev", "roles": ["developer"]}
    ).json()
    told = run(node, folder, error, typed="q\n", key=made["text"])
    assert "o-17" not in told and "exit 4" in told
    other = folder.parent / "other"
    shutil.copytree(folder, other)
    (other / "casemate.toml").write_text(MANIFEST.replace('"looked"', '"mail"'))
    assert "none of the project mail" in run(node, other, error, typed="q\n")
    assert "no error" in run(node, folder, "err_000000000000000000000000", typed="q\n")
