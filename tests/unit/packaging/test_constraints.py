"""What is published as exact versions is what uv.lock has, and what pyproject.toml allows."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

_ROOT = Path(__file__).parents[3]
_CONSTRAINTS = _ROOT / "constraints.txt"


def _pinned() -> dict[str, str]:
    lines = _CONSTRAINTS.read_text(encoding="utf-8").splitlines()
    requirements = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {r.name: str(r.specifier).removeprefix("==") for r in requirements}


def _required() -> list[Requirement]:
    document = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return [Requirement(text) for text in document["project"]["dependencies"]]


def test_it_is_what_the_lock_gives() -> None:
    made = subprocess.run(
        [_ROOT / "scripts" / "constraints"], stdout=subprocess.PIPE, timeout=60, check=True
    )
    assert made.stdout.decode() == _CONSTRAINTS.read_text(encoding="utf-8"), "`make docs`"


def test_every_version_is_exact_and_in_its_range() -> None:
    pinned = _pinned()
    assert all(re.fullmatch(r"[0-9][0-9a-z.]*", version) for version in pinned.values())
    for requirement in _required():
        assert requirement.specifier.contains(pinned[requirement.name]), requirement


def test_what_is_required_is_a_range_with_an_end() -> None:
    """tzdata has the year as its version and no interface that could change."""
    for requirement in _required():
        operators = {specifier.operator for specifier in requirement.specifier}
        assert operators == ({">="} if requirement.name == "tzdata" else {">=", "<"}), requirement


def test_it_has_nothing_of_development() -> None:
    assert not {"pytest", "mypy", "hypothesis", "httpx", "deptry", "apsw"} & _pinned().keys()
