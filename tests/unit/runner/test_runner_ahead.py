"""What an import ahead asked for decides which functions it fits."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from casemate.runner import ahead, shared_at_import
from casemate.runner.ahead import Ahead, UnfitError
from casemate.runner.shared_at_import import (
    ProcessAtImportError,
    SharedAtImportError,
    require_no_child,
)

MOST = 256


class Place:
    """Folders of dependencies and code, and what is imported of them."""

    def __init__(self, folder: Path) -> None:
        self.deps, self.code = folder / "deps", folder / "code"
        self.deps.mkdir()
        self.code.mkdir()

    def imported(self, source: str) -> Ahead:
        (self.deps / "imported_ahead.py").write_text(source)
        sys.modules.pop("imported_ahead", None)
        found = Ahead()
        found.import_all(["imported_ahead"], MOST)
        return found


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    found = Place(tmp_path)
    monkeypatch.setattr(ahead, "DEPENDENCIES", str(found.deps))
    monkeypatch.setattr(ahead, "CODE", str(found.code))
    # Other tests of this process may have left children that live.
    monkeypatch.setattr(shared_at_import, "require_no_child", lambda: None)
    paths, finders, data = list(sys.path), list(sys.meta_path), os.environ._data  # type: ignore[attr-defined]
    yield found
    sys.path[:], sys.meta_path[:] = paths, finders
    os.environ._data = data  # type: ignore[attr-defined]
    sys.modules.pop("imported_ahead", None)


@pytest.mark.parametrize(
    "source",
    [
        "import os; os.environ.get('MODE')",
        "import os; os.getenv('MODE')",
        "import os; 'MODE' in os.environ",
        "import os; os.environ.setdefault('MODE', '1')",
        "import os; dict(os.environ)",
        "import os; len(os.environ)",
        "import os; os.environ.copy()",
    ],
)
def test_a_variable_that_was_read_and_is_another_now_does_not_fit(
    place: Place, source: str
) -> None:
    found = place.imported(source)
    found.require_fit({})
    with pytest.raises(UnfitError):
        found.require_fit({"MODE": "test"})


def test_one_that_nobody_read_or_that_is_the_same_fits(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANG", "C.UTF-8")
    found = place.imported("import os; os.environ['LANG']; os.environ['SET_BY_IMPORT'] = '1'")
    found.require_fit({"MODE": "test", "LANG": "C.UTF-8"})
    assert os.environ["SET_BY_IMPORT"] == "1"
    assert type(os.environ._data) is dict  # type: ignore[attr-defined]


def test_variables_of_native_libraries_never_fit(place: Place) -> None:
    found = place.imported("")
    for name in ("OMP_NUM_THREADS", "OPENBLAS_CORETYPE", "MKL_CBWR"):
        with pytest.raises(UnfitError, match=name):
            found.require_fit({name: "another"})


@pytest.mark.parametrize(
    ("file", "fits"),
    [
        ("settings_of_mine.py", False),
        ("settings_of_mine/__init__.py", False),
        ("settings_of_mine.cpython-313-x86_64-linux-gnu.so", False),
        ("settings_of_mine.toml", True),
        ("imported_ahead.py", False),
        ("json.py", False),
        ("app.py", True),
    ],
)
def test_a_module_of_the_function_that_would_have_been_found_does_not_fit(
    place: Place, file: str, fits: bool
) -> None:
    found = place.imported("try: import settings_of_mine\nexcept ImportError: pass")
    path = place.code / file
    path.parent.mkdir(exist_ok=True)
    path.write_text("")
    if fits:
        found.require_fit({})
    else:
        with pytest.raises(UnfitError):
            found.require_fit({})


@pytest.mark.parametrize(
    "source", ["F = open(__file__)", "import socket; S = socket.socket()", "import os; os.dup(1)"]
)
def test_nothing_may_be_left_open(place: Place, source: str) -> None:
    before = set(os.listdir("/proc/self/fd"))
    with pytest.raises(SharedAtImportError):
        place.imported(source)
    sys.modules.pop("imported_ahead", None)
    for left in set(os.listdir("/proc/self/fd")) - before:
        try:
            os.close(int(left))
        except OSError:
            continue


def test_a_child_may_not_be_left(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_at_import, "require_no_child", require_no_child)
    with pytest.raises(ProcessAtImportError):
        place.imported("import subprocess; P = subprocess.Popen(['/bin/sleep', '30'])")
    from imported_ahead import P  # type: ignore[import-not-found]

    P.kill()
    P.wait()


def test_the_code_comes_first_from_then_on(place: Place) -> None:
    found = place.imported("import sys; sys.path.insert(0, '/first')")
    found.add_code()
    at = sys.path.index(str(place.code))
    assert sys.path[at + 1] == str(place.deps) and sys.path[0] == "/first"
    assert not sys.path_importer_cache
