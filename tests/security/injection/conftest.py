"""What several files of programs under the guard need."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def own_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give handlers a folder for temporary files: what ends them leaves theirs behind."""
    folder = tmp_path / "tmp"
    folder.mkdir(exist_ok=True)
    monkeypatch.setenv("TMPDIR", str(folder))
