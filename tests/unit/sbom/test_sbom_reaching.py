"""How code comes to packages: named where it is found, and never said not to."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import pytest

from casemate.model.bundle import BundleFile, BundleManifest, LockedPackage
from casemate.sbom.reaching import NOT_FOUND, Reached, reached
from support.core import spec


def made(folder: Path, code: dict[str, str], packages: dict[str, dict[str, str]]) -> Reached:
    """Return what is found in a bundle with code, and packages with their modules."""
    files = {f"code/{path}": text for path, text in code.items()}
    for name, modules in packages.items():
        info = f"deps/{name.replace('-', '_')}-1.0.dist-info"
        files |= {f"deps/{path}": text for path, text in modules.items()}
        files[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
        files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in modules)
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    manifest = BundleManifest(
        project="t",
        function=spec(),
        lock_sha256="1" * 64,
        packages=tuple(LockedPackage(name=name, version="1.0") for name in packages),
        files=tuple(
            BundleFile(path=path, size=len(text), sha256=hashlib.sha256(text.encode()).hexdigest())
            for path, text in sorted(files.items())
        ),
    )
    return reached(folder, manifest)


@pytest.mark.parametrize(
    "line",
    [
        "import left",
        "import left.deep as x",
        "from left import thing",
        "from left.deep import thing",
        "def f():\n    import left",
        "if 0:\n    from left import x",
        "import importlib\nimportlib.import_module('left')",
        "__import__('left.deep')",
        "try:\n    import left\nexcept ImportError:\n    pass",
    ],
)
def test_an_import_is_found_wherever_it_stands(tmp_path: Path, line: str) -> None:
    modules = {"left/__init__.py": "", "left/deep.py": ""}
    found = made(tmp_path, {"app.py": line}, {"Left": modules, "other": {"other.py": ""}})
    assert found.of("left") == found.of("Left") == "imported by code/app.py"
    assert found.of("other") == NOT_FOUND


def test_what_is_behind_another_package_or_module(tmp_path: Path) -> None:
    found = made(
        tmp_path,
        {
            "app.py": "from pkg import part",
            "pkg/__init__.py": "",
            "pkg/part.py": "from . import own",
            "pkg/own.py": "import one",
        },
        {
            "one": {"one/__init__.py": "from .inner import x", "one/inner.py": "import two_mod"},
            "two": {"two_mod.py": "import native"},
            "three": {"native.abi3.so": ""},
        },
    )
    assert found.of("one") == "imported by code/pkg/own.py"
    assert found.of("two") == "imported through one"
    assert found.of("three") == "imported through two"


def test_circles_nonsense_and_depth_end(tmp_path: Path) -> None:
    begun = time.process_time()
    found = made(
        tmp_path,
        {
            "app.py": "import one",
            "broken.py": "def (",
            "null.py": "\0",
            "deep.py": "x = " + "(" * 5000,
            "far.py": "from ........ import x",
        },
        {"one": {"one.py": "import two"}, "two": {"two.py": "import one"}},
    )
    assert found.of("two") == "imported through one"
    assert time.process_time() - begun < 5


def test_what_was_not_read_in_time_is_said(tmp_path: Path) -> None:
    files = {"app.py": "import one"}
    manifest = BundleManifest(
        project="t",
        function=spec(),
        lock_sha256=None,
        files=tuple(BundleFile(path=f"code/{path}", size=1, sha256="0" * 64) for path in files),
    )
    assert "not all read" in Reached(tmp_path, manifest, until=0.0).of("one")


def test_a_module_of_many_parts_takes_no_time(tmp_path: Path) -> None:
    name = "a." * 20_000 + "left"
    began = time.process_time()
    found = made(
        tmp_path, {"app.py": f"__import__('{name}')\nimport left"}, {"left": {"left.py": ""}}
    )
    assert time.process_time() - began < 1  # it took six, and four times that for twice the parts
    assert found.of("left") == "imported by code/app.py"
