"""What has to be there before a function's code comes in: nothing of ours is found afterwards."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import casemate

SOURCE = Path(casemate.__file__).parent
INSIDE = ("guard", "runner")
"""Packages that run inside functions."""
OUTSIDE = {"casemate.runner.replaying_guarded"}
"""Imported by `casemate dev` and `casemate replay` alone, before a function's code."""


def imported_late() -> Iterator[tuple[str, str]]:
    """Yield each file and the module of ours that a function in it imports."""
    for package in INSIDE:
        for file in sorted((SOURCE / package).rglob("*.py")):
            inside = ("casemate", *file.relative_to(SOURCE).with_suffix("").parts[:-1])
            for function in ast.walk(ast.parse(file.read_bytes())):
                if not isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    continue
                for node in ast.walk(function):
                    if not isinstance(node, ast.ImportFrom) or not node.level:
                        continue
                    base = inside[: len(inside) - node.level + 1]
                    module = ".".join((*base, *(node.module or "").split("."))).rstrip(".")
                    for name in node.names:
                        below = SOURCE.parent.joinpath(*module.split("."), f"{name.name}.py")
                        yield file.name, f"{module}.{name.name}" if below.exists() else module


def test_what_is_imported_where_it_is_needed_is_there_before() -> None:
    code = "import sys; from casemate.runner import base, zygote; base._warm(); print(*sys.modules)"
    there = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True, timeout=60
    ).stdout.split()
    late = set(imported_late())
    assert ("base.py", "casemate.guard.setting_up") in late
    assert {(file, name) for file, name in late if name not in {*there, *OUTSIDE}} == set()
