"""The project that `init` makes works, and nothing is ever half-made."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib

import jsonschema_rs
import pytest

from casemate.cli import template
from casemate.cli.errors import CommandError
from casemate.cli.project_schema import SCHEMA_PATH, write_schema
from casemate.cli.stubs import STUB_PATH, stub_text
from casemate.manifest import load
from casemate.manifest.schema import schema_text


def test_the_project_is_valid_and_its_test_passes(cli, home) -> None:
    result = cli("init", "my_Shop")
    assert result.code == 0
    assert "Next: cd my_Shop" in result.out
    project = load(home / "my_Shop/casemate.toml")
    assert project.name == "my-shop"
    assert project.function("hello").limits.memory == 128 << 20
    assert (home / "my_Shop" / STUB_PATH).read_text() == stub_text()
    assert (home / "my_Shop" / SCHEMA_PATH).read_text() == schema_text()
    done = subprocess.run(
        [sys.executable, "-m", "unittest", "discover", "tests"],
        cwd=home / "my_Shop",
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Ran 2 tests" in done.stderr


def test_the_commented_lines_of_the_manifest_are_valid_too(cli, home) -> None:
    cli("init", "shop")
    path = home / "shop/casemate.toml"
    lines = []
    for line in path.read_text().splitlines():
        commented = line.startswith("# ") and ("=" in line or "[[" in line)
        lines.append(line.removeprefix("# ") if commented else line)
    (home / "shop/requirements.txt").write_text("")
    path.write_text("\n".join(lines))
    function = load(path).function("hello")
    assert function.public
    assert function.http[0].path == "/hello/{name}"


def test_the_next_step_can_be_pasted_for_every_name(cli, home) -> None:
    assert "Next: cd 'My Shop' && " in cli("init", "My Shop").out


def test_here_and_with_a_name(cli, home) -> None:
    result = cli("init", "--name", "shop", "--json")
    assert json.loads(result.out)["project"] == "shop"
    assert (home / "casemate.toml").is_file()


@pytest.mark.parametrize(
    "existing",
    ["README.md", "src/app.py", "casemate.toml", ".gitignore", str(STUB_PATH), str(SCHEMA_PATH)],
)
def test_nothing_is_overwritten_and_nothing_else_written(cli, home, existing) -> None:
    path = home / "p" / existing
    path.parent.mkdir(parents=True)
    path.symlink_to("nowhere")
    result = cli("init", "p")
    assert result.code == 1
    assert existing in result.err
    found = [p for p in (home / "p").rglob("*") if not p.is_dir()]
    assert found == [path]


@pytest.mark.parametrize("name", ["", "9lives", "a" * 64, "shop/cart", "-x"])
def test_names_that_are_none(cli, home, name) -> None:
    assert cli("init", "p", f"--name={name}").code == 2
    assert not (home / "p").exists()


@pytest.mark.parametrize("failure", [OSError(28, "No space left"), KeyboardInterrupt()])
def test_a_failure_in_the_middle_leaves_nothing(cli, home, monkeypatch, failure) -> None:
    real = template.new_file

    def failing(path, **options):
        if path.name == "README.md":
            raise failure
        return real(path, **options)

    monkeypatch.setattr(template, "new_file", failing)
    result = cli("init", "deep/er/p")
    assert result.code in (1, 130)
    assert not (home / "deep").exists()


def test_what_a_killed_one_has_left_is_gone_on_with_and_nothing_else(cli, home) -> None:
    """Before, the second `init` named the files, and one had to find out which were whole."""
    for name in ("README.md", "src/app.py"):
        (home / "p" / name).parent.mkdir(parents=True, exist_ok=True)
        (home / "p" / name).write_text(template.files("p")[name])
    (home / "p/tests").mkdir()
    (home / "p/.gitignore").write_text("mine\n")
    refused = cli("init", "p")
    assert refused.code == 1 and "exist already: p/.gitignore.\n" in refused.err
    (home / "p/.gitignore").unlink()
    assert cli("init", "p").code == 0
    assert all((home / "p" / name).read_text() == t for name, t in template.files("p").items())
    assert (home / "p/casemate.toml").stat().st_mode & 0o777 == 0o666 & ~_umask()
    assert cli("init", "p").code == 1  # it is a project now


def _umask() -> int:
    found = os.umask(0)
    os.umask(found)
    return found


def test_the_manifest_comes_last() -> None:
    assert list(template.files("x"))[-1] == "casemate.toml"


def test_the_first_line_names_the_schema_by_a_path_that_is_there(cli, home) -> None:
    cli("init", "shop")
    first = (home / "shop/casemate.toml").read_text().splitlines()[0]
    kind, _, reference = first.partition(" ")
    assert kind == "#:schema"
    schema = json.loads((home / "shop" / reference).read_text())
    manifest = tomllib.loads((home / "shop/casemate.toml").read_text())
    assert jsonschema_rs.is_valid(schema, manifest)
    assert not jsonschema_rs.is_valid(schema, {**manifest, "unknown": 1})


@pytest.mark.skipif(shutil.which("taplo") is None, reason="taplo is not installed here")
def test_taplo_checks_the_manifest_offline(cli, home) -> None:
    cli("init", "shop")
    manifest = home / "shop/casemate.toml"
    environ = {
        **os.environ,
        "https_proxy": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
    }

    def check() -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            ["taplo", "lint", "shop/casemate.toml"],
            cwd=home, env=environ, capture_output=True, timeout=60, check=False,
        )  # fmt: skip

    assert check().returncode == 0
    manifest.write_text(manifest.read_text().replace('name = "shop"', 'name = "No Name"'))
    done = check()
    assert done.returncode != 0
    assert b"does not match" in done.stdout + done.stderr


def test_a_schema_of_an_earlier_version_is_replaced_and_nothing_else(home) -> None:
    path, changed = write_schema(home)
    assert changed and not write_schema(home)[1]
    path.write_text(json.dumps({"title": "Casemate manifest", "type": "object"}))
    assert write_schema(home)[1] and path.read_text() == schema_text()
    for other in ("", "{", "[]", '{"title": "Mine"}', "[" * 100_000):
        path.write_text(other)
        with pytest.raises(CommandError, match="not overwritten"):
            write_schema(home)
        assert path.read_text() == other
    path.unlink()
    path.symlink_to("elsewhere")
    with pytest.raises(CommandError, match="symbolic link"):
        write_schema(home)
    assert not (home / "typings/elsewhere").exists()
