"""The pages on the audit say what is in force; the files for pipelines call what there is."""

from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from casemate.audit import limits, past
from casemate.audit.finding import Severity
from casemate.audit.reference import rules_page
from casemate.audit.rules.all import RULES
from casemate.audit.rules.examples import function
from casemate.cli.commands.audit import COMMITS

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/reference/audit.md").read_text()


def test_the_page_of_rules_is_made_of_the_table() -> None:
    assert (ROOT / "docs/reference/audit-rules.md").read_text() == rules_page()


def test_their_number_is_told_rightly() -> None:
    assert f"{len(RULES)} rules" in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize(
    "row",
    [
        f"files | {limits.MAX_FILES:,}",
        f"a template or manifest | {limits.MAX_TEMPLATE_BYTES // limits.MIB} MiB",
        f"a file of code | {limits.MAX_CODE_BYTES // limits.MIB} MiB",
        f"everything that is read | {limits.MAX_TOTAL_BYTES // limits.MIB} MiB",
        f"values of a template, aliases counted as often as they are used | {limits.MAX_VALUES:,}",
        f"nesting of a template | {limits.MAX_NESTING}",
        f"values that resolving a template makes | {limits.MAX_EXPANSION:,}",
        f"nested templates | {limits.MAX_NESTED_TEMPLATES}",
        f"findings | {limits.MAX_FINDINGS:,}",
        f"commits that are searched | {COMMITS:,}",
        f"versions of files in them | {past.MAX_HISTORY_FILES:,}",
        f"texts of these | {past.MAX_HISTORY_BYTES // limits.MIB} MiB, "
        f"{past.MAX_HISTORY_SECONDS:g} s",
        *(f"{severity.value}" for severity in Severity),
    ],
)
def test_bounds_and_severities(row: str) -> None:
    assert f"| {row} |" in PAGE


def app(folder: Path, policy: str) -> Path:
    files = function(
        f"Policies: [{policy}]", event="Type: Api\nProperties: {Path: /x, Method: get}"
    )
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def run(script: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    bin_folder = ROOT / ".venv/bin"
    path = f"{bin_folder}:/usr/bin:/bin"
    return subprocess.run(
        ["bash", "-e", "-c", script],
        cwd=folder,
        env={"PATH": path, "HOME": str(folder), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_github_action_audits_and_fails_where_it_should(tmp_path: Path) -> None:
    action = yaml.safe_load((ROOT / "integrations/github-action/action.yml").read_text())
    steps = action["runs"]["steps"]
    assert all("${{" not in step["run"] for step in steps)
    defaults = {"AUDITED": ".", "FAIL_ON": action["inputs"]["fail-on"]["default"], "BASELINE": ""}
    assert run(steps[1]["run"], app(tmp_path, "AdministratorAccess"), **defaults).returncode == 1
    assert (tmp_path / action["outputs"]["sarif"]["value"]).exists()
    assert (
        run(steps[1]["run"], app(tmp_path, "AWSLambdaBasicExecutionRole"), **defaults).returncode
        == 0
    )
    hostile = run(
        steps[1]["run"], tmp_path, **{**defaults, "AUDITED": "$(touch owned); touch owned"}
    )
    assert hostile.returncode == 2
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("path", ["--format", "--out=owned", "-h"])
def test_a_path_is_never_an_option(tmp_path: Path, path: str) -> None:
    action = yaml.safe_load((ROOT / "integrations/github-action/action.yml").read_text())
    given = {"AUDITED": path, "FAIL_ON": "high", "BASELINE": ""}
    assert run(action["runs"]["steps"][1]["run"], tmp_path, **given).returncode == 2
    variables = {"AUDIT_PATH": path, "AUDIT_FAIL_ON": "high"}
    assert run(gitlab_script(), tmp_path, **variables).returncode == 2
    assert not (tmp_path / "owned").exists()


def test_the_github_action_installs_its_own_checkout(tmp_path: Path) -> None:
    """By its name in a registry it would be whatever somebody has put there."""
    folder = ROOT / "integrations/github-action"
    action = yaml.safe_load((folder / "action.yml").read_text())
    shown = "python3() { printf '%s\\n' \"$@\"; }\n" + action["runs"]["steps"][0]["run"]
    done = run(shown, tmp_path, RUNNER_TEMP=str(tmp_path), GITHUB_ACTION_PATH=str(folder))
    constraint = ["--constraint", f"{ROOT}/constraints.txt"]
    asked = ["-m", "pip", "install", "--quiet", *constraint, f"{ROOT}[audit]"]
    assert done.stdout.splitlines() == asked
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert extras["name"] == "casemate" and extras["optional-dependencies"]["audit"]


def gitlab_script() -> str:
    """Return the commands of the template, without the one that installs."""
    text = (ROOT / "integrations/gitlab/casemate-audit.yml").read_text()
    lines = yaml.safe_load(text)["casemate-audit"]["script"]
    return "\n".join(line for line in lines if not line.startswith("pip "))


def test_the_gitlab_template_installs_what_it_is_told(tmp_path: Path) -> None:
    text = (ROOT / "integrations/gitlab/casemate-audit.yml").read_text()
    [install] = [each for each in yaml.safe_load(text)["casemate-audit"]["script"] if "pip" in each]
    shown = "pip() { printf '%s\\n' \"$@\"; }\n" + install
    wheel = "https://wheels.example/casemate-1.0-py3-none-any.whl#sha256=ab"
    done = run(shown, tmp_path, CASEMATE_WHEEL=wheel)
    assert done.stdout.splitlines() == ["install", "--quiet", f"casemate[audit] @ {wheel}"]
    unset = run(shown, tmp_path, CASEMATE_WHEEL="")
    assert unset.returncode and "the URL of a wheel of Casemate" in unset.stderr


def test_the_gitlab_template_audits(tmp_path: Path) -> None:
    job = yaml.safe_load((ROOT / "integrations/gitlab/casemate-audit.yml").read_text())[
        "casemate-audit"
    ]
    done = run(gitlab_script(), app(tmp_path, "AdministratorAccess"), **job["variables"])
    assert done.returncode == 1
    for each in (job["artifacts"]["paths"][0], job["artifacts"]["reports"]["junit"]):
        assert "FN-021" in (tmp_path / each).read_text()
    done = run(gitlab_script(), app(tmp_path, "AWSLambdaBasicExecutionRole"), **job["variables"])
    assert done.returncode == 0


def test_what_a_stranger_calls_a_report_is_none(tmp_path: Path) -> None:
    """It was uploaded and shown in the place of the one that could not be made."""
    action = yaml.safe_load((ROOT / "integrations/github-action/action.yml").read_text())
    for name in ("casemate-audit.sarif", "casemate-audit.html", "casemate-audit.xml"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "forged").touch()
    (tmp_path / "casemate-audit.html" / "forged").rename(tmp_path / "kept")
    (tmp_path / "casemate-audit.html").rmdir()
    (tmp_path / "casemate-audit.html").symlink_to("kept")
    given = {"AUDITED": ".", "FAIL_ON": "high", "BASELINE": ""}
    assert run(action["runs"]["steps"][1]["run"], tmp_path, **given).returncode == 2
    variables = {"AUDIT_PATH": ".", "AUDIT_FAIL_ON": "high"}
    assert run(gitlab_script(), tmp_path, **variables).returncode == 2
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_the_hook_keeps_a_commit_from_being_made(tmp_path: Path) -> None:
    """As pre-commit does, which has git call it: its tree of environments is not made here."""
    [hook] = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert hook["additional_dependencies"] == [".[audit]"] and not hook["pass_filenames"]
    commit = "git -c user.name=a -c user.email=a@b.c commit --quiet --message a"
    run("git init --quiet .", app(tmp_path, "AdministratorAccess"))
    script = tmp_path / ".git/hooks/pre-commit"
    script.parent.mkdir(exist_ok=True)
    script.write_text(f"#!/bin/sh\nexec {hook['entry']} {' '.join(hook['args'])}\n")
    script.chmod(0o755)
    refused = run(f"git add . && {commit}", tmp_path)
    assert refused.returncode == 1 and "FN-021" in refused.stdout + refused.stderr
    assert run("git rev-parse --quiet --verify HEAD", tmp_path).returncode != 0
    made = run(f"git add . && {commit}", app(tmp_path, "AWSLambdaBasicExecutionRole"))
    assert made.returncode == 0, made.stderr
