"""`casemate advisories`: imported, looked at, and looked up in, without a node."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from casemate.advisories import limits
from casemate.operations.advisories import AdvisoriesStatus
from support.advisories import record

NOW = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture
def kept(home: Path, monkeypatch) -> Path:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    return home / ".cache/casemate/advisories"


@pytest.fixture
def source(home: Path) -> str:
    folder = home / "osv"
    folder.mkdir()
    vector = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
    for each in (
        record(
            "GHSA-1",
            aliases=["CVE-2024-1"],
            modified=NOW,
            summary="Bad\x1b[31m",
            details="More\nof it",
            severity=[{"type": "CVSS_V3", "score": vector}],
            references=[{"type": "WEB", "url": "https://example.com/1"}],
        ),
        record("GHSA-n", ecosystem="npm", modified=NOW),
    ):
        (folder / f"{each['id']}.json").write_text(json.dumps(each))
    return str(folder)


def test_missing_advisories_are_a_failure_that_says_what_to_do(cli, kept, home: Path) -> None:
    result = cli("advisories", "status")
    assert result.code == 1
    assert "missing" in result.err
    assert "casemate advisories import SOURCE" in result.err
    (home / "r.txt").write_text("left==1.0\n")
    result = cli("advisories", "check", "r.txt")
    assert result.code == 1
    assert "not looked up: pkg:pypi/left@1.0" in result.err
    assert cli("advisories", "show", "GHSA-1").code == 3


def test_import_status_show_check(cli, kept, source, home: Path) -> None:
    result = cli("advisories", "import", source)
    assert (result.code, result.out) == (0, "imported: 1 about PyPI, 1 about npm\n")
    assert (kept / "database").is_file()
    status = cli("advisories", "status")
    assert status.code == 0
    assert "PyPI: 1 advisory\n" in status.out
    shown = cli("advisories", "show", "cve-2024-1")
    assert shown.code == 0
    assert "severity: critical 9.8" in shown.out
    assert "https://example.com/1" in shown.out
    assert "\x1b" not in shown.out
    (home / "r.txt").write_text("left==1.0\nright\n")
    found = cli("advisories", "check", "r.txt")
    assert found.code == 1
    assert "GHSA-1 CVE-2024-1" in found.out
    assert "critical 9.8" in found.out
    assert "not looked up: right: no version is pinned" in found.err
    (home / "r.txt").write_text("left==2.0\n")
    clean = cli("advisories", "check", "r.txt")
    assert (clean.code, clean.out) == (0, "")
    assert "Nothing was found in 1 package(s)." in clean.err


def test_all_of_it_as_json(cli, kept, source, home: Path) -> None:
    done = json.loads(cli("advisories", "import", source, "--json").out)
    assert done["changed"]
    assert done["records"] == {"PyPI": 1, "npm": 1}
    status = json.loads(cli("advisories", "status", "--json").out)
    assert status["good"]
    assert status["packages"] == 2
    # By the names that a node tells it by: one program reads both.
    assert set(AdvisoriesStatus.__struct_fields__) - {"rules", "licences"} <= status.keys()
    both = cli("advisories", "status", "--node", "--data", str(home))
    assert both.code == 2 and "--node and --data" in both.err
    [shown] = json.loads(cli("advisories", "show", "GHSA-1", "--json").out)
    assert shown["aliases"] == ["CVE-2024-1"]
    (home / "r.txt").write_text("left==1.0\n?\n")
    result = cli("advisories", "check", "r.txt", "--json")
    found = json.loads(result.out)
    assert result.code == 1
    assert [each["ids"] for each in found["findings"]] == [["GHSA-1", "CVE-2024-1"]]
    assert [each["package"] for each in found["not_judged"]] == ["?"]
    assert not found["clean"]


def test_old_and_partial_advisories_end_with_1(cli, kept, source, monkeypatch) -> None:
    assert cli("advisories", "import", source, "--ecosystem", "pypi").code == 0
    assert cli("advisories", "status").code == 0
    monkeypatch.setattr(limits, "MAX_AGE", -1.0)
    result = cli("advisories", "status")
    assert result.code == 1
    assert "old:" in result.err
    monkeypatch.undo()
    monkeypatch.setenv("CASEMATE_ADVISORIES", str(kept))
    Path(source, "GHSA-n.json").unlink()
    assert cli("advisories", "import", source).code == 0
    result = cli("advisories", "status", "--json")
    assert result.code == 1
    (problem,) = json.loads(result.out)["problems"]
    assert problem.startswith("partial: ")


def test_a_source_that_is_refused_changes_nothing(cli, kept, source) -> None:
    assert cli("advisories", "import", source).code == 0
    Path(source, "broken.json").write_text("<html>")
    result = cli("advisories", "import", source)
    assert result.code == 1
    assert "'broken.json' is HTML" in result.err
    status = cli("advisories", "status")
    assert status.code == 0
    assert "'broken.json'" in status.err
    assert cli("advisories", "import", "nowhere").code == 1
    assert cli("advisories", "import", source, "--ecosystem", "Go").code == 2


def test_the_folder_of_a_node(cli, kept, source, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    assert cli("advisories", "status", "--data", str(data)).code == 2
    (data / "casemate.json").write_text('{"format": 1, "version": "0.1.0"}')
    assert cli("advisories", "import", source, "--data", str(data)).code == 0
    assert (data / "advisories/database").is_file()
    assert not kept.exists()
    from casemate.folder.ownership import require_own

    (data / "store").mkdir()
    require_own(data)
