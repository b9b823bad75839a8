"""The page on the architecture names what is there, its rooms in the order of the layers."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/explanation/architecture.md").read_text()
FILES = re.compile(r"`([a-z_/]+\.py)`(?::\s+`(\w+)`)?")
ROOMS = re.findall(r"^\*\*`(\w+)`\*\* ", PAGE, re.MULTILINE)
LAYERS: list[str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
    "contracts"
][0]["layers"]


@pytest.mark.parametrize(("file", "name"), sorted(set(FILES.findall(PAGE))))
def test_what_is_named_is_there(file: str, name: str) -> None:
    path = ROOT / file if file.startswith("tests/") else ROOT / "src/casemate" / file
    text = path.read_text()
    if name:
        assert re.search(rf"^(?:class|def|async def) {name}\b|^{name} = ", text, re.MULTILINE)


def test_every_package_has_its_paragraph_in_the_order_of_the_layers() -> None:
    packages = {path.parent.name for path in (ROOT / "src/casemate").glob("*/__init__.py")}
    assert set(ROOMS) == packages | ({"testing"} & set(ROOMS))
    level = {name.strip(): i for i, line in enumerate(LAYERS) for name in re.split(r"[|:]", line)}
    levels = [level[room] for room in ROOMS if room in level]
    assert levels == sorted(levels)
