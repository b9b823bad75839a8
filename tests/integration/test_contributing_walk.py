"""The walk in CONTRIBUTING is true: its diff, applied, makes an operation that can be called."""

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
    found = DIFF.search((ROOT / "CONTRIBUTING.md").read_text())
    if found is None:
        pytest.fail("CONTRIBUTING.md has no diff")
    shutil.copytree(
        ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
    )
    apply(found["diff"], tmp_path)
    return tmp_path


def apply(diff: str, root: Path) -> None:
    """Replace the one hunk of a diff, found by its lines: numbers would be true for a day."""
    name = re.search(r"^\+\+\+ b/(\S+)$", diff, re.MULTILINE)
    if name is None:
        pytest.fail("the diff names no file")
    lines = diff.split("\n@@", 1)[1].split("\n")[1:-1]
    before = "".join(f"{line[1:]}\n" for line in lines if line[:1] in " -" and line)
    after = "".join(f"{line[1:]}\n" for line in lines if line[:1] in " +" and line)
    path = root / name[1]
    text = path.read_text()
    assert text.count(before) == 1, "the diff does not fit the file"
    path.write_text(text.replace(before, after))


def test_an_operation_is_added_in_one_file(changed: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(changed / "src")}
    done = subprocess.run(
        [sys.executable, "-c", CALL],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    described = made["described"]
    assert described["operationId"] == "deleteItem"
    assert described["requestBody"]["content"]["application/json"]["schema"]
    assert {"204", "400", "401", "403", "404", "409"} <= described["responses"].keys()
    assert made["target"] == "/tables/shop/orders/delete"
    assert made["body"] == {"key": "ada", "if_revision": 3}
    assert made["capability"] == "table.delete"
