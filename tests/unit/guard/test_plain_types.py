"""Tests of modules that hold nothing but types of plain data."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from casemate.guard.core import Guard
from casemate.guard.evaluation import plain_types

CIRCLE = "import math\nfrom dataclasses import dataclass\n@dataclass\nclass Circle:\n    r: float\n"
AREA = "    def area(self):\n        return math.pi * self.r\n"
NAMES = ("plain_shapes", "plain_app")
ASKS = "def ask(holds, guard, name):\n    return holds(guard, name)\n"


def _load(folder: Path, name: str, source: str) -> ModuleType:
    file = folder / f"{name}.py"
    file.write_text(source)
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    yield
    for name in NAMES:
        sys.modules.pop(name, None)


def _holds(folder: Path, shapes: str, app: str = "import plain_shapes\n") -> bool:
    _load(folder, "plain_shapes", shapes)
    asking: Any = _load(folder, "plain_app", app + ASKS)
    found: bool = asking.ask(plain_types.holds, Guard(str(folder)), "plain_shapes")
    return found


@pytest.mark.parametrize(
    ("shapes", "app"),
    [
        (CIRCLE + AREA, "import plain_shapes\n"),
        (CIRCLE + AREA, "from plain_shapes import Circle\n"),
        (
            "class Tag:\n    def __init__(self, name):\n        self.name = name\n",
            "import plain_shapes\n",
        ),
    ],
)
def test_types_of_plain_data_may_be_named(tmp_path: Path, shapes: str, app: str) -> None:
    assert _holds(tmp_path, shapes, app)


@pytest.mark.parametrize(
    "shapes",
    [
        "import os\n" + CIRCLE,
        CIRCLE + "def secret():\n    return 1\n",
        CIRCLE + "KEY = 'secret'\n",
        CIRCLE + "_KEPT = {}\n",
        CIRCLE + "    def read(self):\n        return open(self.r).read()\n",
        CIRCLE + "    def read(self):\n        import os\n        return os.getcwd()\n",
        CIRCLE + "    def run(self):\n        return (lambda: eval(self.r))()\n",
        "from subprocess import Popen\n" + CIRCLE,
        "import math\nclass Run:\n    go = __import__('os').system\n",
        "",
    ],
)
def test_modules_that_hold_or_reach_more_may_not(tmp_path: Path, shapes: str) -> None:
    assert not _holds(tmp_path, shapes)


def test_code_that_has_not_imported_the_module_names_none(tmp_path: Path) -> None:
    assert not _holds(tmp_path, CIRCLE, "import json\n")


def test_modules_of_others_are_none(tmp_path: Path) -> None:
    asking: Any = _load(tmp_path, "plain_app", "import fractions\n" + ASKS)
    assert not asking.ask(plain_types.holds, Guard(str(tmp_path)), "fractions")
