"""The examples: whole projects whose own tests pass with exactly the packages they name."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from casemate.manifest import load
from casemate.model.function import FunctionSpec, Project
from casemate.model.trigger import OUTSIDE, TriggerKind, consumed, kind_of

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = ROOT / "examples"
NAMES = (
    *("csv-summary", "deploy-notifier", "ledger", "markdown", "orders", "thumbnail"),
    *("shipping", "webhook"),
)
WITHOUT_PACKAGES = {"deploy-notifier", "ledger", "orders", "shipping"}
PINNED = re.compile(r"[a-z0-9-]+==[0-9][0-9.]*")
UV = Path(sys.executable).with_name("uv")


def test_every_folder_is_tested_and_described() -> None:
    assert sorted(
        path.name for path in EXAMPLES.iterdir() if (path / "casemate.toml").is_file()
    ) == sorted(NAMES)
    described = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    for name in NAMES:
        assert f"]({name})" in described
        assert (EXAMPLES / name / "README.md").is_file()


@pytest.mark.parametrize("name", NAMES)
def test_its_manifest_is_valid_and_pins_what_it_needs(name: str) -> None:
    project = load(EXAMPLES / name / "casemate.toml")
    assert project.name == name
    for function in project.functions:
        assert bool(function.http) is not function.internal
        assert function.source == "src", "data and tests have no place in a bundle"
        if function.requirements is None:
            assert name in WITHOUT_PACKAGES
            continue
        text = (EXAMPLES / name / function.requirements).read_text(encoding="utf-8")
        for line in text.split():
            assert PINNED.fullmatch(line)


def source_of(project: Project, function: FunctionSpec) -> str:
    """Return the code of a function: its module, or its handler if the module has several."""
    module, _, handler = function.handler.partition(":")
    text = (EXAMPLES / project.name / f"src/{module}.py").read_text(encoding="utf-8")
    if sum(f.handler.startswith(f"{module}:") for f in project.functions) == 1:
        return text
    (found,) = (
        node
        for node in ast.parse(text).body
        if isinstance(node, ast.FunctionDef) and node.name == handler
    )
    return ast.get_source_segment(text, found) or ""


@pytest.mark.parametrize("name", NAMES)
def test_it_grants_no_more_than_its_handlers_name(name: str) -> None:
    project = load(EXAMPLES / name / "casemate.toml")
    by_call = {"bucket": "bucket", "table": "table", "queue": "queue", "topic": "topic"}
    by_call |= {"secret": "secret", "function": "invoke"}
    for function in project.functions:
        source = source_of(project, function)
        named = re.findall(r'context\.(\w+)\("([a-z-]+)"', source)
        granted = {(by_call[grant.kind.value], grant.name) for grant in function.grants}
        assert set(named) == granted, function.name


def test_what_only_answers_requests_is_granted_nothing() -> None:
    granted = {
        name
        for name in NAMES
        for function in load(EXAMPLES / name / "casemate.toml").functions
        if function.grants
    }
    assert granted == {"deploy-notifier", "ledger", "orders", "shipping", "thumbnail"}


def test_every_kind_of_trigger_is_shown_and_one_of_a_server_outside() -> None:
    shown = {
        kind_of(trigger)
        for name in NAMES
        for function in load(EXAMPLES / name / "casemate.toml").functions
        for trigger in function.triggers
    }
    others = {TriggerKind.INVOKE, TriggerKind.HTTP, TriggerKind.S3}
    assert shown - OUTSIDE == set(TriggerKind) - OUTSIDE - others
    assert shown & OUTSIDE


def test_only_the_webhook_is_public() -> None:
    public = {
        name
        for name in NAMES
        for function in load(EXAMPLES / name / "casemate.toml").functions
        if function.public
    }
    assert public == {"webhook"}


@pytest.mark.parametrize("name", NAMES)
def test_its_readme_names_its_routes_and_data(name: str) -> None:
    folder = EXAMPLES / name
    readme = (folder / "README.md").read_text(encoding="utf-8")
    for function in load(folder / "casemate.toml").functions:
        for route in function.http:
            assert f"`{route.method} {route.path}`" in readme
    for mentioned in re.findall(r"(?<!\w)@?((?:data|src)/[\w.-]+\w)", readme):
        assert (folder / mentioned).is_file(), mentioned


def test_no_private_key_is_shipped() -> None:
    tracked = [path for path in EXAMPLES.rglob("*") if path.is_file() and path.name != "sender.key"]
    for path in tracked:
        assert not re.search(rb"whsk_[A-Za-z0-9+/]{43}=|PRIVATE KEY-----", path.read_bytes()), path


@pytest.fixture(scope="module", params=NAMES)
def installed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """Return an example's folder and one that its requirements are installed in."""
    folder = EXAMPLES / request.param
    packages = tmp_path_factory.mktemp("packages")
    if request.param in WITHOUT_PACKAGES:
        return folder, packages
    done = subprocess.run(
        [
            *(UV, "pip", "install", "--quiet", "--only-binary", ":all:"),
            *("--python", sys.executable, "--target", packages, "-r", folder / "requirements.txt"),
        ],
        check=False,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    return folder, packages


def test_its_own_tests_pass(installed: tuple[Path, Path]) -> None:
    folder, packages = installed
    done = subprocess.run(
        [
            *(sys.executable, "-B", "-W", "error::DeprecationWarning"),
            *("-m", "unittest", "discover", "--start-directory", "tests", "--verbose"),
        ],
        check=False,
        cwd=folder,
        env={"PATH": os.defpath, "PYTHONPATH": str(packages), "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    # unittest of 3.11 calls it a success if it finds nothing at all
    count = re.search(r"^Ran (\d+) tests", done.stderr, re.MULTILINE)
    assert count and int(count[1]) >= 5, done.stderr
    assert "skipped" not in done.stderr


def test_a_new_sender_key_is_kept_for_its_owner_alone_and_never_replaced(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    packages = tmp_path_factory.mktemp("packages")
    example = EXAMPLES / "webhook"
    install = [UV, "pip", "install", "--quiet", "--only-binary", ":all:", "--target", packages]
    subprocess.run(
        [*install, "--python", sys.executable, "-r", example / "requirements.txt"],
        check=True,
        timeout=100,
    )
    (tmp_path / "src").mkdir()
    (tmp_path / "sender.py").write_bytes((example / "sender.py").read_bytes())
    shipped = (example / "src" / "trusted_keys.txt").read_text(encoding="utf-8")
    (tmp_path / "src" / "trusted_keys.txt").write_text(shipped, encoding="utf-8")

    def keygen() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-B", tmp_path / "sender.py", "keygen"],
            check=False,
            env={"PATH": os.defpath, "PYTHONPATH": str(packages)},
            capture_output=True,
            text=True,
            timeout=60,
        )

    assert keygen().returncode == 0
    key = tmp_path / "sender.key"
    written = key.read_bytes()
    assert key.stat().st_mode & 0o777 == 0o600
    assert keygen().returncode != 0
    assert key.read_bytes() == written
    trusted = (tmp_path / "src" / "trusted_keys.txt").read_text(encoding="utf-8")
    assert trusted.removeprefix(shipped).startswith("whpk_")
    assert trusted.count("whpk_") == shipped.count("whpk_") + 1


def test_its_private_key_stays_out_of_git() -> None:
    ignored = (EXAMPLES / "webhook" / ".gitignore").read_text(encoding="utf-8")
    assert "/sender.key" in ignored.splitlines()
    manifest = tomllib.loads((EXAMPLES / "webhook" / "casemate.toml").read_text(encoding="utf-8"))
    assert manifest["function"]["receive"]["source"] == "src", "the key lies outside of src"


@pytest.mark.parametrize("name", [*NAMES, ""])
def test_the_commands_of_its_readme_deploy_it_on_a_new_node(name: str) -> None:
    """A new node knows no advisories, and grants nothing that nobody has approved."""
    readme = (EXAMPLES / name / "README.md").read_text(encoding="utf-8")
    project = load(EXAMPLES / (name or "thumbnail") / "casemate.toml")
    before, _, line = readme.partition("\n$ casemate deploy")
    packages = any(spec.requirements for spec in project.functions)
    granted = any((*spec.grants, *consumed(spec.triggers)) for spec in project.functions)
    assert ("casemate advisories import ../advisories --node" in before) is packages
    assert line.partition("\n")[0].strip() == ("--approve" if granted else "")
