"""What a killed program left is removed by the next; what another one is at stays."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from casemate.kernel import drafts
from casemate.kernel.drafts import draft_file, draft_folder, temporary_folder

PREFIX = ".node.restore-"
_KILLED = """
import os, pathlib, signal, sys
from casemate.kernel.drafts import draft_file, draft_folder
within = pathlib.Path(sys.argv[1])
with draft_folder(within, ".node.restore-") as folder, draft_file(within, ".out.", ".part") as file:
    (folder / "store").mkdir()
    (folder / "store" / "records.db").write_bytes(b"half")
    os.write(file[1], b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def left(tmp_path: Path) -> set[str]:
    """Names of a draft of each kind that a killed program left."""
    done = subprocess.run([sys.executable, "-c", _KILLED, str(tmp_path)], check=False)
    assert done.returncode == -signal.SIGKILL
    names = set(os.listdir(tmp_path))
    assert len(names) == 2
    return names


def test_the_next_of_its_own_removes_what_a_killed_one_left(tmp_path: Path, left: set[str]) -> None:
    """Before: each kill of a restore left a whole node beside the folder, for ever."""
    with draft_folder(tmp_path, PREFIX) as folder:
        assert folder.is_dir()
    with draft_file(tmp_path, ".out.", ".part") as (file, descriptor):
        assert os.path.samestat(file.stat(), os.fstat(descriptor))
    assert not left & set(os.listdir(tmp_path))
    assert os.listdir(tmp_path) == [folder.name], "the file is removed, the folder is its maker's"


def test_a_folder_for_a_while_is_gone_with_its_block_and_what_a_kill_left_with_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before: each killed deploy and upgrade left what it had packed or copied, for ever."""
    killed = "import os\nfrom casemate.kernel.drafts import temporary_folder\n"
    killed += "with temporary_folder('casemate-release-') as folder:\n"
    killed += "    (folder / 'wheel').write_bytes(b'half')\n    os.kill(os.getpid(), 9)\n"
    environ = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", killed], check=False, env=environ)
    assert done.returncode == -signal.SIGKILL and len(os.listdir(tmp_path)) == 1
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with temporary_folder("casemate-release-") as folder:
        assert os.listdir(tmp_path) == [folder.name] and not os.listdir(folder)
        (folder / "wheel").write_bytes(b"")
    assert os.listdir(tmp_path) == []


def test_what_another_one_is_at_stays(tmp_path: Path) -> None:
    with draft_folder(tmp_path, PREFIX) as first, draft_folder(tmp_path, PREFIX) as second:
        assert first.is_dir() and second.is_dir()
    with (
        draft_file(tmp_path, ".out.", ".part") as (one, _),
        draft_file(tmp_path, ".out.", ".part") as (other, _),
    ):
        assert one.is_file() and other.is_file() and one != other


@pytest.mark.parametrize(
    "name", [".other.restore-abcd1234", ".node.restore-abc", ".node.restore-ABCD1234", "node"]
)
def test_nothing_of_others_is_removed(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / ".node.restore-aaaa1111").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(tmp_path / ".node.restore-aaaa2222")
    before = set(os.listdir(tmp_path))
    with draft_folder(tmp_path, PREFIX) as folder:
        pass
    assert set(os.listdir(tmp_path)) == before | {folder.name}


def test_a_draft_of_another_user_stays(
    tmp_path: Path, left: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with draft_folder(tmp_path, PREFIX):
        assert left <= set(os.listdir(tmp_path))
    with draft_folder(tmp_path, PREFIX, owners=(os.getuid(),)):
        assert len(left & set(os.listdir(tmp_path))) == 1


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="full"), draft_folder(tmp_path, PREFIX) as folder:
        (folder / "half").write_bytes(b"half")
        raise OSError("full")
    with pytest.raises(OSError, match="full"), draft_file(tmp_path, ".out.", ".part"):
        raise OSError("full")
    assert not os.listdir(tmp_path)


def test_what_took_its_place_stays(tmp_path: Path) -> None:
    with draft_file(tmp_path, ".out.", ".part") as (file, descriptor):
        os.write(descriptor, b"whole")
        file.rename(tmp_path / "out")
    assert os.listdir(tmp_path) == ["out"]


def test_a_draft_that_is_taken_for_left_before_it_is_held_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between making and holding one, another program may remove it."""
    tries = 0
    lock = fcntl.flock

    def late(descriptor: int, flags: int) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            os.rmdir(next(tmp_path.iterdir()))
        elif tries == 2:
            raise BlockingIOError
        lock(descriptor, flags)

    monkeypatch.setattr(drafts.fcntl, "flock", late)
    with draft_folder(tmp_path, PREFIX) as folder:
        assert folder.is_dir()
    assert tries == 3


@pytest.mark.skipif(os.geteuid() != 0, reason="to have files of another user takes root")
def test_what_others_have_put_there_keeps_nothing_of_ones_own_there(
    tmp_path: Path, left: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than are removed at once, by the same names, in a folder that everybody writes to."""
    monkeypatch.setattr(drafts, "MAX_LEFTOVERS", 1)
    for number in range(100):
        other = tmp_path / f"{PREFIX}other{number:03}"
        other.mkdir()
        os.chown(other, 12345, 12345)
    with draft_folder(tmp_path, PREFIX):
        assert not any((tmp_path / name).exists() for name in left if name.startswith(PREFIX))
    assert len(list(tmp_path.glob(f"{PREFIX}other*"))) == 100


def test_a_folder_that_is_not_there_is_named_as_that(tmp_path: Path) -> None:
    with (
        pytest.raises(FileNotFoundError, match="No such file or directory") as caught,
        draft_file(tmp_path / "gone", ".out.", ".part"),
    ):
        pass
    assert caught.value.strerror
