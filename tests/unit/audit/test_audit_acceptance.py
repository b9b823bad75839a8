"""Findings that may stay: by a comment with a reason and an end, by a baseline, by files."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from casemate.audit import (
    NothingToAuditError,
    Options,
    Workspace,
    audit,
    baseline_text,
    changed_since,
    changes,
    changes_for,
    duties_at,
    left_alone,
    read_baseline,
)
from casemate.audit.duties import DUTIES
from casemate.audit.rules.all import RULES
from casemate.audit.rules.examples import function, python, resource
from casemate.model.errors import CasemateError

CODE = "def handler(event, context):\n    {comment}\n    print(event)\n    return None\n"


def app(folder: Path, comment: str = "") -> Path:
    for name, text in function(code=CODE.replace("{comment}", comment or "pass")).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def rules(path: Path, **options: object) -> list[str]:
    report = audit(path, Options(only=("PY-003",), today="2026-11-27", **options))  # type: ignore[arg-type]
    return [each.rule for each in report.findings]


def test_without_a_comment_it_is_found(tmp_path: Path) -> None:
    assert rules(app(tmp_path)) == ["PY-003"]


def test_a_comment_with_reason_and_end_accepts_it(tmp_path: Path) -> None:
    app(tmp_path, "# casemate: allow PY-003 until=2027-01-01 reason=events hold nothing here")
    report = audit(tmp_path, Options(only=("PY-003",), today="2026-11-27"))
    assert report.findings == ()
    [accepted] = report.accepted
    assert (accepted.by, accepted.until, accepted.reason) == (
        "comment",
        "2027-01-01",
        "events hold nothing here",
    )


@pytest.mark.parametrize(
    ("comment", "told"),
    [
        ("# casemate: allow PY-003 reason=because", "needs until="),
        ("# casemate: allow PY-003 until=2027-01-01", "needs until="),
        ("# casemate: allow PY-003 until=2026-11-26 reason=because", "ended on 2026-11-26"),
        ("# casemate: allow PY-003 until=9999-12-31 reason=because", "731 days away"),
        ("# casemate: allow PY-003 until=2026-13-45 reason=because", "2026-13-45 is not a day"),
        ("# casemate: allow PY-001 until=2027-01-01 reason=because", ""),
        ("# casemate: allow * until=2027-01-01 reason=because", ""),
        ("# casemate: allow PY-00 until=2027-01-01 reason=because", ""),
    ],
)
def test_a_comment_that_does_not_fit_accepts_nothing(
    tmp_path: Path, comment: str, told: str
) -> None:
    app(tmp_path, comment)
    report = audit(tmp_path, Options(only=("PY-003",), today="2026-11-27"))
    assert [f.rule for f in report.findings] == ["PY-003"]
    if told:
        assert any(told in note.what for note in report.unresolved)


def test_a_comment_reaches_one_line(tmp_path: Path) -> None:
    app(tmp_path, "# casemate: allow PY-003 until=2027-01-01 reason=because\n    pass")
    assert rules(tmp_path) == ["PY-003"]


def test_a_baseline_accepts_what_was_there_and_nothing_else(tmp_path: Path) -> None:
    app(tmp_path)
    before = audit(tmp_path, Options(only=("PY-003",)))
    file = tmp_path / "baseline.json"
    file.write_text(baseline_text(before.findings))
    (tmp_path / "src/app.py").write_text("\n\n" + CODE.replace("{comment}", "pass"))
    assert rules(tmp_path, baseline=read_baseline(file)) == []
    (tmp_path / "src/app.py").write_text(CODE.replace("{comment}", "print('x', event)"))
    assert rules(tmp_path, baseline=read_baseline(file)) == ["PY-003"]


def test_a_baseline_that_is_not_there_is_said_not_to_be(tmp_path: Path) -> None:
    for path, why in ((tmp_path / "gone.json", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(CasemateError, match=f"The baseline .* cannot be read: {why}") as error:
            read_baseline(path)
        assert "--write-baseline FILE" in str(error.value.next_step)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"version": 1, "fingerprints": []}',
        '{"version": 3, "fingerprints": []}',
        '{"version": 2, "fingerprints": 3}',
        "[" * 100_000,
    ],
)
def test_what_is_no_baseline_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "b"
    file.write_text(text)
    with pytest.raises(CasemateError, match="not a baseline"):
        read_baseline(file)


_ALIKE = {
    "a/app.py": "import os\n\n\ndef handler(event, context):\n    os.system(event['name'])\n",
    "a/template.yaml": """\
Transform: AWS::Serverless-2016-10-31
Resources:
  One:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.8
      Handler: app.handler
      CodeUri: .
      Policies:
        - Statement: [{Effect: Allow, Action: 's3:*', Resource: '*'}]
      FunctionUrlConfig: {AuthType: NONE}
""",
    "a/.env": "AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI7KMDENGbPxRfiCYzzzzkkkkmmmm\n",
    "a/requirements.txt": "flask\n",
}


def _written(root: Path, folder: str, above: str = "") -> Path:
    for name, text in _ALIKE.items():
        path = root / name.replace("a/", f"{folder}/", 1)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(above + text)
    return root


def _prints(root: Path) -> list[str]:
    return sorted(each.fingerprint for each in audit(root).findings)


def test_fingerprints_stay_when_a_folder_is_renamed_or_moved_and_lines_move(tmp_path: Path) -> None:
    before = _prints(_written(tmp_path / "0", "a"))
    assert len(before) > 10
    assert len(set(before)) == len(before)
    assert _prints(_written(tmp_path / "1", "renamed")) == before
    assert (
        _prints(_written(tmp_path / "2", "moved/below/others", above="# one\n# more\n")) == before
    )


def test_a_baseline_accepts_what_was_there_and_no_twin_in_another_folder(tmp_path: Path) -> None:
    before = audit(_written(tmp_path / "0", "a"))
    file = tmp_path / "b.json"
    file.write_text(baseline_text(before.findings))
    accepted = Options(baseline=read_baseline(file))
    assert not audit(_written(tmp_path / "1", "renamed"), accepted).findings
    twins = audit(_written(_written(tmp_path / "2", "a"), "twin"), accepted)
    assert {each.rule for each in twins.findings} >= {"FN-001", "IAM-002"}


def git(folder: Path, *arguments: str) -> None:
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@example.com", *arguments]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


def test_only_what_changed_since_a_revision(tmp_path: Path) -> None:
    app(tmp_path)
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "a")
    assert changed_since(tmp_path, "HEAD") == frozenset()
    assert rules(tmp_path, files=changed_since(tmp_path, "HEAD")) == []
    (tmp_path / "src/app.py").write_text(CODE.replace("{comment}", "x = 1"))
    (tmp_path / "new\n.py").write_text("")
    assert changed_since(tmp_path, "HEAD") == {"src/app.py", "new\n.py"}
    assert rules(tmp_path, files=changed_since(tmp_path, "HEAD")) == ["PY-003"]


@pytest.mark.parametrize("revision", ["--output=/tmp/x", "-x", "", "a b", "$(x)", "nosuch"])
def test_what_is_no_revision_is_refused(tmp_path: Path, revision: str) -> None:
    git(tmp_path, "init", "-q")
    with pytest.raises(CasemateError):
        changed_since(tmp_path, revision)


def test_a_repository_cannot_have_its_programs_run(tmp_path: Path) -> None:
    app(tmp_path)
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "a")
    ran = tmp_path / "ran"
    program = tmp_path / ".git/evil"
    program.write_text(f"#!/bin/sh\ntouch {ran}\n")
    program.chmod(0o755)
    for key in ("core.fsmonitor", "diff.external", "diff.x.textconv"):
        git(tmp_path, "config", key, str(program))
    (tmp_path / ".gitattributes").write_text("*.py diff=x\n")
    (tmp_path / "src/app.py").write_text("x = 1\n")
    ran.unlink(missing_ok=True)
    changed_since(tmp_path, "HEAD")
    assert not ran.exists()


@pytest.mark.parametrize("name", ["x", "a.b", "a=b", "A"])
@pytest.mark.parametrize("part", ["clean", "process"])
def test_a_filter_of_a_repository_is_not_run(tmp_path: Path, name: str, part: str) -> None:
    app(tmp_path)
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "a")
    ran = tmp_path / "ran"
    git(tmp_path, "config", f"filter.{name}.{part}", f"touch {ran}; cat")
    git(tmp_path, "config", f"filter.{name}.required", "true")
    (tmp_path / ".git/info/attributes").write_text(f"* filter={name}\n")
    (tmp_path / "src/app.py").write_text("x = 1\n")
    assert "src/app.py" in changed_since(tmp_path, "HEAD")
    assert not ran.exists()


def test_a_repository_in_a_repository_has_no_program_run(tmp_path: Path) -> None:
    root, inner = tmp_path / "root", tmp_path / "root/inner"
    for folder in (root, inner):
        app(folder)
        git(folder, "init", "-q")
        git(folder, "add", "src", "template.yaml")
        git(folder, "commit", "-qm", "a")
    git(root, "add", "inner")
    git(root, "commit", "-qm", "b")
    ran = tmp_path / "ran"
    git(inner, "config", "filter.x.clean", f"touch {ran}; cat")
    (inner / ".git/info/attributes").write_text("* filter=x\n")
    (inner / "src/app.py").write_text("x = 1\n")
    assert changed_since(root, "HEAD") == frozenset()
    assert not ran.exists()


def test_what_the_environment_tells_git_still_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "-qm", "a", "--allow-empty")
    git(tmp_path, "config", "filter.x.clean", "cat")
    (tmp_path / "a.py").write_text("")
    (tmp_path / "passed-over").write_text("*.py\n")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.excludesFile")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", str(tmp_path / "passed-over"))
    assert changed_since(tmp_path, "HEAD") == {"passed-over"}


def test_more_changed_files_than_are_looked_at_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "-qm", "a", "--allow-empty")
    for name in "abc":
        (tmp_path / name).write_text("")
    monkeypatch.setattr(changes, "_MAX_FILES", 3)
    assert len(changed_since(tmp_path, "HEAD")) == 3
    (tmp_path / "d").write_text("")
    with pytest.raises(CasemateError, match="More than 3 files"):
        changed_since(tmp_path, "HEAD")


def test_what_is_safe_is_mended_and_shown(tmp_path: Path) -> None:
    files = resource(
        "AWS::KMS::Key",
        "Description: a",
        "Table:\n  Type: AWS::DynamoDB::Table\n  # kept\n  Properties:\n    BillingMode: PAY_PER_REQUEST  # kept too",
    )
    (tmp_path / "template.yaml").write_text(files["template.yaml"])
    report = audit(tmp_path, Options(only=("DATA-060", "DATA-020")))
    [change] = changes_for(report.findings, Workspace(tmp_path))
    assert change.findings == ("DATA-020", "DATA-060")
    assert "+      EnableKeyRotation: true" in change.diff
    assert "# kept\n" in change.after and "# kept too" in change.after
    (tmp_path / "template.yaml").write_text(change.after)
    assert audit(tmp_path, Options(only=("DATA-060", "DATA-020"))).findings == ()


@pytest.mark.parametrize(
    "text",
    [
        "Resources: {K: {Type: AWS::KMS::Key, Properties: {Description: a}}}\n",
        "Resources:\n  K:\n    Type: AWS::KMS::Key\n",
        "Resources:\n  K:\n    Type: AWS::KMS::Key\n    Properties:\n      EnableKeyRotation: false\n",
        "Resources:\n  K:\n    Type: AWS::KMS::Key\n    Properties: {Description: a}\n  L:\n    Type: AWS::SNS::Topic\n    Properties:\n      TopicName: a\n",
    ],
)
def test_what_is_written_in_another_way_is_left_alone(tmp_path: Path, text: str) -> None:
    (tmp_path / "template.yaml").write_text(text)
    report = audit(tmp_path, Options(only=("DATA-060",)))
    assert report.findings
    workspace = Workspace(tmp_path)
    assert changes_for(report.findings, workspace) == []


_FUNCTION = """\
Transform: AWS::Serverless-2016-10-31
Resources:
  F:
    Type: AWS::{kind}::Function
    Properties:
      Handler: a.b
      Runtime: python3.13
{more}"""


@pytest.mark.parametrize(
    ("kind", "more", "added"),
    [
        ("Lambda", "", ["TracingConfig:", "  Mode: Active"]),
        # The API that events make has no resource, whose place is that of the function.
        (
            "Serverless",
            "      Events: {A: {Type: Api, Properties: {Path: /, Method: get}}}\n",
            ["Tracing: Active"],
        ),
    ],
)
def test_what_is_added_is_a_property_that_the_type_has(
    kind: str, more: str, added: list[str], tmp_path: Path
) -> None:
    (tmp_path / "template.yaml").write_text(_FUNCTION.format(kind=kind, more=more))
    report = audit(tmp_path, Options(only=("FN-005", "API-014")))
    [change] = changes_for(report.findings, Workspace(tmp_path))
    lines = [line for line in change.diff.splitlines()[3:] if line.startswith("+")]
    assert lines == [f"+      {line}" for line in added]


def test_code_is_mended_where_its_meaning_stays(tmp_path: Path) -> None:
    for name, text in python(
        "import yaml\n\ndef handler(event, context):\n    return yaml.load(event)"
    ).items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    report = audit(tmp_path, Options(only=("PY-013",)))
    [change] = changes_for(report.findings, Workspace(tmp_path))
    assert "yaml.safe_load(event)" in change.after


def test_duties_have_carriers_and_evidence(tmp_path: Path) -> None:
    tables = duties_at(app(tmp_path), audit(tmp_path))
    assert set(tables) == {"casemate", "aws-lambda"}
    mine = {row.duty: row for row in tables["aws-lambda"]}
    assert {
        "runtimes",
        "configuration",
        "accounts",
        "data and network connectivity",
        "logic",
    } <= set(mine)
    assert "PY-003" in mine["logic"].evidence and mine["logic"].who == "you"
    there = {row.duty: row for row in tables["casemate"]}
    assert "PY-003" in there["logic"].evidence and "the same here" in there["logic"].evidence
    assert "nothing found in its code" in there["secrets"].evidence
    assert there["configuration"].evidence == "not known: it is set up for aws-lambda"
    assert all(row.who and row.how and row.evidence for rows in tables.values() for row in rows)


def test_no_finding_is_of_no_duty() -> None:
    known = tuple(start for duty in DUTIES for start in duty.rules)
    assert [rule.id for rule in RULES if not rule.id.startswith(known)] == []


def test_the_gravest_is_the_evidence(tmp_path: Path) -> None:
    for name, text in python(
        "import os\n\ndef handler(event, c):\n    os.system(event['body'])\n"
    ).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    for rows in duties_at(tmp_path, audit(tmp_path)).values():
        [logic] = [row for row in rows if row.duty == "logic"]
        assert "DF-002" in logic.evidence


def test_nothing_to_audit_is_an_error(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nosuch"):
        with pytest.raises(NothingToAuditError):
            audit(path)
    (tmp_path / "template.yaml").write_text("Resources: {A: {Type: AWS::X::Y}\n  - [")
    with pytest.raises(NothingToAuditError, match="not YAML"):
        audit(tmp_path)


def test_a_broken_file_does_not_hide_the_others(tmp_path: Path) -> None:
    app(tmp_path)
    (tmp_path / "src/old.py").write_text("print 'a'\n")
    (tmp_path / "src/deep.py").write_text("x = " + "(" * 5000 + ")" * 5000 + "\n")
    (tmp_path / "src/null.py").write_bytes(b"x = 1\x00\n")
    (tmp_path / "other.yaml").write_text("Resources: {A: {Type: AWS::X}} ]\n")
    report = audit(tmp_path, Options(only=("PY-003",)))
    assert [f.rule for f in report.findings] == ["PY-003"]
    told = {note.place.file: note.what for note in report.unresolved}
    assert "Python 2" in told["src/old.py"]
    assert told["src/deep.py"].startswith(("it cannot be parsed", "it is not Python 3"))
    assert "not YAML" in told["other.yaml"]


@pytest.mark.parametrize(
    "data",
    [
        b"Resources:\r\n  K:\r\n    Type: AWS::KMS::Key\r\n    Properties:\r\n      Description: a\r\n",
        "Resources:\n  K:\n    Type: AWS::KMS::Key\n    Properties:\n      Description: ü\n".encode(
            "latin-1"
        ),
        "Resources:\n  K:\n    Type: AWS::KMS::Key\n    Properties:\n      Description: a\n".encode(
            "utf-16"
        ),
        b"\xef\xbb\xbfResources:\n  K:\n    Type: AWS::KMS::Key\n    Properties:\n      Description: a\n",
    ],
    ids=["ends-of-windows", "latin-1", "utf-16", "mark"],
)
def test_a_file_of_which_more_would_change_than_is_shown_is_left_alone(
    tmp_path: Path, data: bytes
) -> None:
    (tmp_path / "template.yaml").write_bytes(data)
    report = audit(tmp_path, Options(only=("DATA-060",)))
    assert report.findings
    workspace = Workspace(tmp_path)
    assert changes_for(report.findings, workspace) == []
    assert left_alone(report.findings, workspace) == ["template.yaml"]


def test_a_comment_away_from_its_finding_is_noted(tmp_path: Path) -> None:
    app(tmp_path)
    code = tmp_path / "src" / "app.py"
    allow = "# casemate: allow PY-003 until=2027-01-01 reason=events hold nothing here\n"
    code.write_text(allow + "\n" + code.read_text())
    report = audit(tmp_path, Options(only=("PY-003",), today="2026-11-27"))
    assert [each.rule for each in report.findings] == ["PY-003"]
    [note] = [each for each in report.unresolved if "accepts nothing here" in each.what]
    assert (note.place.line, "line 5" in note.what) == (1, True)
    code.write_text(code.read_text().replace("    print", f"    {allow}    print"))
    again = audit(tmp_path, Options(only=("PY-003",), today="2026-11-27"))
    assert (again.findings, [e for e in again.unresolved if "accepts" in e.what]) == ((), [])


@pytest.mark.parametrize("name", ["serverless.yml", "template.json", "stack.yaml"])
@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a:\n  b: [unclosed", "not YAML"),
        ("[" * 20_000, "too deep"),
        ("a: " + "[" * 200, "100 deep"),
    ],
)
def test_why_a_manifest_cannot_be_read_is_said(
    tmp_path: Path, name: str, text: str, why: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(NothingToAuditError, match=f"{name}:[0-9]+:1: .*{why}"):
        audit(tmp_path)
