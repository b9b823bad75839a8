"""A file takes its place whole or not at all, on every file system, and no other's."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from casemate.kernel import placing
from casemate.kernel.placing import link_or_copy, take_name, write_whole

FULL = OSError(errno.ENOSPC, "No space left on device")
LINKS = [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV]


def refuses(number: int) -> Callable[..., None]:
    def refuse(*_given: object, **_named: object) -> None:
        raise OSError(number, os.strerror(number))

    return refuse


@pytest.fixture
def draft(tmp_path: Path) -> Path:
    made = tmp_path / ".draft"
    made.write_bytes(b"whole")
    return made


@pytest.fixture(params=["exclusive renames", "links", "neither"])
def system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What a file system has."""
    has: str = request.param
    if has != "exclusive renames":
        monkeypatch.setattr(placing, "_rename_new", refuses(errno.EINVAL))
    if has == "neither":
        monkeypatch.setattr(os, "link", refuses(errno.EPERM))
    return has


def test_a_name_is_taken_by_what_is_whole(system: str, tmp_path: Path, draft: Path) -> None:
    take_name(draft, tmp_path / "name")
    draft.unlink(missing_ok=True)
    assert (tmp_path / "name").read_bytes() == b"whole"
    assert os.listdir(tmp_path) == ["name"]


def test_an_exclusive_rename_leaves_no_draft(tmp_path: Path, draft: Path) -> None:
    """Before: a kill after the link left the draft beside it, and the next was refused the name."""
    take_name(draft, tmp_path / "name")
    assert os.listdir(tmp_path) == ["name"]


def test_a_name_is_taken_from_no_other(system: str, tmp_path: Path, draft: Path) -> None:
    (tmp_path / "name").write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        take_name(draft, tmp_path / "name")
    assert (tmp_path / "name").read_bytes() == b"mine" and draft.read_bytes() == b"whole"


@pytest.mark.parametrize("number", LINKS)
def test_each_way_to_say_that_there_are_no_links_leads_on(
    number: int, tmp_path: Path, draft: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before: the master key of a new node could not be made on such a file system."""
    monkeypatch.setattr(placing, "_rename_new", refuses(errno.EINVAL))
    monkeypatch.setattr(os, "link", refuses(number))
    take_name(draft, tmp_path / "name")
    assert (tmp_path / "name").read_bytes() == b"whole" and not draft.exists()


@pytest.mark.parametrize("renames", [False, True])
def test_another_failure_is_told(
    renames: bool, tmp_path: Path, draft: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failure = errno.ENOSPC if renames else errno.EINVAL
    monkeypatch.setattr(placing, "_rename_new", refuses(failure))
    monkeypatch.setattr(os, "link", refuses(errno.ENOSPC))
    with pytest.raises(OSError, match="No space left"):
        take_name(draft, tmp_path / "name")
    assert not (tmp_path / "name").exists()


@pytest.mark.parametrize("taken", [False, True])
def test_a_claim_that_fails_is_given_up_unless_it_is_anothers_by_then(
    taken: bool, tmp_path: Path, draft: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "link", refuses(errno.EPERM))
    monkeypatch.setattr(placing, "_rename_new", refuses(errno.EINVAL))
    name = tmp_path / "name"

    def fail(_self: Path, _target: Path) -> None:
        if taken:
            (tmp_path / "theirs").write_bytes(b"theirs")
            os.rename(tmp_path / "theirs", name)
        raise FULL

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="No space left"):
        take_name(draft, name)
    assert name.exists() is taken


def test_a_copy_stands_for_a_link_where_there_is_none(
    tmp_path: Path, draft: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before: a node on such a file system could make no backup."""
    link_or_copy(draft, tmp_path / "linked")
    assert (tmp_path / "linked").samefile(draft)
    monkeypatch.setattr(os, "link", refuses(errno.EPERM))
    link_or_copy(draft, tmp_path / "copied")
    assert (tmp_path / "copied").read_bytes() == b"whole"
    assert (tmp_path / "copied").stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        link_or_copy(draft, tmp_path / "copied")


def test_a_file_is_written_in_the_place_of_another(tmp_path: Path) -> None:
    file = tmp_path / "out"
    write_whole(file, b"one")
    assert file.stat().st_mode & 0o777 == 0o666 & ~current_mask()
    file.chmod(0o640)
    write_whole(file, b"other")
    assert file.read_bytes() == b"other" and file.stat().st_mode & 0o777 == 0o640
    assert os.listdir(tmp_path) == ["out"]


def current_mask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "out"
    file.write_bytes(b"mine")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuses(errno.ENOSPC))
        for name in ("out", "new"):
            with pytest.raises(OSError, match="No space left"):
                write_whole(tmp_path / name, b"other")
    assert file.read_bytes() == b"mine" and os.listdir(tmp_path) == ["out"]


def test_links_are_followed_and_stay(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("target")
    for content in (b"one", b"other"):
        write_whole(tmp_path / "link", content)
        assert (tmp_path / "target").read_bytes() == content
        assert (tmp_path / "link").is_symlink()


def test_a_folder_that_takes_no_other_file_has_its_own_written_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out").write_bytes(b"mine")
    monkeypatch.setattr(placing, "_replace", refuses(errno.EROFS))
    write_whole(tmp_path / "out", b"other")
    assert (tmp_path / "out").read_bytes() == b"other"
    with pytest.raises(OSError, match="Read-only"):
        write_whole(tmp_path / "new", b"other")


def test_a_file_that_may_not_be_written_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out").write_bytes(b"mine")
    monkeypatch.setattr(os, "access", lambda *_given: False)  # as root has every right
    with pytest.raises(PermissionError):
        write_whole(tmp_path / "out", b"other")
    assert (tmp_path / "out").read_bytes() == b"mine"


_TO_STDOUT = """
from pathlib import Path
from casemate.kernel.placing import write_whole
write_whole(Path("/dev/stdout"), b"said")
"""


def test_pipes_and_what_is_open_are_written_to(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _TO_STDOUT]
    assert subprocess.run(command, capture_output=True, check=True).stdout == b"said"
    with (tmp_path / "out").open("wb") as out:
        subprocess.run(command, stdout=out, check=True)
        assert (tmp_path / "out").stat().st_ino == os.fstat(out.fileno()).st_ino
    assert (tmp_path / "out").read_bytes() == b"said"
    write_whole(Path("/dev/null"), b"said")
