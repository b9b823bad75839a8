"""Files of a node are gone, or its logs have lost commits: it says so, and never begins anew."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from casemate.folder.ownership import MARKER
from support.cli import casemate
from support.node import TestNode
from support.stopped_nodes import put, refusal

KEEPER = """
def handler(event, context):
    items = context.table("items")
    if event is not None:
        items.put({"id": event, "text": "x" * 2000})
        context.bucket("files").put("large", b"l" * 100_000)
    return items.get("first").value["id"]
"""
GRANTS = """
tables = [{ name = "items", actions = ["get", "put"] }]
buckets = [{ name = "files", actions = ["write"] }]
"""
RESOURCES = '[bucket.files]\n[table.items]\nkey = "id"\n'
GONE = {
    "store": ("store/records.db is gone", ["store"]),
    "the store's file": ("store/records.db is gone", ["store/records.db"]),
    "store and data": ("store/records.db is gone", ["store", "data"]),
    "data": ("The data of 1 projects is gone: t", ["data"]),
    "a project": ("The data of 1 projects is gone: t", ["data/t@1.db"]),
    "records": ("their file is gone: journal/records/records.db", ["journal/records"]),
    "the records' file": ("records/records.db", ["journal/records/records.db"]),
    "journal": ("its files are gone", ["journal"]),
    "the journal's head": ("--accept-loss journal", ["journal/checkpoint"]),
    "the journal's keys": ("keys is missing", ["journal/keys"]),
    "vault": ("There is no vault.sealed", ["vault"]),
    "vault and store": ("store/records.db is gone", ["vault", "store"]),
}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestNode]:
    """A stopped node that has kept something."""
    node = TestNode(tmp_path_factory.mktemp("lost") / "data").start()
    node.deploy(KEEPER, grants=GRANTS, resources=RESOURCES, approve=True)
    assert node.invoke("first").json() == "first"
    # One that is stopped within its first second has signed no head yet.
    node.wait_until((node.data / "journal/checkpoint").exists)
    node.stop()
    yield node
    node.close()


@pytest.fixture
def whole(node: TestNode, tmp_path: Path) -> Iterator[TestNode]:
    """The node, whose folder is as it was afterwards."""
    copy = tmp_path / "copy"
    put(node.data, copy)
    yield node
    if node.process is not None:
        node.stop(signal.SIGKILL)
    shutil.rmtree(node.data)
    copy.rename(node.data)
    node.arguments = ()


SHORT = ("store and data", "a project", "the records' file", "vault and store")


@pytest.mark.parametrize(
    "what",
    [one if one in SHORT else pytest.param(one, marks=pytest.mark.storm) for one in GONE],
)
def test_what_is_gone_is_missed_and_nothing_is_made_in_its_place(
    whole: TestNode, what: str
) -> None:
    """Before: the node began anew, without a function, and gave a new owner's token away."""
    message, names = GONE[what]
    for name in names:
        path = whole.data / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    assert message in refusal(whole)
    assert not (whole.data / "store" / "records.db").exists() or "store" not in what


@pytest.mark.parametrize(
    "what", ["store", "data/t", pytest.param("records", marks=pytest.mark.storm)]
)
def test_a_killed_nodes_database_that_is_gone_is_begun_anew_beside_its_log(
    whole: TestNode, what: str
) -> None:
    """Before: refused for the log, or, for a project, damaged by it for good."""
    node = whole
    node.start()
    assert node.invoke("first").json() == "first"
    key = node.key
    node.stop(signal.SIGKILL)
    place = {"store": "store/records.db", "data/t": "data/t@1.db"}
    database = node.data / place.get(what, "journal/records/records.db")
    assert database.with_name(f"{database.name}-wal").stat().st_size
    database.unlink()
    assert f"--accept-loss {what}" in refusal(node)
    node.arguments = ("--accept-loss", what)
    node.start()
    assert list(database.parent.glob(f"{database.name}-wal.lost-*")), "nothing is deleted"
    # The first call of a function that is begun anew declares what it uses.
    node.deploy(KEEPER, grants=GRANTS, resources=RESOURCES, approve=True)
    assert node.invoke("first").json() == "first"
    node.stop(signal.SIGKILL)
    node.arguments = ()
    node.start()
    assert node.invoke(None).json() == "first"
    node.stop()
    node.key = key


@pytest.mark.parametrize("with_identity", [False, True])
def test_an_older_store_in_the_place_of_the_newest_is_told(
    whole: TestNode, tmp_path: Path, with_identity: bool
) -> None:
    """Before: a token that had been revoked was valid again, and nobody was told."""
    node = whole
    put(node.data / "store", tmp_path / "older")
    put(node.data / "node.json", tmp_path / "node.json")
    node.start()
    owner = node.key
    made = node.client.post(
        f"{node.url}/api/v1/tokens", json={"name": "late", "roles": ["owner"]}
    ).json()
    node.stop()
    shutil.rmtree(node.data / "store")
    (tmp_path / "older").rename(node.data / "store")
    if with_identity:
        put(tmp_path / "node.json", node.data / "node.json")
    assert "The store is an older copy" in refusal(node)
    node.arguments = ("--accept-loss", "store")
    node.start()
    assert node.invoke("first").json() == "first"
    node.client.headers["authorization"] = f"Bearer {made['text']}"
    assert node.invoke("first").status_code == 401
    node.stop()
    node.arguments = ()
    node.key = owner
    node.start()
    assert node.invoke("first").json() == "first", "it is accepted once"
    node.stop()


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_an_older_database_of_a_project_in_the_place_of_the_newest_is_told(
    whole: TestNode, tmp_path: Path, end: signal.Signals
) -> None:
    """Before: what had been acknowledged since was not there, and nobody was told."""
    node = whole
    older = tmp_path / "older"
    older.mkdir()
    for file in (node.data / "data").glob("t@*"):
        put(file, older / file.name)
    node.start()
    key = node.key
    assert node.invoke("second").json() == "first"
    time.sleep(2.0)  # what is remembered of the project is written a second later
    node.stop(end)
    for file in (node.data / "data").glob("t@*"):
        file.unlink()
    for file in older.iterdir():
        put(file, node.data / "data" / file.name)
    node.key = key
    node.start()
    refused = node.invoke(None)
    assert refused.status_code >= 500
    node.wait_until(lambda: "is an older copy" in str(node.get("/node/health")))
    assert node.get("/node/health")["ok"] is False
    node.stop()
    node.arguments = ("--accept-loss", "data/t")
    node.start()
    assert node.invoke(None).json() == "first"
    time.sleep(2.0)
    node.stop()
    node.arguments = ()
    node.start()
    assert node.invoke("third").json() == "first", "it is accepted once"
    node.stop()


def test_an_older_vault_in_the_place_of_the_newest_is_told(whole: TestNode, tmp_path: Path) -> None:
    """Before: a secret that had been deleted, or replaced, was given to functions again."""
    node = whole
    put(node.data / "vault", tmp_path / "older")
    node.start()
    key = node.key
    assert casemate(node, "secrets", "set", "t/late", stdin="a-value").returncode == 0
    node.stop()
    shutil.rmtree(node.data / "vault")
    (tmp_path / "older").rename(node.data / "vault")
    assert "The vault is an older copy" in refusal(node)
    node.arguments = ("--accept-loss", "vault")
    node.key = key
    node.start()
    assert node.invoke("first").json() == "first"
    assert casemate(node, "secrets", "set", "t/late", stdin="a-value").returncode == 0
    node.stop()
    node.arguments = ()
    node.start()
    assert node.invoke("first").json() == "first", "it is accepted once"
    node.stop()


def test_a_node_whose_marker_is_gone_starts_with_all_it_has(whole: TestNode) -> None:
    """Before: its own node.json made its folder that of somebody else, whatever was done."""
    (whole.data / MARKER).unlink()
    whole.start()
    assert whole.invoke("first").json() == "first"
    assert (whole.data / MARKER).exists()
    whole.stop()


@pytest.mark.storm
def test_a_loss_that_is_accepted_by_name_is_begun_anew(whole: TestNode) -> None:
    node = whole
    (node.data / "data" / "t@1.db").unlink()
    node.arguments = ("--accept-loss", "data/t")
    node.start()
    assert node.invoke(None).status_code == 500, "what was there is gone"
    node.deploy(KEEPER, grants=GRANTS, resources=RESOURCES, approve=True)
    assert node.invoke("first").json() == "first"
    assert list((node.data / "data" / "objects").glob("t.lost-*")), "nothing is deleted"
    node.stop()
    node.arguments = ()
    node.start()
    assert node.invoke(None).json() == "first", "it is accepted once"
    node.stop()
    shutil.rmtree(node.data / "store")
    node.arguments = ("--accept-loss", "store")
    key = node.key
    node.start()
    assert node.key != key, "a store that is begun anew has a new owner"
    node.key = key


@pytest.mark.storm
def test_records_that_are_gone_are_begun_anew_by_name_and_once(whole: TestNode) -> None:
    node = whole
    node.start()
    assert node.invoke("first").json() == "first"
    before = node.get("/invocations")["invocations"]
    assert before
    node.stop()
    shutil.rmtree(node.data / "journal" / "records")
    node.arguments = ("--accept-loss", "journal")
    assert "--accept-loss records" in refusal(node), "the loss of another thing is none of it"
    node.arguments = ("--accept-loss", "records")
    node.start()
    assert node.get("/invocations")["invocations"] == []
    assert node.invoke("first").json() == "first"
    node.stop()
    node.arguments = ()
    node.start()
    assert len(node.get("/invocations")["invocations"]) == 1
    node.stop()


@pytest.mark.storm
def test_a_first_start_that_was_interrupted_is_no_loss(tmp_path: Path) -> None:
    node = TestNode(tmp_path / "data").start()
    node.stop(signal.SIGKILL)
    shutil.rmtree(node.data / "store")
    assert "store/records.db is gone" in refusal(node)
    (node.data / "first-start").touch()
    node.start()
    assert node.key
    assert not (node.data / "first-start").exists()
    node.close()


@pytest.mark.parametrize(
    "what", ["store/records.db", pytest.param("data/t@1.db", marks=pytest.mark.storm)]
)
def test_commits_that_a_damaged_log_has_lost_are_named(whole: TestNode, what: str) -> None:
    """Before: one changed byte took 14 of 765 acknowledged writes along, and nothing was said."""
    node = whole
    node.start()
    for number in range(20):
        assert node.invoke(f"item-{number}").json() == "first"
        node.client.post(
            f"{node.url}/api/v1/tokens", json={"name": f"n{number}", "roles": ["owner"]}
        )
    node.get("/invocations")
    node.stop(signal.SIGKILL)
    log = node.data / f"{what}-wal"
    content = bytearray(log.read_bytes())
    content[len(content) // 3] ^= 1
    log.write_bytes(content)
    if what.startswith("store"):
        said = refusal(node)
    else:
        node.errors.write_text("")
        node.start()
        assert node.invoke(None).status_code == 500
        said = node.errors.read_text()
        node.stop()
    assert "lost what was acknowledged" in said
    assert "-wal is damaged at page" in said
    node.arguments = ("--accept-loss", "store" if what.startswith("store") else "data/t")
    node.start()
    assert node.invoke("first").json() == "first"
    node.stop()


@pytest.mark.storm
@pytest.mark.parametrize("what", ["store/records.db", "data/t@1.db"])
def test_a_torn_end_of_a_log_is_what_a_crash_leaves(whole: TestNode, what: str) -> None:
    node = whole
    node.start()
    assert node.invoke("more").json() == "first"
    node.get("/invocations")
    node.stop(signal.SIGKILL)
    with (node.data / f"{what}-wal").open("ab") as log:
        log.write(b"\x00\x17" * 3000)
    node.start()
    assert node.invoke("more").json() == "first"
    node.stop()
