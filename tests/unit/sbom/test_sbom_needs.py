"""What is called unused is not needed, whatever way it could be imported in."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
import pytest

from casemate.model.bundle import BundleFile, BundleManifest, LockedPackage
from casemate.model.evidence import Evidence, PackageEvidence
from casemate.sbom import owners, sbom, with_evidence
from casemate.sbom.imports import imports_of
from casemate.sbom.needs import Standing, needs
from support.core import spec

PACKAGES = {
    "direct": ("direct", {"direct/__init__.py": ""}, ["below", 'extra-one; extra == "x"']),
    "below": ("below", {"below/__init__.py": "", "below/deep.py": ""}, []),
    "extra-one": ("extra_one", {"extra_one.py": ""}, []),
    "idle": ("idle", {"idle/__init__.py": "import idle_child\n"}, ["idle-child"]),
    "idle-child": ("idle_child", {"idle_child/__init__.py": ""}, []),
    "spaced-a": ("spaced_a", {"space/a/__init__.py": ""}, []),
    "spaced-b": ("spaced_b", {"space/b/__init__.py": ""}, []),
    "native": ("native", {"_native.cpython-311-x86_64-linux-gnu.so": "\x7f"}, []),
}


def bundle(root: Path, code: str, **more: str) -> tuple[Path, BundleManifest]:
    files = {"code/app.py": code.encode()}
    files |= {f"code/{name}.py": text.encode() for name, text in more.items() if name != "deps"}
    for name, (_, content, wanted) in PACKAGES.items():
        info = f"deps/{name.replace('-', '_')}-1.0.dist-info"
        own = {f"deps/{path}": text.encode() for path, text in content.items()}
        if name == "direct":
            own["deps/direct/__init__.py"] = more.get("deps", "").encode()
        lines = [f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"]
        lines += [f"Requires-Dist: {each}\n" for each in wanted]
        files |= own
        files[f"{info}/METADATA"] = "".join(lines).encode()
        rows = [path.removeprefix("deps/") for path in own]
        files[f"{info}/RECORD"] = "".join(f"{row},,\n" for row in rows).encode()
    manifest = BundleManifest(
        project="t",
        function=spec("f"),
        lock_sha256="a" * 64,
        packages=tuple(LockedPackage(name=name, version="1.0") for name in sorted(PACKAGES)),
        files=tuple(
            BundleFile(path=path, size=len(data), sha256=hashlib.sha256(data).hexdigest())
            for path, data in sorted(files.items())
        ),
    )
    for path, data in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    return root, manifest


def standing(root: Path, code: str, **more: str) -> dict[str, Standing]:
    return {n.name: n.standing for n in needs(*bundle(root, code, **more)).packages}


def test_what_is_imported_what_that_needs_and_what_nothing_needs(tmp_path: Path) -> None:
    found = standing(tmp_path, "import direct\nfrom space import a\n")
    assert found["direct"] is found["spaced-a"] is Standing.IMPORTED
    assert found["below"] is Standing.NEEDED
    unused = {name for name, each in found.items() if each is Standing.UNUSED}
    assert unused == {"extra-one", "idle", "idle-child", "spaced-b", "native"}


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import idle", Standing.IMPORTED),
        ("def f():\n    import idle.part as x", Standing.IMPORTED),
        ("try:\n    from idle import y\nexcept ImportError:\n    pass", Standing.IMPORTED),
        ("import importlib\nimportlib.import_module('idle')", Standing.IMPORTED),
        ("from importlib import import_module as i, import_module\nimport_module('idle.z')",
         Standing.IMPORTED),
        ("__import__('idle')", Standing.IMPORTED),
        ("NAMES = ['idle']\nmap(__import__, NAMES)", Standing.OPTIONAL),
        ("PLUGIN = 'idle.engine:make'", Standing.OPTIONAL),
        ("# import idle\nx = 'idled'", Standing.UNUSED),
        ("from . import idle", Standing.UNUSED),
    ],
)  # fmt: skip
def test_ways_to_import(tmp_path: Path, code: str, expected: Standing) -> None:
    found = standing(tmp_path, code + "\n")
    assert found["idle"] is expected
    child = Standing.NEEDED if expected is not Standing.UNUSED else Standing.UNUSED
    assert found["idle-child"] is child


@pytest.mark.parametrize(
    "text",
    [
        "def f():\n    import extra_one\n",
        "try:\n    from extra_one import x\nexcept ImportError: x = None\n",
        "e = load('extra_one')\n",
        'e = load("extra_one.sub")\n',
        "import os, extra_one\n",
    ],
)
def test_what_a_needed_package_may_import_is_optional(tmp_path: Path, text: str) -> None:
    found = needs(*bundle(tmp_path, "import direct\n", deps=text))
    (one,) = (each for each in found.packages if each.name == "extra-one")
    assert (one.standing, one.by) == (Standing.OPTIONAL, ("direct",))


@pytest.mark.parametrize(
    "text",
    [
        'def f():\n    """Tell errors from extra_one requests, extra_one too."""\n',
        "# import extra_one, 'extra_one'\n",
        "from . import extra_one\n",
        "def f():\n    return 1\n'extra_one'\n",
    ],
)
def test_what_a_needed_package_only_says_in_prose_is_unused(tmp_path: Path, text: str) -> None:
    assert standing(tmp_path, "import direct\n", deps=text)["extra-one"] is Standing.UNUSED


@pytest.mark.parametrize("text", ["exec('import extra_one')\n", "print 'extra_one'\n"])
def test_code_in_a_text_and_what_cannot_be_read_counts(tmp_path: Path, text: str) -> None:
    assert standing(tmp_path, "import direct\n", deps=text)["extra-one"] is Standing.OPTIONAL


def test_packages_of_one_namespace_are_told_apart_and_kept_where_they_are_not(
    tmp_path: Path,
) -> None:
    both = standing(tmp_path / "1", "import space\n")
    assert both["spaced-a"] is both["spaced-b"] is Standing.IMPORTED
    one = standing(tmp_path / "2", "import space.b\n")
    assert (one["spaced-a"], one["spaced-b"]) == (Standing.UNUSED, Standing.IMPORTED)


def test_own_modules_come_before_packages(tmp_path: Path) -> None:
    found = standing(tmp_path, "import idle\n", idle="X = 1\n")
    assert found["idle"] is Standing.UNUSED


def test_native_modules_are_found(tmp_path: Path) -> None:
    assert standing(tmp_path, "import _native\n")["native"] is Standing.IMPORTED


def test_imports_that_are_only_known_when_they_run_are_told(tmp_path: Path) -> None:
    found = imports_of(*bundle(tmp_path, "import importlib\nn = 'x'\nimportlib.import_module(n)\n"))
    assert found.dynamic == ("code/app.py:3",)


@pytest.mark.parametrize("code", ["(" * 200_000, "def f(:\n", "x = '\x00'\n"])
def test_what_cannot_be_read_is_told(tmp_path: Path, code: str) -> None:
    assert imports_of(*bundle(tmp_path, code)).unread == ("code/app.py",)


def test_whose_files_are(tmp_path: Path) -> None:
    found = owners(*bundle(tmp_path, ""))
    assert found["deps/below/deep.py"] == ("below", "1.0")
    assert "code/app.py" not in found


def test_what_was_seen_is_evidence_in_an_sbom(tmp_path: Path) -> None:
    root, manifest = bundle(tmp_path, "")
    seen = Evidence(
        digest=manifest.digest(),
        packages=(
            PackageEvidence(
                name="direct",
                version="1.0",
                at_import=True,
                at_call=True,
                occurrences=("deps/direct/__init__.py",),
            ),
            PackageEvidence(name="idle", version="1.0"),
        ),
    )
    found = msgspec.json.decode(with_evidence(sbom(root, manifest), seen))
    by_name = {component["name"]: component for component in found["components"]}
    assert by_name["direct"]["evidence"] == {
        "occurrences": [{"location": "deps/direct/__init__.py"}]
    }
    said = {"name": "casemate:loaded-at", "value": "import,call"}
    assert said in by_name["direct"]["properties"]
    assert {"name": "casemate:loaded-at", "value": "never"} in by_name["idle"]["properties"]
    assert "evidence" not in by_name["idle"]
