"""Nothing is allowed that was not granted, and nothing is granted without somebody's yes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from casemate.model.bundle import BundleManifest
from casemate.sbom import sbom
from support import forked_cli
from support.node import TestNode
from support.signing import attest

SHARES_NODE = True
MANIFEST = """\
[project]
name = "ledger"

[bucket.files]

[queue.jobs]

[function.book] # the only one
handler = "app:handler"
{grants}"""

READ = '[function.book.grants]\nbuckets = [{ name = "files", actions = ["read"] }]\n'
WRITE = (
    "[function.book.grants]\n"
    'buckets = [{ name = "files", actions = ["read", "write"], prefixes = ["a/", "b/"] }]\n'
    'queues = ["jobs"]\n'
)

APP = """\
def handler(event, context):
    files = context.bucket("files")
    files.put(event["key"], b"x")
    return files.get(event["key"]).decode()
"""


@pytest.fixture
def cli(node: TestNode, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a command line in a project's folder, against the node."""
    (tmp_path / "app.py").write_text(APP)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return forked_cli.run(
            arguments,
            cwd=tmp_path,
            env={
                **os.environ,
                "CASEMATE_URL": node.url,
                "CASEMATE_KEY": node.key,
                "NO_COLOR": "1",
            },
        )

    return run


def write(folder: Path, grants: str) -> Path:
    path = folder / "casemate.toml"
    path.write_text(MANIFEST.format(grants=grants))
    return path


def grants_of(cli: Callable[..., Any]) -> dict[str, Any]:
    done = cli("grants", "show", "book", "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_from_nothing_to_exactly_what_is_used(cli, node: TestNode, tmp_path: Path) -> None:
    # Without a grant the function is deployed, and can do nothing.
    write(tmp_path, "")
    done = cli("deploy")
    assert done.returncode == 0, done.stderr
    assert node.invoke({"key": "a/1"}, function="ledger/book").status_code == 500
    denied = grants_of(cli)["denials"]
    assert (denied[0]["action"], denied[0]["reason"]) == ("bucket:write", "not granted")

    # More than before stops, and tells what; nothing is live that was not.
    path = write(tmp_path, WRITE)
    done = cli("deploy")
    assert done.returncode == 4
    assert '+ bucket files: read, write below "a/", "b/"' in done.stderr
    assert "--approve" in done.stderr
    assert grants_of(cli)["version"] == 1
    assert grants_of(cli)["granted"] == []

    # With a yes it is live, and who said it is on record.
    done = cli("deploy", "--approve")
    assert done.returncode == 0, done.stderr
    assert node.invoke({"key": "a/1"}, function="ledger/book").json() == "x"
    assert node.invoke({"key": "c/1"}, function="ledger/book").status_code == 500
    shown = grants_of(cli)
    assert shown["version"] == 2
    assert shown["approvals"][0]["version"] == 2
    assert {g["name"] for g in shown["approvals"][0]["added"]} == {"files", "jobs"}
    assert {(u["action"], u["prefix"]) for u in shown["uses"]} == {("read", "a/"), ("write", "a/")}

    # The tighter manifest holds what was used, and every other byte of the file.
    done = cli("grants", "suggest", "book", "--write")
    assert done.returncode == 0, done.stderr
    text = path.read_text()
    assert text.startswith(MANIFEST.partition("{grants}")[0])
    assert 'prefixes = ["a/"]' in text
    assert "queues" not in text

    # Less needs nobody.
    done = cli("deploy")
    assert done.returncode == 0, done.stderr
    assert re.search("removed +queue jobs: send", done.stdout)
    assert 'bucket files: only below "a/"' in done.stdout
    assert node.invoke({"key": "a/1"}, function="ledger/book").json() == "x"
    assert node.invoke({"key": "b/1"}, function="ledger/book").status_code == 500


@pytest.mark.storm
def test_a_version_that_was_approved_once_can_come_back(cli, tmp_path: Path) -> None:
    write(tmp_path, READ)
    assert cli("deploy", "--approve").returncode == 0
    version = grants_of(cli)["version"]
    write(tmp_path, "")
    assert cli("deploy").returncode == 0
    done = cli("rollback", "book", "--to", str(version))
    assert done.returncode == 0, done.stderr
    assert [g["name"] for g in grants_of(cli)["granted"]] == ["files"]


def test_the_node_refuses_a_widening_whatever_the_client(
    cli, node: TestNode, tmp_path: Path
) -> None:
    write(tmp_path, "")
    assert cli("deploy").returncode == 0
    write(tmp_path, READ)
    built = json.loads(cli("build", "--json").stdout)["bundles"][0]
    assert cli("deploy").returncode == 4
    # The approved deploy brings the bundle; going back and asking again without a yes is refused.
    assert cli("deploy", "--approve").returncode == 0
    write(tmp_path, "")
    assert cli("deploy").returncode == 0
    bundle = tmp_path / ".casemate/bundles" / built["digest"]
    manifest = msgspec.json.decode((bundle / "bundle.json").read_bytes(), type=BundleManifest)
    attest(node.client, node.url, manifest, sbom(bundle, manifest))
    answer = node.client.post(
        f"{node.url}/api/v1/functions/ledger/book/versions", json={"digest": built["digest"]}
    )
    assert answer.status_code == 409
    assert [g["name"] for g in answer.json()["grants"]["added"]] == ["files"]


@pytest.mark.storm
def test_dev_learns_the_first_grants(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP)
    path = write(tmp_path, "")
    script = (
        "import json, os, urllib.request as u\n"
        "url = os.environ['CASEMATE_URL'] + '/invoke/ledger/book'\n"
        "head = {'authorization': 'Bearer ' + os.environ['CASEMATE_KEY'],"
        " 'content-type': 'application/json'}\n"
        "print(u.urlopen(u.Request(url, json.dumps({'key': 'a/1'}).encode(), head)).read())\n"
    )
    done = subprocess.run(
        [
            *(sys.executable, "-m", "casemate.cli.main", "dev", "--port", "0", "--learn"),
            *("--write", "--", sys.executable, "-c", script),
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={k: v for k, v in os.environ.items() if not k.startswith("CASEMATE_")},
        timeout=150,
    )
    assert done.returncode == 0, done.stderr
    text = path.read_text()
    assert '{ name = "files", actions = ["read", "write"], prefixes = ["a/"] }' in text
    assert "queues" not in text
