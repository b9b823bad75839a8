"""Whole builds: from requirements to a bundle that runs, vendored and from the index."""

from __future__ import annotations

import hashlib
import io
import os
import re
import subprocess
import zipfile
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from casemate.build import (
    HashMismatchError,
    Interpreter,
    RequirementNotFoundError,
    SourceOnlyError,
    StaleLockError,
    UnhashedRequirementError,
    find_interpreters,
    pack,
    unpack,
    verify,
)
from casemate.build.bubblewrap import Mount, run_step
from casemate.build.bundle import BuiltBundle, build
from casemate.build.uv_process import uv_binary
from casemate.model.function import FunctionSpec
from casemate.package_index import IndexUnavailableError

pytestmark = pytest.mark.sandbox
TODAY = date(2026, 11, 1)
Build = Callable[..., BuiltBundle]
APP = "import {0}\n\ndef handler(event, context):\n    raise ValueError({0}.__name__)\n"


@pytest.fixture(scope="module")
def interpreters() -> tuple[Interpreter, ...]:
    return find_interpreters(today=TODAY, environ=dict(os.environ))


@pytest.fixture(scope="module")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def run_build(tmp_path: Path, interpreters: tuple[Interpreter, ...], shared_cache: Path) -> Build:
    def run(
        files: dict[str, str],
        requirements: str,
        *,
        name: str = "project",
        python: str | None = None,
        relock: bool = False,
        cache: Path = shared_cache,
    ) -> BuiltBundle:
        for path, text in files.items():
            (tmp_path / name / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / path).write_text(text)
        return build(
            tmp_path / name,
            "demo",
            FunctionSpec(
                name="hello", handler="app:handler", python=python, requirements=requirements
            ),
            tmp_path / f"{name}-out",
            relock=relock,
            cache=cache,
            interpreters=interpreters,
            today=TODAY,
        )

    return run


def wheel(folder: Path, name: str, files: dict[str, str]) -> str:
    """Write a wheel without a RECORD row hash; return its SHA-256."""
    info = f"{name}-1.0.dist-info"
    content = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    content[f"{info}/RECORD"] = "".join(f"{p},,\n" for p in (*content, f"{info}/RECORD"))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for inside, text in content.items():
            archive.writestr(zipfile.ZipInfo(inside), text)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def run_handler(built: BuiltBundle, interpreters: tuple[Interpreter, ...]) -> str:
    """Call the handler from the bundle at its place; return what it wrote to standard error."""
    python = next(i for i in interpreters if i.minor == built.manifest.function.python)
    code = (
        "import sys; sys.path[:0] = ['/function/code', '/function/deps']\n"
        "import app; print(app.__cached__); app.handler({}, None)"
    )
    done = run_step(
        python,
        [str(python.path), "-I", "-S", "-c", code],
        mounts=[Mount(host=built.path, inside="/function")],
        environment={},
        folder="/",
        network=False,
        timeout=20,
    )
    assert "/function/code/__pycache__/app." in done.output, done.errors
    return done.errors


def test_a_built_function_runs_from_its_compiled_form(
    run_build: Build, interpreters: tuple[Interpreter, ...], tmp_path: Path
) -> None:
    wheel(tmp_path / "project/wheels", "alpha", {"alpha.py": "", "evil.pth": "import os"})
    for python in interpreters:
        built = run_build(
            {"app.py": APP.format("alpha"), "req.txt": "alpha\n-f wheels\n--no-index\n"},
            "req.txt",
            python=python.minor,
        )
        errors = run_handler(built, interpreters)
        assert 'File "/function/code/app.py", line 4, in handler' in errors
        assert "ValueError: alpha" in errors
        paths = {f.path for f in built.manifest.files}
        assert "deps/alpha.py" in paths
        assert not any(p.endswith((".pth", ".whl", ".lock")) for p in paths)
        assert any("evil.pth" in w for w in built.warnings)


def test_no_code_of_a_package_runs_during_a_build(run_build: Build, tmp_path: Path) -> None:
    marker = tmp_path / "project" / "ran"
    evil = f"open({str(marker)!r}, 'w'); raise SystemExit(9)\n"
    files = {"alpha.py": evil, "sitecustomize.py": evil, "alpha.pth": f"import os; {evil}"}
    wheel(tmp_path / "project/wheels", "alpha", files)
    (tmp_path / "project/wheels/beta-1.0.tar.gz").write_bytes(b"setup.py inside")
    run_build({"app.py": evil, "req.txt": "alpha\n-f wheels\n--no-index\n"}, "req.txt")
    with pytest.raises(SourceOnlyError, match="beta"):
        run_build({"req.txt": "beta\n-f wheels\n--no-index\n"}, "req.txt")
    assert not marker.exists()


def test_a_tampered_wheel_is_refused(run_build: Build, tmp_path: Path) -> None:
    wheel(tmp_path / "project/wheels", "alpha", {"alpha.py": ""})
    files = {"app.py": "", "req.txt": "alpha\n-f wheels\n--no-index\n"}
    run_build(files, "req.txt")
    wheel(tmp_path / "project/wheels", "alpha", {"alpha.py": "evil"})
    with pytest.raises(HashMismatchError):
        run_build(files, "req.txt", cache=tmp_path / "fresh")
    built = run_build(files, "req.txt", cache=tmp_path / "fresh", relock=True)
    assert (built.path / "deps/alpha.py").read_text() == "evil"


def test_an_incomplete_lock_is_refused(run_build: Build, tmp_path: Path) -> None:
    digest = wheel(tmp_path / "project/wheels", "alpha", {"alpha.py": ""})
    text = f"-f wheels\n--no-index\nalpha --hash=sha256:{digest}\n"
    with pytest.raises(UnhashedRequirementError, match="alpha"):
        run_build({"app.py": "", "req.txt": text}, "req.txt")


def test_the_network_is_needed_once(
    run_build: Build, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    files = {"app.py": APP.format("iniconfig"), "requirements.txt": "iniconfig\n"}
    first = run_build(files, "requirements.txt")
    assert [p.name for p in first.manifest.packages] == ["iniconfig"]
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:1/simple")
    assert run_build(files, "requirements.txt").digest == first.digest
    with pytest.raises(IndexUnavailableError):
        run_build(files, "requirements.txt", cache=tmp_path / "fresh", relock=True)


def test_requirements_that_do_not_exist_or_have_only_source(run_build: Build) -> None:
    for text, kind in (
        ("iniconfig==0.0.99", RequirementNotFoundError),
        ("docopt==0.6.2", SourceOnlyError),
    ):
        with pytest.raises(kind, match=text):
            run_build({"app.py": "", "requirements.txt": text + "\n"}, "requirements.txt")


PROJECT = """[project]
name = "demo"
version = "0"
requires-python = ">=3.11"
dependencies = ["iniconfig==2.0.0"]
"""


@pytest.fixture(scope="module")
def locks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The locks of PROJECT as uv makes them, by the name of their file."""
    root = tmp_path_factory.mktemp("locks")
    (root / "pyproject.toml").write_text(PROJECT)
    export = ["export", "--frozen", "--quiet", "--no-emit-project", "-o"]
    for command in (["lock"], [*export, "pylock.toml"], [*export, "requirements.txt"]):
        uv = [str(uv_binary()), *command, "--no-config"]
        subprocess.run(uv, cwd=root, check=True, capture_output=True)
    return {
        name: (root / name).read_text() for name in ("uv.lock", "pylock.toml", "requirements.txt")
    }


def test_every_kind_of_requirements_gives_the_same_dependencies(
    run_build: Build, locks: dict[str, str]
) -> None:
    app = {"app.py": APP.format("iniconfig"), "pyproject.toml": PROJECT}
    plain = run_build({**app, "req.txt": "iniconfig==2.0.0\n"}, "req.txt")
    expected = [f for f in plain.manifest.files if f.path.startswith("deps/iniconfig/")]
    assert expected
    assert [p.version for p in plain.manifest.packages] == ["2.0.0"]
    for number, name in enumerate(("pyproject.toml", *locks)):
        files = {**app, name: {**app, **locks}[name]}
        built = run_build(files, name, name=f"project{number}")
        assert built.manifest.packages == plain.manifest.packages
        assert [f for f in built.manifest.files if f in expected] == expected
        assert built.warnings == ()


@pytest.mark.parametrize("name", ["pylock.toml", "uv.lock", "requirements.txt"])
def test_a_lock_with_another_hash_is_refused(
    run_build: Build, locks: dict[str, str], name: str
) -> None:
    text = re.sub("[0-9a-f]{64}", "0" * 64, locks[name])
    with pytest.raises(HashMismatchError, match="iniconfig"):
        run_build({"app.py": "", "pyproject.toml": PROJECT, name: text}, name)


def test_a_uv_lock_that_does_not_fit_is_refused(run_build: Build, locks: dict[str, str]) -> None:
    text = PROJECT.replace("2.0.0", "1.1.1")
    with pytest.raises(StaleLockError, match="uv lock"):
        run_build({"pyproject.toml": text, "uv.lock": locks["uv.lock"]}, "uv.lock")


def test_twice_the_same_with_native_code(
    run_build: Build, tmp_path: Path, interpreters: tuple[Interpreter, ...]
) -> None:
    files = {"app.py": APP.format("PIL._imaging"), "requirements.txt": "pillow\n"}
    first = run_build(files, "requirements.txt", name="one", cache=tmp_path / "cache1")
    (lock,) = (tmp_path / "one").glob("*.lock")
    files[lock.name] = lock.read_text()
    second = run_build(files, "requirements.txt", name="another/folder", cache=tmp_path / "cache2")
    assert first.digest == second.digest
    assert "ValueError: PIL" in run_handler(first, interpreters)
    archive = io.BytesIO()
    pack(first.path, archive)
    archive.seek(0)
    unpack(archive, tmp_path / first.digest, first.digest)
    verify(tmp_path / first.digest)
