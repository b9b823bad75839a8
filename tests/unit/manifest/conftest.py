"""A project on the disk for the manifest's tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from casemate.manifest import ManifestError, load
from casemate.manifest.problem import Problem
from casemate.model.function import Project

HANDLER = "def handler(event, context):\n    return event\n"


class ProjectOnDisk:
    """A folder with a handler module `app`; write a manifest and load it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "app.py").write_text(HANDLER)

    def write(self, text: str | bytes) -> Path:
        path = self.root / "casemate.toml"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def load(self, text: str | bytes) -> Project:
        return load(self.write(text))

    def problems(self, text: str | bytes) -> tuple[Problem, ...]:
        with pytest.raises(ManifestError) as caught:
            self.load(text)
        assert str(caught.value).splitlines()[-1].startswith("Next: ")
        return caught.value.problems

    def problem(self, text: str | bytes) -> Problem:
        problems = self.problems(text)
        assert len(problems) == 1, problems
        return problems[0]


@pytest.fixture
def project(tmp_path: Path) -> ProjectOnDisk:
    root = tmp_path / "shop"
    root.mkdir()
    return ProjectOnDisk(root)


@pytest.fixture
def function_text() -> Callable[..., str]:
    """Return a manifest of one valid function with more lines in its table."""

    def text(*lines: str, handler: str = "app:handler") -> str:
        head = ["[project]", 'name = "shop"', "[function.f]", f'handler = "{handler}"']
        return "\n".join([*head, *lines]) + "\n"

    return text
