"""What a zygote's root shows of the host."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from casemate.model.runtime import Runtime
from casemate.runner import root
from casemate.sandbox.libraries import visible_libraries

needs_root = pytest.mark.skipif(
    os.geteuid() != 0, reason="outside of a user namespace only root makes whiteouts"
)


def hidden(layer: Path) -> set[str]:
    return {
        str(path.relative_to(layer))
        for path in layer.rglob("*")
        if stat.S_ISCHR(path.lstat().st_mode) and path.lstat().st_rdev == 0
    }


@needs_root
def test_of_a_folder_of_libraries_only_these_are_shown(tmp_path: Path) -> None:
    host, layer = tmp_path / "host", tmp_path / "layer"
    kept = ["gconv", "engines-3", "python3.13", "python3.13/json", "openblas-pthread"]
    gone = ["systemd", "perl", "python3", "apt", "x.so", "python3.13/dist-packages", "python3.x"]
    gone += ["python3.13/site-packages", "site-packages"]
    for folder in kept + gone:
        (host / folder).mkdir(parents=True, exist_ok=True)
    for file in ("libc.so.6", "libm.so", "ld-linux-x86-64.so.2", "libc.a", "crt1.o", "notes"):
        (host / file).touch()
    (host / "libz.so.1").symlink_to("libz.so.1.3")
    root._hide(str(host), str(layer), filtered=True)
    shown = {*gone, "libc.a", "crt1.o", "notes"} - {"python3.13"}
    assert hidden(layer) == shown


@needs_root
def test_of_a_standard_library_only_installed_packages_are_hidden(tmp_path: Path) -> None:
    host, layer = tmp_path / "host", tmp_path / "layer"
    for folder in ("json", "site-packages", "dist-packages", "test"):
        (host / folder).mkdir(parents=True)
    (host / "os.py").touch()
    root._hide(str(host), str(layer), filtered=False)
    assert hidden(layer) == {"site-packages", "dist-packages"}


def test_an_interpreter_of_the_system_shows_its_standard_library_alone() -> None:
    if not Path("/usr/lib/python3.13").is_dir():
        pytest.skip("this host has no Python 3.13 of its own")
    runtime = Runtime(minor="3.13", executable="/usr/bin/python3.13", prefix="/usr")
    found, links = visible_libraries(runtime)
    assert ("/usr/lib/python3.13", False) in found
    assert not [path for path, _ in found if path in ("/usr/lib", "/usr", "/")]
    assert not [path for path, _ in found if "python3" in path and "3.13" not in path]
    assert set(links) <= {"/lib", "/lib64"}


def test_an_interpreter_elsewhere_shows_its_own(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    runtime = Runtime(minor="3.12", executable=f"{tmp_path}/bin/python", prefix=str(tmp_path))
    found, _ = visible_libraries(runtime)
    assert (str(tmp_path / "lib"), True) in found
    assert not [path for path, _ in found if path.startswith("/usr/lib/python")]
