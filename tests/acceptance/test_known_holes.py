"""The gate of a real node: known holes refuse a deploy, and what becomes known ends what lives."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest

from casemate.advisories import Place, place_of_node
from casemate.model.bundle import BundleFile, LockedPackage
from support.advisories import import_records, record
from support.bundles import Bundle, deploy, make_bundle, publish, upload
from support.cli import casemate
from support.node import TestNode

pytestmark = pytest.mark.sandbox
SOURCE = """
import time
def handler(event, context):
    time.sleep((event or {}).get("seconds", 0))
    return "served"
"""
HIGH = [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N"}]


def with_package(bundle: Bundle, name: str, version: str) -> Bundle:
    """Return a bundle with a package in it, as a lock would have brought it."""
    info = f"deps/{name}-{version}.dist-info"
    added = {
        f"deps/{name}.py": b"value = 1\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{info}/RECORD": f"{name}.py,,\n".encode(),
    }
    files = [
        BundleFile(path=path, size=len(data), sha256=hashlib.sha256(data).hexdigest())
        for path, data in added.items()
    ]
    manifest = msgspec.structs.replace(
        bundle.manifest,
        packages=(LockedPackage(name=name, version=version),),
        lock_sha256="1" * 64,
        files=tuple(sorted((*bundle.manifest.files, *files), key=lambda file: file.path)),
    )
    return Bundle(manifest, {**bundle.files, **added})


def records(folder: Path, *found: dict[str, Any]) -> str:
    folder.mkdir()
    for number, each in enumerate(found):
        (folder / f"{number}.json").write_text(json.dumps(each))
    return str(folder)


def ran(node: TestNode, *arguments: str) -> str:
    done = casemate(node, "advisories", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestNode]:
    node = TestNode(tmp_path_factory.mktemp("holes") / "data").start()
    yield node
    node.close()


def facts(node: TestNode, kind: str) -> list[dict[str, Any]]:
    entries = node.get("/journal", limit=200)["entries"]
    return [one for one in entries if kind in json.dumps(one)]


def test_from_a_refused_deploy_to_a_function_that_is_stopped(
    node: TestNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CASEMATE_ADVISORIES", str(tmp_path / "here"))
    plain = make_bundle(SOURCE, name="plain")
    publish(node, plain)  # nothing of others: it needs no advisories
    held = with_package(make_bundle(SOURCE, name="f", limits='timeout = "30s"'), "left", "1.0")
    assert upload(node, held.digest, held.archive()).status_code == 201
    refused = deploy(node, held)
    assert refused.status_code == 409
    assert "no advisories" in refused.json()["detail"]
    assert casemate(node, "advisories", "status", "--node").returncode == 1

    hole = record("GHSA-1", name="left", severity=HIGH, aliases=["CVE-2026-1"])
    ran(node, "import", records(tmp_path / "one", hole), "--ecosystem", "PyPI", "--node")
    assert ran(node, "status", "--node").startswith("PyPI: 1 advisory\n")
    refused = deploy(node, held)
    assert refused.status_code == 409 and "GHSA-1 in left 1.0" in refused.json()["detail"]
    wanted = ("--advisory", "CVE-2026-1", "--package", "left", "--for", "1h", "--reason", "known")
    ran(node, "except", "t/f", *wanted)
    assert deploy(node, held).status_code == 201
    assert node.invoke(function="t/f").json() == "served"
    assert "known" in ran(node, "exceptions")
    plain_sbom = casemate(node, "sbom", "t/plain", "--deployed")
    assert json.loads(plain_sbom.stdout)["metadata"]["component"]["name"] == "plain"

    answers: list[httpx2.Response] = []
    long = threading.Thread(
        target=lambda: answers.append(node.invoke({"seconds": 25}, function="t/f"))
    )
    long.start()
    time.sleep(1)
    evil = record("MAL-2026-1", name="left", versions=["1.0"])
    begun = time.monotonic()
    ran(node, "import", records(tmp_path / "two", hole, evil), "--ecosystem", "PyPI", "--node")
    node.wait_until(lambda: node.invoke(function="t/f").status_code == 503, 60)
    assert time.monotonic() - begun < 60
    long.join(20)
    assert answers[0].status_code >= 500  # it was killed in the middle
    told = node.invoke(function="t/f")
    assert "MAL" not in told.text and "quarantine" not in told.text
    assert node.invoke(function="t/plain").status_code == 200
    assert "MAL-2026-1" in ran(node, "live")
    assert "QUARANTINE" in casemate(node, "show", "t/f").stdout
    (fact,) = facts(node, "FunctionQuarantined")
    assert "MAL-2026-1" in json.dumps(fact)

    node.stop()
    node.start()
    assert node.invoke(function="t/f").status_code == 503
    assert casemate(node, "rm", "t/f", "--yes").returncode == 1
    done = casemate(node, "release", "t/f", "--reason", "a false alarm")
    assert done.returncode == 0, done.stderr
    assert node.invoke(function="t/f").json() == "served"


def test_what_is_sent_to_a_node_is_checked(node: TestNode, tmp_path: Path) -> None:
    place = place_of_node(node.data)
    before = place.database.read_bytes()

    def send(data: bytes) -> httpx2.Response:
        return node.client.put(
            f"{node.url}/api/v1/advisories",
            content=data,
            headers={"content-type": "application/octet-stream"},
        )

    for data in (b"", b"junk", before[:-1], before[:-1] + b"\x00", b"x" * len(before)):
        assert send(data).status_code == 422
    other = Place(tmp_path / "other")
    import_records(other, record(), record("GHSA-2"), at=time.time() - 3600)
    assert send(other.database.read_bytes()).status_code == 409  # older than what is in force
    assert place.database.read_bytes() == before
    assert not list(place.folder.glob("upload-*"))
    no_token = httpx2.put(f"{node.url}/api/v1/advisories", content=before)
    assert no_token.status_code == 401
