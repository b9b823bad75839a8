"""`casemate sbom`: of functions that are built for it, and of bundles that are there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from casemate.build import pack

MANIFEST = """\
[project]
name = "demo"

[function.hello]
handler = "app:handler"

[function.other]
handler = "app:handler"
"""


@pytest.fixture
def project(home: Path) -> Path:
    (home / "casemate.toml").write_text(MANIFEST)
    (home / "app.py").write_text("def handler(event, context):\n    return event\n")
    return home


@pytest.mark.sandbox
def test_of_functions_of_a_project_and_of_their_bundles(cli, project: Path) -> None:
    result = cli("sbom", "hello")
    assert result.code == 0
    document = json.loads(result.out)
    assert document["metadata"]["component"]["name"] == "hello"
    digest = document["metadata"]["component"]["hashes"][0]["content"]
    bundle = project / ".casemate/bundles" / digest
    assert cli("sbom", "--bundle", str(bundle)).out == result.out
    archive = project / f"{digest}.tar.gz"
    with archive.open("wb") as file:
        pack(bundle, file)
    assert cli("sbom", "--bundle", str(archive)).out == result.out
    (bundle / "code/app.py").chmod(0o644)
    (bundle / "code/app.py").write_text("changed")
    assert cli("sbom", "--bundle", str(bundle)).code == 1
    archive.rename(project / ("0" * 64))
    assert cli("sbom", "--bundle", str(project / ("0" * 64))).code == 1


def test_of_what_is_installed_here(cli, home: Path) -> None:
    result = cli("sbom", "--node")
    document = json.loads(result.out)
    assert document["metadata"]["component"]["name"] == "casemate"
    by_name: dict[str, list[str]] = {}
    for component in document["components"]:
        by_name.setdefault(component["name"], []).append(component.get("version", ""))
    assert {"msgspec", "cryptography", "python"} <= by_name.keys()
    # The fourth is that of the extra `cluster`.
    assert len(by_name["OpenSSL"]) == 4 and by_name["SQLCipher"][0] and by_name["libpq"][0]
    assert "pytest" not in by_name  # what is installed beside it is not its
    refs = [component["bom-ref"] for component in document["components"]]
    assert len(refs) == len(set(refs))
    assert cli("sbom", "--node").out == result.out
    for wrong in (
        ("--node", "f"),
        ("--node", "--deployed"),
        ("--deployed",),
        ("--deployed", "a", "b"),
    ):
        assert cli("sbom", *wrong).code == 2


@pytest.mark.sandbox
def test_several_go_to_a_folder(cli, project: Path) -> None:
    several = cli("sbom")
    assert several.code == 2
    assert "hello, other" in several.err
    assert cli("sbom", "--out", "sboms").code == 0
    assert sorted(path.name for path in (project / "sboms").iterdir()) == [
        "hello.cdx.json",
        "other.cdx.json",
    ]
    (project / "file").touch()
    refused = cli("sbom", "--out", "file")
    assert refused.code == 1
    assert "file/hello.cdx.json cannot be written" in refused.err.replace("\n", " ")
    assert "Give another folder with --out" in refused.err.replace("\n", " ")


def test_wrong_usage(cli, project: Path) -> None:
    assert cli("sbom", "hello", "--bundle", "x").code == 2
    assert cli("sbom", "nobody").code == 3
    assert cli("sbom", "--bundle", str(project / ("0" * 64))).code == 1
    assert cli("sbom", "--bundle", "short").code == 1
