from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from casemate.build import errors
from casemate.build.interpreters import Interpreter
from casemate.build.layer import Layer, dependencies, exclusive, place
from casemate.build.lock import Lock
from casemate.build.uv_process import UvSession
from casemate.model.bundle import LockedPackage

MakeWheel = Callable[..., Path]
Install = Callable[[], tuple[Path, Layer, list[str]]]


@pytest.fixture
def project(tmp_path: Path, make_wheel: MakeWheel) -> Path:
    root = tmp_path / "project"
    files = {"alpha.py": "x = 1\n", "template.py": "{{ not % python }}\n", "alpha.pth": "import os"}
    make_wheel(root / "wheels", "alpha", files)
    return root


@pytest.fixture
def install(project: Path, tmp_path: Path, interpreter: Interpreter) -> Install:
    import hashlib

    wheel = (project / "wheels/alpha-1.0-py3-none-any.whl").read_bytes()
    pinned = f"alpha==1.0 --hash=sha256:{hashlib.sha256(wheel).hexdigest()}\n"
    lock = Lock(
        text=f"--no-index\n-f wheels\n{pinned}", pylock=False, folder=".", vendored=("wheels",)
    )
    runs = iter(range(100))

    def run() -> tuple[Path, Layer, list[str]]:
        work = tmp_path / f"work{next(runs)}"
        work.mkdir(mode=0o700)
        session = UvSession(interpreter=interpreter, work=work, cache=tmp_path / "uv", environ={})
        told: list[str] = []
        folder, layer = dependencies(
            lock, project, session, layers=tmp_path / "layers", progress=told.append
        )
        return folder, layer, told

    return run


@pytest.mark.sandbox
def test_dependencies_are_installed_once(install: Install) -> None:
    folder, layer, told = install()
    assert told
    assert layer.packages == (LockedPackage(name="alpha", version="1.0"),)
    paths = [f.path for f in layer.files]
    assert paths == sorted(paths)
    assert "alpha.py" in paths and "alpha.pth" not in paths
    assert sum(p.endswith(".pyc") for p in paths) == 1, "what is not Python stays uncompiled"
    assert any("alpha.pth" in w for w in layer.warnings)
    assert install() == (folder, layer, [])


@pytest.mark.sandbox
@pytest.mark.parametrize("damage", ["index", "missing", "size"])
def test_a_damaged_layer_is_made_again(install: Install, damage: str) -> None:
    folder, layer, _ = install()
    if damage == "index":
        (folder.parent / "layer.json").write_text("{")
    elif damage == "missing":
        (folder / "alpha.py").unlink()
    else:
        (folder / "alpha.py").write_text("")
    again, same, told = install()
    assert (again, same) == (folder, layer)
    assert told
    assert (folder / "alpha.py").read_text() == "x = 1\n"


@pytest.mark.sandbox
def test_a_changed_wheel_is_refused_and_leaves_nothing(
    install: Install, project: Path, tmp_path: Path, make_wheel: MakeWheel
) -> None:
    make_wheel(project / "wheels", "alpha", {"alpha.py": "evil = 1\n"})
    with pytest.raises(errors.HashMismatchError, match="alpha"):
        install()
    assert [p for p in (tmp_path / "layers").iterdir() if p.is_dir()] == []


@pytest.mark.sandbox
def test_files_are_shared_and_folders_readable(install: Install, tmp_path: Path) -> None:
    folder, layer, _ = install()
    place(folder, layer, tmp_path / "deps")
    for file in layer.files:
        placed = tmp_path / "deps" / file.path
        assert placed.stat().st_ino == (folder / file.path).stat().st_ino
        assert placed.stat().st_mode & 0o777 == 0o644
        assert placed.parent.stat().st_mode & 0o777 == 0o755


def test_a_lock_file_excludes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []

    def second() -> None:
        with exclusive(tmp_path / "lock"):
            order.append("second")

    with exclusive(tmp_path / "lock"):
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.1)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
    monkeypatch.setattr("casemate.build.layer.WAIT_TIMEOUT", 0.05)
    with (
        exclusive(tmp_path / "lock"),
        pytest.raises(errors.BuildTimeoutError),
        exclusive(tmp_path / "lock"),
    ):
        pass


def test_a_lock_file_is_never_a_link(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError), exclusive(tmp_path / "lock"):
        pass
    assert not os.path.lexists(tmp_path / "elsewhere")
