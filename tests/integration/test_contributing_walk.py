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
from casemate.operations.objects import HeadObject

path = "/api/v1/buckets/{project}/{bucket}/about"
form = next(form for form in FORMS if form.kind is HeadObject)
operation = HeadObject(project="shop", bucket="photos", key="a b.jpg", revision=3)
print(json.dumps({
    "described": document()["paths"][path]["get"],
    "target": form.target(operation),
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
    assert described["operationId"] == "headObject"
    parameters = {each["name"]: each["required"] for each in described["parameters"]}
    assert parameters == {"key": True, "revision": False}
    assert {"200", "400", "401", "403", "404", "422"} <= described["responses"].keys()
    assert made["target"] == "/buckets/shop/photos/about"
    assert made["capability"] == "bucket.head"


def test_its_command_takes_what_the_operation_has(changed: Path) -> None:
    shown = run(changed, "-m", "casemate.cli.main", "buckets", "about", "--help")
    assert "buckets about [OPTIONS] PROJECT/BUCKET KEY" in shown
    for part in ("--revision", "--json", "Show what is known of an object"):
        assert part in shown
