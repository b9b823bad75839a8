"""The walk in CONTRIBUTING is true: its diffs, applied, make an operation and its command."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DIFF = re.compile(r"```diff\n(?P<diff>--- a/.*?)```", re.DOTALL)

CALL = """
import json

from casemate.api.app import document
from casemate.operations.catalogue import FORMS
from casemate.operations.items import DeleteItem

path = "/api/v1/tables/{project}/{table}/delete"
form = next(form for form in FORMS if form.kind is DeleteItem)
operation = DeleteItem(project="shop", table="orders", key="ada", if_revision=3)
print(json.dumps({
    "described": document()["paths"][path]["post"],
    "target": form.target(operation),
    "body": form.json(operation),
    "capability": form.declared.capability,
}))
"""


@pytest.fixture
def changed(tmp_path: Path) -> Path:
    """The source with the diff applied."""
    diffs = DIFF.findall((ROOT / "CONTRIBUTING.md").read_text())
    assert len(diffs) == 2, "CONTRIBUTING.md has a diff of an operation and one of its command"
    shutil.copytree(
        ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
    )
    for diff in diffs:
        apply(diff, tmp_path)
    return tmp_path


def apply(diff: str, root: Path) -> None:
    """Replace the hunks of a diff, found by their lines: numbers would be true for a day."""
    name = re.search(r"^\+\+\+ b/(\S+)$", diff, re.MULTILINE)
    if name is None:
        pytest.fail("the diff names no file")
    path = root / name[1]
    text = path.read_text()
    for hunk in f"{diff.rstrip()}\n".split("\n@@")[1:]:
        lines = hunk.rstrip("\n").split("\n")[1:]
        before = "".join(f"{line[1:]}\n" for line in lines if line[:1] in " -" and line)
        after = "".join(f"{line[1:]}\n" for line in lines if line[:1] in " +" and line)
        assert text.count(before) == 1, "the diff does not fit the file"
        text = text.replace(before, after)
    path.write_text(text)


def run(changed: Path, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(changed / "src"), "COLUMNS": "100"}
    done = subprocess.run(
        [sys.executable, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_operation_is_added_in_one_file(changed: Path) -> None:
    made = json.loads(run(changed, "-c", CALL))
    described = made["described"]
    assert described["operationId"] == "deleteItem"
    assert described["requestBody"]["content"]["application/json"]["schema"]
    assert {"204", "400", "401", "403", "404", "409"} <= described["responses"].keys()
    assert made["target"] == "/tables/shop/orders/delete"
    assert made["body"] == {"key": "ada", "if_revision": 3}
    assert made["capability"] == "table.delete"


def test_its_command_takes_what_the_operation_has(changed: Path) -> None:
    shown = run(changed, "-m", "casemate.cli.main", "tables", "delete", "--help")
    assert "tables delete [OPTIONS] PROJECT/TABLE KEY [SORT]" in shown
    for part in ("--if-revision <int range>", "[x>=0]", "-y, --yes", "There is no way back."):
        assert part in shown
