"""What keeps things durable has floors: no module needs itself, not even for a type."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import casemate

ROOT = Path(casemate.__file__).parent


def imports(package: Path) -> dict[str, set[str]]:
    """Return which modules of a package each of them imports, for types alone as well."""
    names = {}
    for path in package.rglob("*.py"):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        names[".".join(part for part in parts if part != "__init__")] = path
    found: dict[str, set[str]] = {}
    for name, path in names.items():
        wanted = found[name] = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                wanted |= {alias.name for alias in node.names} & names.keys()
            elif isinstance(node, ast.ImportFrom) and node.module:
                inner = {f"{node.module}.{alias.name}" for alias in node.names} & names.keys()
                wanted |= inner or {node.module} & names.keys()
    return found


@pytest.mark.parametrize("package", ["sqlite", "store", "data", "delivery"])
def test_no_module_imports_itself_by_others(package: str) -> None:
    TopologicalSorter(imports(ROOT / package)).prepare()


def test_a_circle_would_be_found() -> None:
    with pytest.raises(CycleError):
        TopologicalSorter({"a": {"b"}, "b": {"c"}, "c": {"a"}}).prepare()


def test_imports_for_types_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "casemate" / "x"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "a.py").write_text("from typing import TYPE_CHECKING\nimport casemate.x.c\n")
    (package / "b.py").write_text("if TYPE_CHECKING:\n    from casemate.x.a import A\n")
    (package / "c.py").write_text("def late():\n    from casemate.x import b\n")
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path / "casemate")
    found = imports(package)
    assert found["casemate.x.a"] == {"casemate.x.c"}
    assert found["casemate.x.b"] == {"casemate.x.a"}
    assert found["casemate.x.c"] == {"casemate.x.b"}
