"""`casemate import`: what it prints, what it ends with, what it writes; and what its page says."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from casemate.audit.importers.aws import data
from casemate.audit.model import Place
from casemate.importing import Imported, limits
from casemate.importing.outcome import Change, Left
from casemate.importing.page import CLIENTS, page_of
from casemate.manifest import load
from support.importing import template, written

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/howto/import-an-app.md").read_text()
HANDLER = "import os\nKEY = os.environ['DB_PASSWORD']\ndef handler(event, context):\n    return 1\n"
OPEN = "      Events: {Get: {Type: Api, Properties: {Path: /x, Method: get}}}"


@pytest.fixture
def app(home: Path) -> Path:
    return written(
        home / "app",
        template(HANDLER, more=OPEN, variables="{DB_PASSWORD: hunter2-and-more, MODE: fast}"),
    )


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def test_a_project_is_made_and_what_is_left_is_told(cli, app: Path, home: Path) -> None:
    result = cli("import", "sam", "app", "--output", "new", "--name", "shop")
    assert result.code == 0
    for part in ("GET /x", "casemate secrets set shop/db-password", "was public, and is closed"):
        assert part in result.out
    assert 'functions/src/app.py:2:7 the variable DB_PASSWORD -> context.secret("db-password")' in (
        result.out
    )
    assert "hunter2" not in result.out + result.err
    assert "Next: read new/IMPORT.md" in result.err
    assert "shop: 1 function in new." in result.out
    assert "\n1 function of sam, " in (home / "new/IMPORT.md").read_text()
    assert load(home / "new/casemate.toml").name == "shop"


def page(*calls: str, next: str = "") -> str:
    """Return `IMPORT.md` with these changes, and with one thing that is left."""
    place = Place("a.py")
    return page_of(
        Imported(
            project="shop",
            folder="shop",
            platform="sam",
            template="template.yaml",
            changes=tuple(Change(place, call, "context.x") for call in calls),
            left=(Left(place, "it is left", next),),
        )
    )


def test_the_page_tells_of_clients_where_there_are_calls_and_to_audit_after_them() -> None:
    assert CLIENTS in page("sqs: send_message")
    assert "Then: change the calls, then `casemate audit .`" in page("sqs: send_message")
    assert CLIENTS not in page("the variable KEY")
    assert "Then: `casemate audit .`" in page()


def test_commands_of_next_steps_are_code_and_nothing_else_is_markup() -> None:
    assert "Next: copy it with `casemate tables`\n" in page(next="copy it with `casemate tables`")
    assert "Next: \\*a\\* 'b\n" in page(next="*a* `b")
    assert "Next: `*a*` &lt;b&gt;\n" in page(next="`*a*` <b>")


def test_what_is_printed_for_programs(cli, app: Path, home: Path) -> None:
    result = cli("import", "sam", "app", "--accept-public", "one", "--json")
    found = json.loads(result.out)
    assert (found["project"], found["folder"], found["secrets"]) == (
        "app",
        "app-casemate",
        ["db-password"],
    )
    assert found["functions"][0]["routes"] == ["GET /x"]
    assert found["opened"][0]["accepted"] is True
    assert found["changes"][0]["place"]["file"] == "functions/src/app.py"
    assert load(home / "app-casemate/casemate.toml").functions[0].public


def test_what_cannot_be_is_wrong_usage(cli, app: Path, home: Path) -> None:
    for arguments in (
        ("sam", "nosuch"),
        ("openfaas", "app"),
        ("sam", "app", "--accept-public", "other"),
        ("sam", "app", "--name", "No Name"),
        ("knative", "app"),
    ):
        result = cli("import", *arguments)
        assert result.code == 2 and "Next:" in result.err, arguments
    assert [each.name for each in home.iterdir() if each.name != "app"] == []


def test_a_folder_that_is_not_empty_is_refused(cli, app: Path) -> None:
    result = cli("import", "sam", "app", "--output", "app")
    assert result.code == 1 and "nothing is overwritten" in result.err


def test_texts_of_the_application_do_nothing_to_a_terminal(cli, home: Path) -> None:
    evil = "\x1b]0;owned\x07\u202e"
    files = template(HANDLER)
    files["template.yaml"] += (
        "  ? " + json.dumps(f"N{evil}") + "\n  : {Type: " + json.dumps(f"AWS::X::{evil}") + "}\n"
    )
    files[f"src/{evil.strip()}.txt"] = "x"
    written(home / "app", files)
    for more in ((), ("--output", "b", "--json")):
        result = cli("import", "sam", "app", *more)
        assert result.code == 0
        assert not {"\x1b", "\x07", "\u202e"} & set(result.out + result.err)


def test_what_is_not_installed_is_named_with_its_command(
    cli, app: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kept in (data.policy_templates, data.managed_policy, data._managed_text):
        kept.cache_clear()
    monkeypatch.setattr(data, "find_spec", lambda name: None)
    result = cli("import", "sam", "app")
    assert result.code == 2
    assert ".whl[audit]" in result.err


# -- the page --------------------------------------------------------------------------------------


def test_the_page_shows_what_comes_of_its_example(cli, home: Path) -> None:
    [text], [code], [manifest] = blocks("yaml"), blocks("python"), blocks("toml")
    written(home / "orders", {"template.yaml": text, "src/app.py": code})
    commands = [
        shlex.split(line.removeprefix("$ casemate "), comments=True)
        for block in blocks("console")
        for line in block.splitlines()
        if line.startswith("$ casemate ")
    ]
    [importing] = [each for each in commands if each[0] == "import"]
    assert cli(*importing).code == 0
    made = (home / "orders-casemate/casemate.toml").read_text()
    assert made.endswith(manifest)
    page = (home / "orders-casemate/IMPORT.md").read_text()
    [secret] = [each for each in commands if each[0] == "secrets"]
    assert " ".join(["casemate", *secret]) in page
    assert (
        'context.table("orders").put(item)' in page and 'context.table("orders").put(item)' in PAGE
    )
    [audited] = [each for each in commands if each[0] == "audit"]
    assert cli(audited[0], str(home / "orders-casemate")).code in (0, 1)


def test_the_page_tells_the_bounds() -> None:
    assert f"is read for {limits.MAX_SECONDS:.0f} s of processor time" in PAGE
    assert (
        f"At most {limits.MAX_FUNCTIONS} functions, {limits.MAX_FILES:,} files of at most " in PAGE
    )
    assert (
        f"{limits.MAX_FILE_BYTES // limits.MIB} MiB and\n{limits.MAX_TOTAL_BYTES // limits.MIB} MiB"
        in PAGE
    )
