"""`casemate audit`: what it prints, what it ends with, what it writes."""

from __future__ import annotations

import json
import subprocess
from functools import partial
from pathlib import Path

import pytest

from casemate.audit.importers.aws import data
from casemate.audit.rules.examples import function

OPEN = function(
    "Policies: [AdministratorAccess]", event="Type: Api\nProperties: {Path: /x, Method: get}"
)


@pytest.fixture
def app(home: Path) -> Path:
    for name, text in OPEN.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)
    return home


def test_findings_are_told_and_the_exit_code_follows(cli, app: Path) -> None:
    result = cli("audit", ".")
    assert result.code == 1
    assert "CRITICAL FN-021" in result.out and "template.yaml:4:3" in result.out
    assert cli("audit", ".", "--without", "FN-021", "--without", "IAM-001").code == 0
    assert cli("audit", ".", "--rule", "FN-016").code == 0
    assert cli("audit", ".", "--rule", "FN-016", "--fail-on", "low").code == 1
    assert cli("audit", ".", "--rule", "NO-999").code == 1


def test_nothing_to_audit_is_wrong_usage(cli, home: Path) -> None:
    for path in (".", "nosuch"):
        result = cli("audit", path)
        assert result.code == 2
        assert "Next:" in result.err


def test_what_is_not_installed_is_named_with_its_command(
    cli, app: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kept in (data.policy_templates, data.managed_policy, data._managed_text):
        kept.cache_clear()
    monkeypatch.setattr(data, "find_spec", lambda name: None)
    result = cli("audit", ".")
    assert result.code == 2
    assert ".whl[audit]" in result.err


@pytest.mark.parametrize("form", ["json", "sarif", "html", "junit", "terminal"])
def test_reports_go_to_files_and_to_standard_output(cli, app: Path, form: str) -> None:
    assert cli("audit", ".", "--format", form, "--out", "report").code == 1
    assert "FN-021" in (app / "report").read_text()
    assert "FN-021" in cli("audit", ".", "--format", form).out
    assert json.loads(cli("audit", ".", "--json").out)["counts"]["functions"] == 1


@pytest.mark.parametrize("form", ["json", "sarif", "html", "junit", "terminal"])
def test_half_a_surrogate_in_a_template_is_in_every_report(cli, home: Path, form: str) -> None:
    bucket = {"Type": "AWS::S3::Bucket", "Properties": {"AccessControl": "PublicRead"}}
    (home / "template.json").write_text(json.dumps({"Resources": {"A\ud800": bucket}}))
    assert "Wrote report" in cli("audit", ".", "--format", form, "--out", "report").err
    text = (home / "report").read_bytes().decode()
    assert "A" in text
    if form in ("json", "sarif"):
        assert json.loads(text)


def test_a_baseline_lets_what_was_there_pass(cli, app: Path) -> None:
    assert cli("audit", ".", "--write-baseline", "b.json").code == 0
    assert cli("audit", ".", "--baseline", "b.json").code == 0
    assert cli("audit", ".", "--baseline", "template.yaml").code == 1


def test_mending_shows_and_writes(cli, app: Path) -> None:
    (app / "template.yaml").write_text(
        "Resources:\n  K:\n    Type: AWS::KMS::Key\n    Properties:\n      Description: a\n"
    )
    shown = cli("audit", ".", "--fix", "--dry-run")
    assert "+      EnableKeyRotation: true" in shown.out and shown.code == 0
    assert "EnableKeyRotation" not in (app / "template.yaml").read_text()
    assert cli("audit", ".", "--fix").out == shown.out
    assert "EnableKeyRotation" in (app / "template.yaml").read_text()
    assert cli("audit", ".", "--dry-run").code == 2


def test_what_was_mended_is_the_diff_that_was_shown_and_git_undoes_it(cli, app: Path) -> None:
    key = "  K:\n    Type: AWS::KMS::Key\n    Properties:\n      Description: a\n"
    (app / "template.yaml").write_text((app / "template.yaml").read_text() + key)
    (app / "src/app.py").write_text("import yaml\n\ndef handler(e, c):\n    yaml.load(e['a'])\n")
    names = ("template.yaml", "src/app.py")
    before = {name: (app / name).read_bytes() for name in names}
    git = partial(subprocess.run, cwd=app, check=True, capture_output=True)
    git(["git", "init", "-q"])
    git(["git", "add", "."])
    git(["git", "-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-qm", "a"])
    shown = cli("audit", ".", "--fix").out
    after = {name: (app / name).read_bytes() for name in names}
    assert all(before[name] != after[name] for name in names)
    git(["git", "apply", "-R", "-"], input=shown.encode())
    assert {name: (app / name).read_bytes() for name in names} == before
    git(["git", "apply", "-"], input=shown.encode())
    assert {name: (app / name).read_bytes() for name in names} == after
    git(["git", "checkout", "--", "."])
    assert {name: (app / name).read_bytes() for name in names} == before


def test_mending_names_the_files_that_it_leaves_alone(cli, app: Path) -> None:
    data = (app / "template.yaml").read_bytes().replace(b"\n", b"\r\n")
    (app / "template.yaml").write_bytes(
        data + b"  K:\r\n    Type: AWS::KMS::Key\r\n    Properties:\r\n      Description: a\r\n"
    )
    result = cli("audit", ".", "--fix")
    assert "EnableKeyRotation" not in result.out
    assert "template.yaml is left alone: it is not UTF-8 with Unix line ends." in result.err


def test_duties_are_printed_for_both_platforms(cli, app: Path) -> None:
    result = cli("audit", ".", "--duties")
    assert "On casemate:" in result.out and "On aws-lambda:" in result.out
    rows = json.loads(cli("audit", ".", "--duties", "--json").out)
    assert {row["who"] for row in rows["aws-lambda"]} == {"you", "both", "AWS"}


def test_names_cannot_steer_a_terminal(cli, app: Path) -> None:
    text = (app / "template.yaml").read_text().replace("/x", '"/x\\e]0;owned\\a"')
    (app / "template.yaml").write_text(text)
    assert "\x1b" not in cli("audit", ".").out


def test_privileges_are_printed_function_by_function(cli, home: Path) -> None:
    files = function(
        "Policies: [{Statement: [{Effect: Allow, Action: ['sqs:*'], Resource: '*'}]}]",
        code="import boto3\ndef handler(event, context):\n"
        "    boto3.client('sqs').send_message(QueueUrl='q', MessageBody='m')\n",
    )
    for name, text in files.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)
    out = cli("audit", ".", "--privileges").out
    assert "needs      sqs:SendMessage q" in out
    assert "needless   sqs:PurgeQueue on *" in out
    assert '"Action": [' in out


@pytest.fixture
def victim(app: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file elsewhere, to which a link beside the application leads."""
    victim = tmp_path_factory.mktemp("elsewhere") / "victim"
    victim.write_text("mine")
    (app / "link").symlink_to(victim)
    return victim


@pytest.mark.parametrize("option", ["--out", "--write-baseline"])
@pytest.mark.parametrize("absolute", [False, True])
def test_no_link_is_written_through(
    cli, app: Path, victim: Path, option: str, absolute: bool
) -> None:
    result = cli("audit", ".", option, str(app / "link") if absolute else "link")
    assert result.code == 1
    assert "symbolic link" in result.err
    assert victim.read_text() == "mine"


def test_a_fix_writes_through_no_link_that_came_meanwhile(
    cli, app: Path, victim: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import casemate.audit

    (app / "src/app.py").write_text("import yaml\n\ndef handler(e, c):\n    yaml.load(e['a'])\n")
    found = casemate.audit.changes_for

    def meanwhile(*arguments: object) -> object:
        changes = found(*arguments)  # type: ignore[arg-type]
        for change in changes:
            (app / change.file).unlink()
            (app / change.file).symlink_to(victim)
        return changes

    monkeypatch.setattr(casemate.audit, "changes_for", meanwhile)
    result = cli("audit", ".", "--fix")
    assert (result.code, "symbolic link" in result.err) == (1, True)
    assert victim.read_text() == "mine"


def test_the_history_is_searched_unless_no_commits_are_asked_for(cli, app: Path) -> None:
    def git(*arguments: str) -> None:
        who = ("-c", "user.name=a", "-c", "user.email=a@example.com")
        subprocess.run(["git", *who, *arguments], cwd=app, check=True, capture_output=True)

    text = (app / "src/app.py").read_text()
    (app / "src/app.py").write_text(
        "T = 'xoxb-" + "263594206564-2343594206574-FGqddMF8t08v8N7Oq4i57vs1'\n" + text
    )
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "a")
    (app / "src/app.py").write_text(text)
    git("commit", "-qam", "b")
    assert "SEC-011" in cli("audit", ".").out
    assert "SEC-011" not in cli("audit", ".", "--commits", "0").out
    assert "SEC-011" not in cli("audit", ".", "--since", "HEAD").out
    assert cli("audit", ".", "--since", "nothere").code == 2  # 1 says that something was found
