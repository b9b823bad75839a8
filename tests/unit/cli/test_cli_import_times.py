"""How long the import of a handler takes, package by package, in the real sandbox."""

from __future__ import annotations

from pathlib import Path

import pytest

from casemate.build.bundle import build
from casemate.cli.import_times import import_times
from casemate.manifest import load

pytestmark = pytest.mark.sandbox
MANIFEST = """\
[project]
name = "t"
[function.f]
handler = "app:handler"
environment = { WANTED = "yes" }
"""
SOURCE = """\
import json, os, slow
assert os.environ["WANTED"] == "yes"
def handler(event, context):
    return None
"""


def measured(root: Path, source: str):
    (root / "casemate.toml").write_text(MANIFEST)
    (root / "app.py").write_text(source)
    (root / "slow.py").write_text("import time\ntime.sleep(0.2)\n")
    project = load(root / "casemate.toml")
    (spec,) = project.functions
    built = build(root, project.name, spec, root / "out")
    return import_times(spec, built, lambda name: {"slow"} & {name})


def test_what_a_package_takes_is_that_of_its_own_modules(tmp_path: Path) -> None:
    found = measured(tmp_path, SOURCE)
    assert found.why == ""
    assert list(found.packages) == ["slow"]
    assert found.packages["slow"] >= 200_000


def test_an_import_that_fails_says_why(tmp_path: Path) -> None:
    found = measured(tmp_path, "import nowhere\ndef handler(event, context): pass\n")
    assert found.packages == {}
    assert found.why == "ModuleNotFoundError: No module named 'nowhere'"
