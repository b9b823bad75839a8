from __future__ import annotations

import os
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from casemate.build import interpreters as interpreters_module
from casemate.build.errors import UnsupportedRuntimeError
from casemate.build.interpreters import (
    Interpreter,
    RuntimeStatus,
    choose_interpreter,
    end_of_life,
    find_interpreters,
    runtime_status,
)

TODAY = date(2026, 11, 1)


def invented(version: str) -> Interpreter:
    minor = ".".join(version.split(".")[:2])
    ends, source = end_of_life(minor)
    return Interpreter(
        version=version,
        path=Path(f"/opt/{version}/bin/python{minor}"),
        prefix=Path(f"/opt/{version}"),
        stdlib=(Path(f"/opt/{version}/lib/python{minor}"),),
        library=None,
        cache_tag=f"cpython-{minor.replace('.', '')}",
        end_of_life=ends,
        end_of_life_source=source,
        status=runtime_status(minor, TODAY),
    )


@pytest.mark.parametrize(
    ("minor", "last", "pep"),
    [
        ("3.11", date(2027, 10, 31), "PEP 664"),
        ("3.12", date(2028, 10, 31), "PEP 693"),
        ("3.13", date(2029, 10, 31), "PEP 719"),
        ("3.14", date(2030, 10, 31), "PEP 745"),
    ],
)
def test_life_ends_after_the_month_its_pep_names(minor: str, last: date, pep: str) -> None:
    assert end_of_life(minor) == (last, pep)
    assert runtime_status(minor, last - timedelta(days=180)) is RuntimeStatus.SUPPORTED
    assert runtime_status(minor, last - timedelta(days=179)) is RuntimeStatus.ENDING
    assert runtime_status(minor, last) is RuntimeStatus.ENDING
    assert runtime_status(minor, last + timedelta(days=1)) is RuntimeStatus.ENDED


def test_one_past_its_end_is_refused_by_name_and_passed_over_otherwise() -> None:
    found = (invented("3.11.9"), invented("3.12.4"))
    day = date(2027, 11, 1)
    with pytest.raises(
        UnsupportedRuntimeError, match=r"3\.11 reached its end of life on 2027-10-31"
    ):
        choose_interpreter(found, "3.11", today=day)
    assert choose_interpreter(found, None, today=day)[0].version == "3.12.4"
    with pytest.raises(UnsupportedRuntimeError, match="was found"):
        choose_interpreter(found[:1], None, today=day)


def test_the_newest_supported_is_the_default_and_the_end_is_announced() -> None:
    found = (invented("3.11.9"), invented("3.14.0"))
    assert choose_interpreter(found, None, today=TODAY) == (found[1], None)
    chosen, warning = choose_interpreter(found, "3.11", today=date(2027, 6, 1))
    assert chosen is found[0]
    assert warning is not None
    assert "2027-10-31" in warning and "152 days" in warning


@pytest.mark.parametrize("wanted", ["3.10", "2.7", "3.15", "", "3.11.2"])
def test_unsupported_versions_are_refused(wanted: str) -> None:
    with pytest.raises(UnsupportedRuntimeError, match="expected one of"):
        choose_interpreter((invented("3.12.1"),), wanted, today=TODAY)


def test_a_missing_version_says_what_is_there() -> None:
    with pytest.raises(UnsupportedRuntimeError, match=r"this host has 3\.12\.1.*uv python install"):
        choose_interpreter((invented("3.12.1"),), "3.13", today=TODAY)


def test_what_is_found_is_real(interpreters: tuple[Interpreter, ...]) -> None:
    assert interpreters
    assert len({i.minor for i in interpreters}) == len(interpreters)
    for interpreter in interpreters:
        told = subprocess.run(
            [
                interpreter.path,
                "-I",
                "-S",
                "-c",
                "import platform; print(platform.python_version())",
            ],
            capture_output=True,
            text=True,
            check=True,
        )
        assert told.stdout.strip() == interpreter.version
        assert interpreter.path == interpreter.path.resolve()
        assert (interpreter.stdlib[0] / "os.py").is_file()
        assert interpreter.path.read_bytes()[:4] == b"\x7fELF"


def test_a_venv_leads_to_its_base(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", "--copies", tmp_path / "venv"], check=True
    )
    environ = {"PATH": str(tmp_path / "venv/bin"), "HOME": str(tmp_path)}
    for found in find_interpreters(today=TODAY, environ=environ):
        assert not found.path.is_relative_to(tmp_path)
        assert not found.prefix.is_relative_to(tmp_path)


def test_shims_broken_files_and_endless_ones_are_passed_over(tmp_path: Path) -> None:
    shim = tmp_path / "python3.12"
    shim.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    shim.chmod(0o755)
    fake = tmp_path / "python3.13"
    fake.write_bytes(b"\x7fELF" + os.urandom(64))
    fake.chmod(0o755)
    other = tmp_path / "python3"
    other.write_bytes(Path("/bin/true").read_bytes())
    other.chmod(0o755)
    (tmp_path / "python3.14").mkdir()
    (tmp_path / "python3.11").symlink_to("python3.11")
    environ = {"PATH": f"{tmp_path}:relative:/nonexistent", "HOME": str(tmp_path)}
    found = find_interpreters(today=TODAY, environ=environ)
    assert all(not i.path.is_relative_to(tmp_path) for i in found)
    assert not (tmp_path / "ran").exists()


def test_of_a_folder_of_programs_few_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node does so each time it starts, and `/usr/bin` has thousands of them."""
    for number in range(2000):
        (tmp_path / f"program-{number}").touch()
    monkeypatch.setattr(interpreters_module, "_SYSTEM_FOLDERS", ())
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        find_interpreters(today=TODAY, environ={"PATH": f"{tmp_path}:{tmp_path}"})
    finally:
        sys.setprofile(None)
    assert calls < 1000


def test_pyenv_and_uv_folders_are_searched(tmp_path: Path, interpreter: Interpreter) -> None:
    bin_folder = tmp_path / f"versions/{interpreter.version}/bin"
    bin_folder.mkdir(parents=True)
    (bin_folder / f"python{interpreter.minor}").symlink_to(interpreter.path)
    managed = tmp_path / f"managed/cpython-{interpreter.version}-linux/bin"
    managed.mkdir(parents=True)
    (managed / "python3").symlink_to(interpreter.path)
    for environ in (
        {"PYENV_ROOT": str(tmp_path)},
        {"UV_PYTHON_INSTALL_DIR": str(tmp_path / "managed")},
    ):
        found = find_interpreters(today=TODAY, environ=environ)
        assert interpreter.minor in {i.minor for i in found}


def test_a_shared_prefix_is_narrowed() -> None:
    own = invented("3.12.1")
    assert own.visible_paths() == (own.prefix,)
    system = replace(
        own,
        prefix=Path("/usr"),
        path=Path("/usr/bin/python3.12"),
        stdlib=(Path("/usr/lib/python3.12"),),
        library=Path("/usr/lib/libpython3.12.so"),
    )
    assert Path("/usr") not in system.visible_paths()
    assert set(system.visible_paths()) == {system.path, *system.stdlib, system.library}
