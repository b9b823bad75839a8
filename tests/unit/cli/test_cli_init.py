"""The project that `init` makes works, and nothing is ever half-made."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from casemate.cli import template
from casemate.cli.stubs import STUB_PATH, stub_text
from casemate.manifest import load


def test_the_project_is_valid_and_its_test_passes(cli, home) -> None:
    result = cli("init", "my_Shop")
    assert result.code == 0
    assert "Next: cd my_Shop" in result.out
    project = load(home / "my_Shop/casemate.toml")
    assert project.name == "my-shop"
    assert project.function("hello").limits.memory == 128 << 20
    assert (home / "my_Shop" / STUB_PATH).read_text() == stub_text()
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
    "existing", ["README.md", "src/app.py", "casemate.toml", ".gitignore", str(STUB_PATH)]
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
    real = Path.open

    def failing(self, *arguments, **options):
        if self.name == "README.md":
            raise failure
        return real(self, *arguments, **options)

    monkeypatch.setattr(Path, "open", failing)
    result = cli("init", "deep/er/p")
    assert result.code in (1, 130)
    assert not (home / "deep").exists()


def test_the_manifest_comes_last() -> None:
    assert list(template.files("x"))[-1] == "casemate.toml"
