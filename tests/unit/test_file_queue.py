"""Each file of a list is run once, whoever takes it, and what goes wrong in one is told."""

from __future__ import annotations

import fnmatch
import os
import re
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONFTEST = """
from pathlib import Path
import pytest
from support.file_queue import FileQueue

def pytest_addoption(parser):
    parser.addoption("--queue", type=Path, action="append")
    parser.addoption("--queue-progress", type=int)
    parser.addoption("--queue-until", type=float)

def pytest_configure(config):
    told, until = map(config.getoption, ("--queue-progress", "--queue-until"))
    config.pluginmanager.register(FileQueue(config.getoption("--queue"), told, until))

@pytest.fixture(scope="session")
def done():
    with open("sessions", "a") as stream:
        stream.write("begun\\n")
    yield "done"
    with open("sessions", "a") as stream:
        stream.write("ended\\n")

@pytest.fixture(scope="module")
def module(request, done):
    yield done
    with open("modules", "a") as stream:
        stream.write(f"{request.module.__name__}\\n")
"""
BELOW = """
import pytest

@pytest.fixture
def below(module):
    return module
"""
TEST = """
def test_it(below):
    import time
    time.sleep(0.05)
    with open(below, "a") as stream:
        stream.write(f"{__name__}\\n")
"""


def _start(folder: Path, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "pytest", "-q", "--queue=list", "--queue-progress=1", "-s"]
    return subprocess.Popen(
        [*command, "-p", "no:cacheprovider", "-p", "no:xdist", *more],
        cwd=folder,
        # Without what is installed beside it, which takes longer to load than all of these tests.
        env=os.environ | {"PYTHONPATH": str(ROOT / "tests"), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _lay_out(folder: Path, files: dict[str, str]) -> None:
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "below").mkdir()
    (folder / "below/conftest.py").write_text(BELOW)
    _lay_out_list(folder, "list", files)


def _lay_out_list(folder: Path, name: str, files: dict[str, str]) -> None:
    for file, text in files.items():
        (folder / file).parent.mkdir(exist_ok=True)
        (folder / file).write_text(text)
    (folder / name).write_text("".join(f"{file}\n" for file in files))


def test_two_take_each_file_once_and_keep_what_is_of_the_session(tmp_path: Path) -> None:
    names = [f"test_{number:02}" for number in range(12)]
    _lay_out(tmp_path, {f"below/{name}.py": TEST for name in names})
    both = [_start(tmp_path), _start(tmp_path)]
    told = [one.communicate(timeout=60)[0] for one in both]
    assert [one.returncode for one in both] == [0, 0], told
    assert sorted((tmp_path / "done").read_text().split()) == names
    assert sorted((tmp_path / "modules").read_text().split()) == names
    assert sorted((tmp_path / "sessions").read_text().split()) == ["begun"] * 2 + ["ended"] * 2
    for name in names:
        assert "".join(told).count(f" 1 tests, 0 failed: below/{name}.py\n") == 1
    assert (tmp_path / "list").read_text() == ""


def test_what_is_of_the_session_ends_with_each_list(tmp_path: Path) -> None:
    _lay_out(tmp_path, {"below/test_a.py": TEST, "below/test_b.py": TEST})
    _lay_out_list(tmp_path, "next", {"below/test_c.py": TEST, "test_d.py": "def test_it(): pass\n"})
    told, _ = (process := _start(tmp_path, "--queue=next", "--queue-until=1")).communicate(
        timeout=60
    )
    assert process.returncode == 0 and "2 passed" in told, told
    assert (tmp_path / "list").read_text() == "", "the time is for the last list alone"
    assert (tmp_path / "next").read_text() == "below/test_c.py\ntest_d.py\n"
    _lay_out_list(tmp_path, "list", {"below/test_a.py": TEST})
    told, _ = (process := _start(tmp_path, "--queue=next")).communicate(timeout=60)
    assert process.returncode == 0 and "3 passed" in told, told
    assert (tmp_path / "sessions").read_text().split() == ["begun", "ended"] * 3
    assert (tmp_path / "next").read_text() == ""


def test_what_cannot_be_read_has_failed_and_the_others_are_run(tmp_path: Path) -> None:
    files = {"test_a.py": "import nothing_that_is_there\n", "below/test_b.py": TEST}
    _lay_out(tmp_path, files | {"test_c.py": "def test_it(): assert False\n"})
    told, _ = (process := _start(tmp_path)).communicate(timeout=60)
    assert process.returncode == 1
    assert "0 tests, 1 failed: test_a.py\n" in told
    assert "1 tests, 0 failed: below/test_b.py\n" in told
    assert "1 tests, 1 failed: test_c.py\n" in told
    assert "1 failed, 1 passed, 1 error" in told


def test_nothing_that_fits_is_told_as_pytest_does(tmp_path: Path) -> None:
    _lay_out(tmp_path, {"below/test_a.py": TEST})
    told, _ = (process := _start(tmp_path, "-k", "another")).communicate(timeout=60)
    assert process.returncode == 5, told


def test_none_is_begun_once_the_time_is_over(tmp_path: Path) -> None:
    for seconds in (3, 20, 60):  # a start takes less than that, on a busy machine than the last
        folder = tmp_path / str(seconds)
        folder.mkdir()
        until = time.time() + seconds
        slow = f"def test_it():\n    import time\n    time.sleep(max(0, {until} - time.time()))\n"
        _lay_out(folder, {"test_a.py": slow, "below/test_b.py": TEST})
        told, _ = (process := _start(folder, f"--queue-until={until}")).communicate(timeout=150)
        if process.returncode != 5:
            break
    assert process.returncode == 0, told
    assert "1 passed" in told and (folder / "list").read_text() == "below/test_b.py\n"
    told, _ = (process := _start(folder, "--queue-until=1")).communicate(timeout=60)
    assert process.returncode == 5, told
    assert (folder / "list").read_text() == "below/test_b.py\n"


def test_what_comes_last_is_there() -> None:
    """They are few: what says the most is always run."""
    lines = (ROOT / "tests" / "late.txt").read_text().splitlines()
    names = [line for line in lines if line and not line.startswith("#")]
    assert len(set(names)) == len(names)
    for name in names:
        assert (ROOT / name).is_file(), name
    every = [one for one in (ROOT / "tests").rglob("test_*.py") if "node_modules" not in one.parts]
    assert len(names) < len(every) / 5


def _of_the_script(names: str, *commands: str) -> str:
    """Run commands with functions and numbers of `scripts/test`; return what they print."""
    text = (ROOT / "scripts" / "test").read_text()
    taken = re.findall(
        rf"^(?:{names})(?:=[^\n]*|\(\) {{.*?^}})$", text, flags=re.MULTILINE | re.DOTALL
    )
    done = subprocess.run(
        ["bash", "-euc", "\n".join([*taken, *commands])],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout


@pytest.mark.parametrize(
    ("cores", "mib", "count"),
    [
        *((1, 8000, 2), (2, 8000, 4), (4, 8000, 8), (8, 8000, 8), (64, 99_000, 8)),
        *((2, 1900, 2), (2, 3900, 4), (8, 3900, 5), (1, 300, 2), (8, 0, 2)),
    ],
)
def test_as_many_processes_as_cores_and_memory_are_for(cores: int, mib: int, count: int) -> None:
    machine = f"nproc() {{ echo {cores}; }}; free_mib() {{ echo {mib}; }}"
    said = _of_the_script(
        "LEAST_PROCESSES|MIB_OF_A_PROCESS|count_processes", machine, "count_processes"
    )
    assert said.startswith(f"scripts/test: {count} processes on {cores} cores with {mib} MiB")


def test_free_memory_is_no_more_than_the_machine_has() -> None:
    lines = Path("/proc/meminfo").read_text().splitlines()
    whole = next(int(line.split()[1]) for line in lines if line.startswith("MemTotal:"))
    assert 0 < int(_of_the_script("free_mib", "free_mib")) <= whole >> 10


def test_pytest_passes_over_no_folder_of_tests() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    passed_over = settings["tool"]["pytest"]["ini_options"]["norecursedirs"]
    tests = ROOT / "tests"
    folders = {
        part
        for path in tests.rglob("test_*.py")
        if "node_modules" not in path.parts
        for part in path.parent.relative_to(tests).parts
    }
    assert "build" in folders
    assert not [one for one in folders for each in passed_over if fnmatch.fnmatch(one, each)]
