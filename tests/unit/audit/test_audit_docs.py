"""The pages on the audit say what is in force; the files for pipelines call what there is."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from casemate.audit import limits, past
from casemate.audit.finding import Severity
from casemate.audit.reference import rules_page
from casemate.audit.rules.all import RULES
from casemate.audit.rules.examples import function

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
        f"all that is read | {limits.MAX_TOTAL_BYTES // limits.MIB} MiB",
        f"values of a template, aliases counted as often as they are used | {limits.MAX_VALUES:,}",
        f"nesting of a template | {limits.MAX_NESTING}",
        f"values that resolving a template makes | {limits.MAX_EXPANSION:,}",
        f"nested templates | {limits.MAX_NESTED_TEMPLATES}",
        f"findings | {limits.MAX_FINDINGS:,}",
        f"commits that are searched | {past.MAX_COMMITS:,}",
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


def test_the_gitlab_template_audits(tmp_path: Path) -> None:
    job = yaml.safe_load((ROOT / "integrations/gitlab/casemate-audit.yml").read_text())[
        "casemate-audit"
    ]
    script = "\n".join(line for line in job["script"] if not line.startswith("pip "))
    done = run(script, app(tmp_path, "AdministratorAccess"), **job["variables"])
    assert done.returncode == 1
    assert (tmp_path / job["artifacts"]["paths"][0]).exists()
    assert (tmp_path / job["artifacts"]["reports"]["junit"]).exists()


def test_the_hook_calls_a_command_that_there_is(tmp_path: Path) -> None:
    [hook] = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    command = f"{hook['entry']} {' '.join(hook['args'])}"
    assert run(command, app(tmp_path, "AWSLambdaBasicExecutionRole")).returncode == 0
    assert shutil.which("casemate", path=str(ROOT / ".venv/bin"))
