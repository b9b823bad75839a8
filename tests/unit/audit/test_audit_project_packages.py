"""Packages that projects and locks ask for, beside those of `requirements.txt`."""

from __future__ import annotations

import pytest
from tests.unit.audit.test_audit_ordinary import findings, function, told

HASH = '    {file = "a.whl", hash = "sha256:00"},\n'


def pep(more: str = "", asked: str = "requests>=2") -> str:
    return f'[project]\nname = "shop"\nversion = "1"\ndependencies = [\n  "{asked}",\n]\n{more}'


def poetry(asked: str, more: str = "") -> str:
    return f'[tool.poetry]\nname = "shop"\n[tool.poetry.dependencies]\npython = "^3.12"\n{asked}\n{more}'


def lock(name: str, version: str, hashes: str = HASH) -> str:
    return f'[[package]]\nname = "{name}"\nversion = "{version}"\nfiles = [\n{hashes}]\n'


PIPFILE = '[[source]]\nurl = "{}"\nverify_ssl = {}\n[packages]\nrequests = "*"\n'


@pytest.mark.parametrize(
    ("rule", "files", "found"),
    [
        ("DEP-001", {"pyproject.toml": pep()}, 1),
        ("DEP-001", {"pyproject.toml": pep(), "uv.lock": lock("requests", "2.32.3")}, 0),
        ("DEP-001", {"pyproject.toml": pep(), "requirements.txt": "requests==2.32.3\n"}, 0),
        ("DEP-001", {"pyproject.toml": pep(asked="requests==2.32.3")}, 0),
        ("DEP-001", {"pyproject.toml": pep('[dependency-groups]\ndev = ["pytest"]', "a==1")}, 0),
        ("DEP-001", {"pyproject.toml": poetry('requests = "^2.19"')}, 1),
        ("DEP-001", {"pyproject.toml": poetry('requests = "2.32.3"')}, 0),
        (
            "DEP-001",
            {
                "pyproject.toml": poetry(
                    'requests = "2.1"', '[tool.poetry.group.dev.dependencies]\npytest = "*"'
                )
            },
            0,
        ),
        ("DEP-001", {"pyproject.toml": "[tool.ruff]\nline-length = 100\n"}, 0),
        ("DEP-001", {"Pipfile": PIPFILE.format("https://a.example", "true")}, 1),
        (
            "DEP-001",
            {
                "Pipfile": PIPFILE.format("https://a.example", "true"),
                "Pipfile.lock": '{"default": {"requests": {"version": "==2.32.3", "hashes": ["sha256:0"]}}}',
            },
            0,
        ),
        ("DEP-001", {"requirements/prod.txt": "requests\n"}, 1),
        ("DEP-001", {"notes/prod.txt": "requests\n"}, 0),
        ("DEP-002", {"pyproject.toml": pep(), "uv.lock": lock("requests", "2.32.3")}, 0),
        ("DEP-002", {"pyproject.toml": pep(asked="requests==2.32.3")}, 1),
        ("DEP-004", {"uv.lock": lock("python3-dateutil", "2.9.1")}, 1),
        ("DEP-004", {"uv.lock": lock("python-dateutil", "2.9.0")}, 0),
        (
            "DEP-005",
            {"pyproject.toml": pep(asked="pycrypto==2.6.1"), "uv.lock": lock("pycrypto", "2.6.1")},
            1,
        ),
        ("DEP-007", {"Pipfile": PIPFILE.format("http://a.example/simple", "true")}, 1),
        ("DEP-007", {"Pipfile": PIPFILE.format("https://a.example/simple", "false")}, 1),
        ("DEP-007", {"Pipfile": PIPFILE.format("https://a.example/simple", "true")}, 0),
        ("DEP-007", {"pyproject.toml": pep('[[tool.uv.index]]\nurl = "http://a.example"')}, 1),
        ("DEP-009", {"pyproject.toml": pep(asked="mine @ git+https://a.example/m@main")}, 1),
        (
            "DEP-009",
            {"pyproject.toml": pep(asked=f"mine @ git+https://a.example/m@{'0a' * 20}")},
            0,
        ),
        (
            "DEP-009",
            {"pyproject.toml": poetry('mine = {git = "https://a.example/m", branch = "main"}')},
            1,
        ),
        (
            "DEP-009",
            {
                "pyproject.toml": pep(
                    '[tool.uv.sources]\nmine = {git = "https://a.example/m", rev = "main"}', "mine"
                )
            },
            1,
        ),
    ],
)
def test_a_project_asks_for_packages(rule: str, files: dict[str, str], found: int) -> None:
    there = {**function(), **{f"src/{name}": text for name, text in files.items()}}
    assert told(there, rule) == found


def test_a_finding_is_at_the_line_of_its_package() -> None:
    text = pep(asked='requests==2.32.3",\n  "pycrypto==2.6.1')
    [found] = findings({**function(), "src/pyproject.toml": text}, "DEP-005")
    assert (found.place.file, found.place.line) == ("src/pyproject.toml", 6)


@pytest.mark.parametrize(
    "text",
    ["[project\n", "a = " + "[" * 5000, "[project]\ndependencies = 3\n", "[tool]\npoetry = 1\n"],
)
@pytest.mark.parametrize("name", ["pyproject.toml", "Pipfile", "uv.lock", "Pipfile.lock"])
def test_a_broken_file_is_passed_over(name: str, text: str) -> None:
    assert told({**function(), f"src/{name}": text}, "DEP-001") == 0
