"""What a test process built before is what a build of its own would have given."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from casemate.build import bundle as building
from casemate.build.errors import CodeSyntaxError
from casemate.manifest import load
from casemate.model.function import Project
from support import built_bundles
from support.built_bundles import Packed, packed

SOURCE = "def handler(event, context):\n    return {number}\n"
MANIFEST = """
[project]
name = "built"
[function.{name}]
handler = "app:handler"
"""
Built = Callable[..., tuple[Path, Project]]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Built:
    monkeypatch.setattr(built_bundles, "_packed", type(built_bundles._packed)())
    monkeypatch.setattr(built_bundles, "_compiled", type(built_bundles._compiled)())

    def made(
        folder: str, *, name: str = "f", source: str = SOURCE.format(number=1)
    ) -> tuple[Path, Project]:
        root = tmp_path / folder
        root.mkdir()
        (root / "app.py").write_text(source)
        (root / "casemate.toml").write_text(MANIFEST.format(name=name))
        return root, load(root / "casemate.toml")

    return made


def _packed(root: Path, loaded: Project) -> Packed:
    return packed(root, loaded, loaded.functions[0])


def test_it_is_compiled_once_and_each_bundle_is_its_own(project: Built, tmp_path: Path) -> None:
    first = _packed(*project("first"))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(built_bundles, "compile_tree", None)
        assert _packed(*project("same")) is first
        root, loaded = project("renamed", name="g")
        renamed = _packed(root, loaded)
    alone = building.build(root, "built", loaded.functions[0], tmp_path / "alone")
    assert renamed.digest == alone.digest != first.digest
    assert renamed.manifest == alone.manifest
    root, loaded = project("other", source=SOURCE.format(number=2))
    other = building.build(root, "built", loaded.functions[0], tmp_path / "other_alone")
    assert _packed(root, loaded).digest == other.digest
    assert building.compile_tree is not built_bundles._compiled_once


def test_what_does_not_compile_is_refused_each_time(project: Built) -> None:
    for folder in ("one", "two"):
        with pytest.raises(CodeSyntaxError, match="line 1"):
            _packed(*project(folder, source="def handler(:\n"))
