"""The built wheel, installed as a tool into an environment of its own, is whole and works."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_UV = _ROOT / ".venv" / "bin" / "uv"
_SECONDS = 240
_KEPT = ("PATH", "LANG", "UV_CACHE_DIR", "UV_INDEX_URL", "UV_DEFAULT_INDEX", "SSL_CERT_FILE")


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder that functions' users can read, as a tool's is."""
    path = Path(tempfile.mkdtemp(prefix="casemate-wheel-", dir="/var/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def environ(folder: Path) -> dict[str, str]:
    """Nothing of this checkout: a home of its own, and only the cache of packages shared."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    cache = subprocess.run([_UV, "cache", "dir"], capture_output=True, text=True, check=True)
    (folder / "home").mkdir()
    return {
        **kept,
        "UV_CACHE_DIR": cache.stdout.strip(),
        "HOME": str(folder / "home"),
        "UV_TOOL_DIR": str(folder / "tools"),
        "UV_TOOL_BIN_DIR": str(folder / "bin"),
        "UV_PYTHON_DOWNLOADS": "never",
        "PATH": f"{folder / 'bin'}:/usr/local/bin:/usr/bin:/bin",
    }


def run(*command: str | Path, environ: dict[str, str], cwd: Path, code: int = 0) -> str:
    done = subprocess.run(
        command,
        env=environ,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(folder: Path, environ: dict[str, str]) -> Path:
    run(_UV, "build", "--quiet", "--wheel", "--out-dir", folder / "dist", _ROOT, environ=environ,
        cwd=folder)  # fmt: skip
    [built] = (folder / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def tool(wheel: Path, folder: Path, environ: dict[str, str]) -> Path:
    constraints = folder / "constraints.txt"
    with zipfile.ZipFile(wheel) as archive:
        constraints.write_bytes(archive.read("casemate/constraints.txt"))
    run(_UV, "tool", "install", "--quiet", "--python", sys.executable, "--constraints",
        constraints, wheel, environ=environ, cwd=folder)  # fmt: skip
    return folder / "bin" / "casemate"


def test_the_wheel_has_licence_schema_and_versions_and_nothing_of_tests(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        [licence] = [name for name in names if name.endswith("dist-info/licenses/LICENSE")]
        assert archive.read(licence) == (_ROOT / "LICENSE").read_bytes()
        for inside, path in (
            ("casemate/manifest/casemate.schema.json", "docs/reference/casemate.schema.json"),
            ("casemate/constraints.txt", "constraints.txt"),
            ("casemate/policy/built_in.cedar", "src/casemate/policy/built_in.cedar"),
            ("casemate/cli/stubs/handler.pyi", "src/casemate/cli/stubs/handler.pyi"),
            ("casemate/py.typed", "src/casemate/py.typed"),
        ):
            assert archive.read(inside) == (_ROOT / path).read_bytes(), inside
    package = {name for name in names if not name.startswith("casemate-")}
    assert all(name.startswith("casemate/") for name in package)
    sources = {
        f"casemate/{path.relative_to(_ROOT / 'src/casemate').as_posix()}"
        for path in (_ROOT / "src/casemate").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert sources <= package, "every file of the source is in it"


def test_the_tool_is_linked_and_has_the_published_versions(
    tool: Path, folder: Path, environ: dict[str, str]
) -> None:
    assert tool.is_symlink() and folder / "tools" in tool.resolve().parents
    assert run("casemate", "--version", environ=environ, cwd=folder).startswith("casemate ")
    python = tool.resolve().with_name("python")
    frozen = run(_UV, "pip", "freeze", "--python", python, environ=environ, cwd=folder)
    pinned = (_ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    exact = {line.partition(" ")[0] for line in pinned if line and not line.startswith("#")}
    found = {line for line in frozen.splitlines() if not line.startswith("casemate")}
    assert found <= exact


def test_a_project_is_made_built_and_completed(
    tool: Path, folder: Path, environ: dict[str, str]
) -> None:
    run("casemate", "init", "shop", environ=environ, cwd=folder)
    manifest = (folder / "shop/casemate.toml").read_text(encoding="utf-8")
    reference = manifest.splitlines()[0].removeprefix("#:schema ")
    assert json.loads((folder / "shop" / reference).read_text())["title"] == "Casemate manifest"
    assert tomllib.loads(manifest)["project"]["name"] == "shop"
    script = run("casemate", "completion", "bash", environ=environ, cwd=folder)
    assert "complete -F _casemate casemate" in script
    built = run("casemate", "build", "--json", environ=environ, cwd=folder / "shop")
    assert len(json.loads(built)) >= 1


@pytest.mark.storm
def test_the_host_is_probed_from_there(tool: Path, folder: Path, environ: dict[str, str]) -> None:
    """The whole sandbox runs from the installed files: the runner, its guard, the filters."""
    here = subprocess.run(
        [sys.executable, "-m", "casemate.cli.main", "doctor", "--json"],
        capture_output=True, text=True, timeout=_SECONDS, check=False,
    )  # fmt: skip
    code = here.returncode
    installed = json.loads(
        run("casemate", "doctor", "--json", environ=environ, cwd=folder, code=code)
    )
    held = {one["name"]: one["holds"] for one in json.loads(here.stdout)["findings"]}
    assert {one["name"]: one["holds"] for one in installed["findings"]} == held
