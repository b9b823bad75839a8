"""A node is backed up while it serves, lost, and made again from the backup."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from support import forked_cli
from support.attacks import until
from support.node import TestNode

HANDLER = "def handler(event, context):\n    print('planted-in-clear-4711')\n    return event\n"


def casemate(*arguments: str, node: TestNode | None = None) -> subprocess.CompletedProcess[str]:
    environment = dict(os.environ)
    if node is not None:
        environment |= {"CASEMATE_URL": node.url, "CASEMATE_KEY": node.key}
    return forked_cli.run(arguments, env=environment)


def signed(node: TestNode) -> int:
    """Return how many entries the newest head of the journal is of."""
    return int(node.get("/journal/head")["checkpoint"].split("\n")[1])


def test_backup_and_restore(node: TestNode, tmp_path: Path) -> None:
    node.deploy(HANDLER)
    assert node.invoke({"a": 1}).json() == {"a": 1}
    file = tmp_path / "node.tar"
    done = casemate("backup", str(file), node=node)
    assert done.returncode == 0, done.stderr
    assert "master key" in done.stderr
    (made,) = node.get("/journal", search="node:backup")["entries"]
    assert made["event"]["unmapped"]["operation"] == "backup", "that it was made is on record"
    sent = tmp_path / "sent.checkpoint"
    until(lambda: signed(node) > made["index"])
    sent.write_text(node.get("/journal/head")["checkpoint"])
    assert file.stat().st_mode & 0o777 == 0o600
    assert b"planted-in-clear" not in file.read_bytes()
    assert list((node.data / "spool").iterdir()) == []
    assert casemate("backup", str(file), node=node).returncode == 2
    key = ("--master-key", f"file:{node.master_key}")
    busy = casemate("restore", str(file), "--data", str(node.data), *key)
    assert busy.returncode == 1
    assert "not empty" in busy.stderr

    again = tmp_path / "again"
    unproven = casemate("restore", str(file), "--data", str(again))
    assert unproven.returncode == 1 and not again.exists()
    assert "cannot be verified" in unproven.stderr and "--master-key" in unproven.stderr
    done = casemate("restore", str(file), "--data", str(again), "--json", *key)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["data"], told["number"]) == (str(again), 1)
    checked = casemate("check", "--backup", str(file), *key)
    assert checked.returncode == 0, checked.stderr
    assert f"number 1 of {told['node']}" in " ".join(checked.stdout.split())
    # Which key that is, for who has several: the data does not lie where it lay.
    assert f"and was in 'file:{node.master_key}'." in " ".join(done.stderr.split())
    # The operator brings the master key, which no backup has.
    restored = TestNode(again, "--master-key", f"file:{node.master_key}")
    restored.key = node.key
    try:
        restored.start()
        assert restored.invoke({"a": 2}).json() == {"a": 2}
        lines = restored.client.get(f"{restored.url}/api/v1/logs").text
        assert "planted-in-clear-4711" in lines
        said = restored.get("/journal", kind="JournalRestored")["entries"]
        assert len(said) == 1 and said[0]["index"] == said[0]["event"]["unmapped"]["entries"]
        assert restored.get("/journal", kind="VersionDeployed")["entries"], "the past is in it"
        verify = ("journal", "verify")
        assert casemate(*verify, node=restored).returncode == 0
        told = casemate(*verify, "--checkpoint", str(sent), node=restored)
        assert told.returncode != 0, "what came after the backup is missed"
        assert "says that a backup of" in told.stdout + told.stderr
    finally:
        restored.close()


def test_a_tampered_backup_is_refused(node: TestNode, tmp_path: Path) -> None:
    file = tmp_path / "node.tar"
    assert casemate("backup", str(file), node=node).returncode == 0
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    key = ("--master-key", f"file:{node.master_key}")
    refused = casemate("restore", str(file), "--data", str(tmp_path / "again"), *key)
    assert refused.returncode == 1
    assert "damaged or was changed" in refused.stderr
    assert not (tmp_path / "again").exists()
    assert sorted(p.name for p in tmp_path.iterdir() if p.name.startswith(".again")) == []
