"""What a run of the tests teaches is enough for the same run on a node that denies the rest."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.cli import casemate
from support.node import TestNode

MANIFEST = """\
# What is kept of orders.
[project]
name = "orders"

[bucket.receipts]
[bucket.unused]

[table.orders]
key = "customer"
sort = "number"
indexes = [{ name = "by-state", key = "state" }]

[queue.shipping]
[topic.sold]

[function.order]
handler = "order:handler"

[function.price] # asked by order
handler = "price:handler"
internal = true

[function.idle]
handler = "price:handler"
"""
ORDER = """
def handler(event, context):
    receipts, orders = context.bucket("receipts"), context.table("orders")
    price = context.invoke("price", {"n": event["n"]})["price"]
    orders.put({"customer": "c", "number": event["n"], "state": "new", "price": price})
    receipts.put(f"pdf/{event['n']}", b"receipt")
    context.queue("shipping").send(event["n"])
    context.topic("sold").publish(event["n"])
    new = [item.value["number"] for item in orders.query("new", index="by-state")]
    return {"price": price, "new": new, "size": receipts.head(f"pdf/{event['n']}").size}
"""
PRICE = """
def handler(event, context):
    prices = context.bucket("receipts")
    try:
        prices.delete("tmp/none")
    finally:
        return {"price": event["n"] * 2}
"""
TEST = """
import json, os, sys, urllib.request
for n in (1, 2):
    request = urllib.request.Request(
        os.environ["CASEMATE_URL"] + "/invoke/orders/order",
        json.dumps({"n": n}).encode(),
        {"authorization": "Bearer " + os.environ["CASEMATE_KEY"],
         "content-type": "application/json"},
    )
    answer = json.load(urllib.request.urlopen(request, timeout=60))
    assert answer == {"price": n * 2, "new": list(range(1, n + 1)), "size": 7}, answer
sys.exit(int(sys.argv[1]))
"""


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "casemate.toml").write_text(MANIFEST)
    (tmp_path / "order.py").write_text(ORDER)
    (tmp_path / "price.py").write_text(PRICE)
    (tmp_path / "run.py").write_text(TEST)
    yield tmp_path
    shutil.rmtree(tmp_path / ".casemate", ignore_errors=True)


def learn(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(sys.executable, "-m", "casemate.cli.main", "dev", "--port", "0", "--learn"),
            *words,
        ],
        capture_output=True,
        text=True,
        cwd=project,
        env={k: v for k, v in os.environ.items() if not k.startswith("CASEMATE_")},
        timeout=150,
        check=False,
    )


def run_tests(project: Path, node: TestNode) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "CASEMATE_URL": node.url, "CASEMATE_KEY": node.key}
    command = [sys.executable, str(project / "run.py"), "0"]
    return subprocess.run(command, env=environment, capture_output=True, check=False)


def deploy(project: Path, node: TestNode) -> None:
    path = str(project / "casemate.toml")
    done = casemate(node, "deploy", "--manifest", path, "--approve")
    assert done.returncode == 0, done.stderr


def grants(node: TestNode, function: str) -> dict[str, Any]:
    done = casemate(node, "grants", "show", f"orders/{function}", "--json")
    assert done.returncode == 0, done.stderr
    shown: dict[str, Any] = json.loads(done.stdout)
    return shown


@pytest.mark.storm
def test_what_is_learned_suffices_and_is_no_more(project: Path, fresh_node: TestNode) -> None:
    # Before: the tests fail, for nothing is granted.
    deploy(project, fresh_node)
    assert run_tests(project, fresh_node).returncode != 0
    denied = {denial["action"] for denial in grants(fresh_node, "order")["denials"]}
    assert "function:invoke" in denied

    done = learn(project, "--write", "--", sys.executable, "run.py", "0")
    assert done.returncode == 0, done.stderr
    text = (project / "casemate.toml").read_text()
    assert text.startswith("# What is kept of orders.")
    assert "[function.price] # asked by order" in text

    # After: they pass on a node that allows nothing else, and nothing is denied.
    deploy(project, fresh_node)
    before = denials(fresh_node)
    done_again = run_tests(project, fresh_node)
    assert done_again.returncode == 0, what_failed(fresh_node)
    assert denials(fresh_node) == before
    order, price = grants(fresh_node, "order"), grants(fresh_node, "price")
    found = {(g["kind"], g["name"]): set(g["actions"]) for g in order["granted"]}
    assert found == {
        ("bucket", "receipts"): {"read", "write"},
        ("table", "orders"): {"put", "query"},
        ("queue", "shipping"): {"send"},
        ("topic", "sold"): {"publish"},
        ("function", "price"): {"invoke"},
    }
    assert [g["prefixes"] for g in order["granted"] if g["kind"] == "bucket"] == [["pdf/"]]
    found = {(g["kind"], g["name"]): set(g["actions"]) for g in price["granted"]}
    assert found == {("bucket", "receipts"): {"delete"}}
    assert grants(fresh_node, "idle")["granted"] == []


def what_failed(node: TestNode) -> str:
    """The errors that callers were only given the ids of, newest first."""
    errors = node.get("/errors", limit=10)["errors"]
    return "\n".join(str(node.get(f"/errors/{error['id']}")) for error in errors)


def denials(node: TestNode) -> int:
    return sum(int(denial["count"]) for denial in node.get("/denials", limit=1000)["denials"])


@pytest.mark.storm
def test_nothing_is_written_when_the_tests_fail(project: Path) -> None:
    done = learn(project, "--write", "--", sys.executable, "run.py", "3")
    assert done.returncode not in {0, 2}
    assert "ended with 3" in done.stderr
    assert (project / "casemate.toml").read_text() == MANIFEST


def test_what_a_person_must_answer_for_is_not_learned(project: Path) -> None:
    """A private address stays out of reach while learning, and out of the manifest."""
    (project / "price.py").write_text(
        "import urllib.error, urllib.request\n"
        "def handler(event, context):\n"
        "    try:\n"
        "        urllib.request.urlopen('http://127.0.0.1:9/', timeout=5)\n"
        "    except urllib.error.HTTPError as error:\n"
        "        refused = error.code == 403 and b'leads to an address' in error.read()\n"
        "        return {'price': event['n'] * 2 if refused else -1}\n"
    )
    done = learn(project, "--write", "--", sys.executable, "run.py", "0")
    assert done.returncode == 0, done.stderr
    assert "egress" not in (project / "casemate.toml").read_text()
