"""Policies beside an application are compared with those of a revision."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from casemate.audit import Options, Report, audit
from casemate.audit.rules import policies

MANIFEST = '[project]\nname = "demo"\n\n[function.thing]\nhandler = "app:handler"\n'
ROLE = """\
permit (
  principal in Casemate::Role::"deployer",
  action == Casemate::Action::"function:deploy",
  resource is Casemate::Function
);
"""
FROZEN = 'forbid (principal, action == Casemate::Action::"function:deploy", resource);\n'
WIDER = ROLE.replace("resource is Casemate::Function", "resource")


def git(folder: Path, *arguments: str) -> None:
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@example.com", *arguments]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "casemate.toml").write_text(MANIFEST)
    (tmp_path / "app.py").write_text("def handler(event, context):\n    return None\n")
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies/deployer.cedar").write_text(ROLE)
    (tmp_path / "policies/frozen.cedar").write_text(FROZEN)
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "a")
    return tmp_path


def report(folder: Path, since: str | None = "HEAD") -> Report:
    return audit(folder, Options(only=("POL-001",), since=since, files=frozenset()))


def texts(folder: Path) -> list[str]:
    return [f"{f.place.file}:{f.place.line} {f.text}" for f in report(folder).findings]


def test_a_forbid_that_is_gone_is_found_with_a_request(folder: Path) -> None:
    assert texts(folder) == []
    (folder / "policies/frozen.cedar").unlink()
    found = texts(folder)
    assert any("may function:deploy on function:any0/any0" in text for text in found)
    assert found[0].startswith("policies/deployer.cedar:1 ")
    assert report(folder, since=None).findings == ()


def test_a_wider_resource_is_found_and_a_narrower_one_is_not(folder: Path) -> None:
    (folder / "policies/frozen.cedar").unlink()
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "b")
    (folder / "policies/deployer.cedar").write_text("\n" + WIDER)
    assert any("function:deploy on node" in text for text in texts(folder))
    git(folder, "commit", "-qam", "c")
    (folder / "policies/deployer.cedar").write_text(ROLE)
    assert texts(folder) == []


def test_folders_are_sets_of_their_own(folder: Path) -> None:
    (folder / "other").mkdir()
    (folder / "other/reader.cedar").write_text(
        'permit (principal in Casemate::Role::"reader",'
        ' action == Casemate::Action::"log:read", resource);'
    )
    found = texts(folder)
    assert found and all(text.startswith("other/reader.cedar:1 ") for text in found)


@pytest.mark.parametrize("text", ["nonsense", "permit (principal is A::B, action, resource);", ""])
def test_policies_that_are_none_are_noted(folder: Path, text: str) -> None:
    (folder / "policies/deployer.cedar").write_text(text)
    found = report(folder)
    assert found.findings == ()
    assert any("not compared with the revision" in note.what for note in found.unresolved)


def test_what_is_not_decided_is_found(folder: Path) -> None:
    (folder / "policies/odd.cedar").write_text(
        'permit (principal is Casemate::User, action == Casemate::Action::"node:read", resource)'
        " when { 1 + 1 == 3 };"
    )
    assert ["cannot be decided" in text for text in texts(folder)] == [True]


def test_many_are_told_as_a_number(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policies, "_MAX_TOLD", 1)
    (folder / "policies/frozen.cedar").unlink()
    found = report(folder)
    assert len(found.findings) == 1
    assert any("more kinds of requests are permitted" in note.what for note in found.unresolved)


GRANTED = (
    MANIFEST
    + """
[function.thing.grants]
buckets = [{ name = "uploads", actions = ["read"], prefixes = ["in/"] }]
egress = [{ host = "api.example.com" }]

[bucket.uploads]
"""
)


def granted(folder: Path, manifest: str) -> tuple[list[str], list[str]]:
    (folder / "casemate.toml").write_text(manifest)
    told = audit(folder, Options(only=("POL-002",), since="HEAD", files=frozenset()))
    return [f.text for f in told.findings], [note.what for note in told.unresolved]


@pytest.fixture
def with_grants(folder: Path) -> Path:
    (folder / "casemate.toml").write_text(GRANTED)
    git(folder, "commit", "-qam", "b")
    return folder


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('["read"]', '["read", "write"]', 'bucket:write on uploads, key "in/any"'),
        ('["in/"]', '["in/", "out/"]', 'bucket:read on uploads, key "out/any"'),
        (', prefixes = ["in/"]', "", 'bucket:read on uploads, key "any"'),
        (
            '{ host = "api.example.com" }',
            '{ host = "api.example.com" }, { host = "b.example" }',
            "egress:connect on b.example:443",
        ),
    ],
)
def test_a_grant_that_is_wider_is_found_with_a_use(
    with_grants: Path, old: str, new: str, told: str
) -> None:
    assert granted(with_grants, GRANTED) == ([], [])
    [text], _ = granted(with_grants, GRANTED.replace(old, new))
    assert text.startswith("demo/thing is granted more than at the revision: ") and told in text
    git(with_grants, "commit", "-qam", "c")
    assert granted(with_grants, GRANTED) == ([], [])  # back again is narrower


def test_a_function_that_was_not_there_is_told_by_its_grants(with_grants: Path) -> None:
    new = GRANTED.split("\n\n", 1)[1].replace("function.thing", "function.other")
    found, notes = granted(with_grants, GRANTED + "\n" + new.split("[bucket")[0])
    assert notes == []
    assert len(found) == 2
    assert all("demo/other is granted and was not there at the revision" in t for t in found)


def test_a_manifest_that_would_not_deploy_is_noted(with_grants: Path) -> None:
    found, notes = granted(with_grants, GRANTED.replace('"read"', '"fly"'))
    assert found == []
    assert any("grants are not compared with the revision" in note for note in notes)


def test_a_tree_with_names_that_lead_out_writes_nothing_there(with_grants: Path) -> None:
    from casemate.audit.rules.granted import _loaded

    texts = {"casemate.toml": GRANTED, "app.py": "def handler(e, c):\n    pass\n"}
    outside = Path("/tmp/casemate-led-out")
    hostile = {"../../../../../tmp/casemate-led-out": "x", str(outside): "x", "a/../../b": "x"}
    found = _loaded({**texts, **hostile, "app.py/x": "x", "n" * 300: "x"})
    assert found is not None and found.name == "demo"
    assert not outside.exists()
    assert _loaded({"app.py": ""}) is None
