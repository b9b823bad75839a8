"""What the build of a source may need: released packages, each on a line of its own."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from casemate.build.bubblewrap import Finished
from casemate.build.errors import SourceOnlyError
from casemate.build.source_builds import SourceBuilds
from casemate.package_index import Release

SESSION: Any = None
SOURCE = Release(
    filename="alpha-1.0.tar.gz",
    version="1.0",
    url="https://example.com/alpha-1.0.tar.gz",
    sha256="0" * 64,
    wheel=False,
)


def needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *told: str) -> list[str]:
    """Return what is installed for a source that says that it needs this."""
    builds = SourceBuilds(SESSION, lambda: SESSION)
    archive = tmp_path / SOURCE.filename
    archive.touch()
    output = msgspec.json.encode(told).decode()
    finished = Finished(status=0, output=output, errors="")
    monkeypatch.setattr(builds, "_run", lambda *_: finished)
    return builds._needs(SOURCE, archive, tmp_path)


@pytest.mark.parametrize(
    "need",
    [
        "setuptools",
        "setuptools >= 61, != 65.*",
        "tomli>=1.1; python_version < \"3.11\" and sys_platform != 'win32'",
        "Cython~=3.0",
        "setuptools_scm[toml]>=8;\textra==''",
    ],
)
def test_released_packages_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, need: str) -> None:
    assert needs(tmp_path, monkeypatch, need) == [need]


@pytest.mark.parametrize(
    "need",
    [
        "",
        "-r others.txt",
        "--index-url http:evil.example",
        "./here",
        "six @ https://example.com/six.whl",
        "six\\\n--pre",
        *(f"six{end}--index-url http:evil.example" for end in "\n\r\f\v\0\x85\u2028"),
        "six\r\n-e .",
        "six\N{KELVIN SIGN}",
    ],
)
def test_nothing_else_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, need: str) -> None:
    with pytest.raises(SourceOnlyError, match="not a released package"):
        needs(tmp_path, monkeypatch, "setuptools", need)


def test_of_many_files_that_a_build_made_few_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or their names were all held and sorted: a build makes millions in its two minutes."""
    output = tmp_path / "output"
    output.mkdir()
    for number in range(100):
        (output / f"{number}-1.0-py3-none-any.whl").touch()
    looked_at = []
    scan = os.scandir

    @contextlib.contextmanager
    def counting(path: Path) -> Iterator[Iterator[os.DirEntry[str]]]:
        with scan(path) as entries:
            yield (looked_at.append(entry) or entry for entry in entries)

    monkeypatch.setattr(os, "scandir", counting)
    with pytest.raises(SourceOnlyError, match="its build made no wheel"):
        SourceBuilds(SESSION, lambda: SESSION)._made(SOURCE, output, tmp_path)
    assert len(looked_at) == 2
