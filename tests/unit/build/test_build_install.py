from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from casemate.build.errors import DependencyError, SourceTreeError
from casemate.build.install import reduce_tree
from casemate.model.bundle import LockedPackage

MakeWheel = Callable[..., Path]


@pytest.fixture
def installed(tmp_path: Path, make_wheel: MakeWheel) -> Path:
    """A tree as an installer leaves it."""
    wheel = make_wheel(
        tmp_path,
        "Some_Package",
        {
            "some/__init__.py": "",
            "some/__init__.pyc": "stale",
            "some/__pycache__/x.cpython-312.pyc": "stale",
            "some/only/__pycache__/y.pyc": "",
            "some/nested.pth": "data, not processed by Python",
            "start.pth": "import os; os.system('id')",
            "bin/tool": "#!/somewhere/python3\n",
            "bin/deep/tool": "",
        },
        version="1.0+local",
    )
    target = tmp_path / "deps"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    (target / ".lock").write_text("")
    (target / "Some_Package-1.0+local.dist-info/uv_cache.json").write_text("{}")
    return target


def test_what_does_not_run_is_left_out_and_said_so(installed: Path) -> None:
    packages, warnings, scripts = reduce_tree(installed)
    assert packages == (LockedPackage(name="some-package", version="1.0+local"),)
    info = "Some_Package-1.0+local.dist-info"
    left = {p.relative_to(installed).as_posix() for p in installed.rglob("*")}
    assert left == {
        *("some", "some/__init__.py", "some/nested.pth"),
        *(info, f"{info}/METADATA", f"{info}/WHEEL", f"{info}/RECORD"),
    }
    (warning,) = warnings
    assert "start.pth" in warning
    # Most packages have console scripts, which nothing could start: that is said, and no warning.
    assert "bin/" not in warning
    assert scripts == ("deep/tool", "tool")
    record = (installed / info / "RECORD").read_text().splitlines()
    assert [row.split(",")[0] for row in record] == sorted(
        p for p in left if (installed / p).is_file()
    )


@pytest.mark.parametrize("name", ["../evil", "a b", "", "x\n y"])
def test_metadata_without_a_name_is_refused(installed: Path, name: str) -> None:
    (installed / "Some_Package-1.0+local.dist-info/METADATA").write_text(f"Name: {name}\n\n")
    with pytest.raises(DependencyError, match="no valid name and version"):
        reduce_tree(installed)


def test_links_are_refused(installed: Path) -> None:
    (installed / "some/link").symlink_to("/etc/passwd")
    with pytest.raises(SourceTreeError, match="symbolic link"):
        reduce_tree(installed)


def test_collisions_are_refused(installed: Path) -> None:
    (installed / "Some").mkdir()
    (installed / "Some/x.py").write_text("")
    with pytest.raises(SourceTreeError, match="differ only in case"):
        reduce_tree(installed)


def test_an_odd_record_does_no_harm(installed: Path) -> None:
    record = installed / "Some_Package-1.0+local.dist-info/RECORD"
    record.write_bytes(b'../../etc/passwd,,\n"unclosed,\n\xff\n')
    reduce_tree(installed)
    assert "passwd" not in record.read_text()
