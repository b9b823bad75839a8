"""The evidence of a quarter is gathered by the commands of its page, by an auditor."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from support.cli import casemate
from support.node import TestNode

SHARES_NODE = True
PAGE = Path(__file__).parents[2] / "docs/howto/gather-evidence.md"
MANIFEST = """
[project]
name = "shop"

[function.cart]
handler = "app:handler"
"""
_TELLS = re.compile("casemate (?:audit|advisories (?:status|live)) ")
SOURCE = "def handler(event, context):\n    return {}\n"


def commands() -> list[str]:
    today = datetime.now(UTC).date()
    page = PAGE.read_text().replace("2026-10-01", str(today - timedelta(days=60)))
    page = page.replace("2026-12-31", str(today + timedelta(days=2)))
    blocks = re.findall(r"```console\n(.*?)```", page, re.DOTALL)
    return [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]


@pytest.fixture
def project(node: TestNode, tmp_path: Path) -> Path:
    node.deploy_project(MANIFEST, SOURCE)
    # A node that has just started has signed no head yet.
    node.wait_until((node.data / "journal/checkpoint").exists)
    (tmp_path / "casemate.toml").write_text(MANIFEST)
    (tmp_path / "app.py").write_text(SOURCE)
    return tmp_path


def test_all_commands_of_the_page_run_and_give_what_it_says(node: TestNode, project: Path) -> None:
    made = casemate(node, "tokens", "add", "quarter", "--role", "auditor", "--json")
    assert made.returncode == 0, made.stderr
    bin_folder = project / "bin"
    bin_folder.mkdir()
    command = bin_folder / "casemate"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m casemate.cli.main "$@"\n')
    command.chmod(0o755)
    env = {
        **os.environ,
        "PATH": f"{bin_folder}:{os.environ['PATH']}",
        "CASEMATE_URL": node.url,
        "CASEMATE_KEY": json.loads(made.stdout)["text"],
        "HOME": str(project),
    }
    for line in commands():
        done = subprocess.run(
            ["sh", "-c", line], cwd=project, env=env, capture_output=True, text=True, timeout=120
        )
        # What is found is told by 1; a wrong call, or somebody who may not, by others.
        found = _TELLS.match(line) is not None and done.returncode == 1
        assert done.returncode == 0 or found, (line, done.stderr)
    evidence = project / "evidence"
    named = set(re.findall(r"`((?:[\w-]+\.)+(?:json|ndjson|txt|checkpoint))`", PAGE.read_text()))
    assert {"access.json", "journal.ndjson", "node.cdx.json"} <= named
    for name in named:
        assert (evidence / name).stat().st_size, name
    for file in evidence.glob("*.json"):
        json.loads(file.read_text())
    assert json.loads((evidence / "journal-verified.json").read_text())["findings"] == []
    assert (evidence / "sboms" / "cart.cdx.json").is_file()
    kinds = {
        json.loads(line)["metadata"]["event_code"]
        for line in (evidence / "journal.ndjson").read_text().splitlines()
    }
    assert "VersionDeployed" in kinds
    with tarfile.open(project / "evidence.tar") as archive:
        assert "evidence/SHA256SUMS" in archive.getnames()
