"""What the pages on policies show is valid, passes, and is complete."""

from __future__ import annotations

import re
from pathlib import Path

from policy_samples import policy_file

from casemate.model.principal import BUILT_IN_ROLES, Action
from casemate.policy import CedarPolicy, compile_policies
from casemate.policy.actions import GROUPS
from casemate.policy.cases import load_tests, run_tests
from casemate.policy.compiled import built_in_policies

DOCS = Path(__file__).parents[3] / "docs"
REFERENCE = (DOCS / "reference" / "policies.md").read_text()
HOW_TO = (DOCS / "howto" / "write-a-role.md").read_text()


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_the_how_to_works_as_it_is_written(tmp_path: Path) -> None:
    role, _, freeze = blocks(HOW_TO, "cedar")
    (tests,) = blocks(HOW_TO, "toml")
    (tmp_path / "deployer.cedar").write_text(role)
    (tmp_path / "policy-tests.toml").write_text(tests)
    loaded = load_tests(tmp_path / "policy-tests.toml")
    results = run_tests(loaded.tests, CedarPolicy().prepare(loaded.policies))
    assert [result.passed for result in results] == [True, True, True]
    CedarPolicy().prepare([policy_file(freeze)])


def test_the_role_that_sees_errors_sees_no_data(tmp_path: Path) -> None:
    (role,) = (block for block in blocks(HOW_TO, "cedar") if '@id("support")' in block)
    page = HOW_TO.split("## Let somebody see errors")[1].split("\n## ")[0]
    (told,) = re.findall(r"What is left out shows data:(.*?)\.\n", page, re.DOTALL)
    shows = set(re.findall(r"`([^`]+)`", told))
    assert shows <= {*Action, *GROUPS}
    hidden = {Action(name) for name in shows - {*GROUPS}} | {
        *(Action.BUCKET_READ, Action.BUCKET_LIST, Action.TABLE_GET, Action.TABLE_QUERY)
    }
    (tmp_path / "support.cedar").write_text(role)
    asked = {"function:read": "allow", "error:read": "allow"} | dict.fromkeys(hidden, "deny")
    (tmp_path / "t.toml").write_text(
        'policies = ["support.cedar"]\n'
        + "".join(
            f'[[test]]\nprincipal = "user:helga"\nroles = ["support@shop"]\naction = "{action}"\n'
            f'resource = "project:shop"\nexpect = "{expect}"\n'
            for action, expect in asked.items()
        )
    )
    loaded = load_tests(tmp_path / "t.toml")
    results = run_tests(loaded.tests, CedarPolicy().prepare(loaded.policies))
    assert [result.passed for result in results] == [True] * len(asked)


def test_the_tests_of_the_reference_pass(tmp_path: Path) -> None:
    (tests,) = blocks(REFERENCE, "toml")
    path = tmp_path / "t.toml"
    path.write_text(tests)
    results = run_tests(load_tests(path).tests, compile_policies())
    assert [result.passed for result in results] == [True, True]


def test_the_reference_names_everything() -> None:
    for name in (*Action, *GROUPS, *BUILT_IN_ROLES):
        assert f"`{name}`" in REFERENCE or f"| {name} |" in REFERENCE, name
    for name, policy in built_in_policies().items():
        assert policy["effect"] == "permit" or f"`{name}`" in REFERENCE, name


def test_the_table_of_roles_is_true() -> None:
    table = REFERENCE.split("## Built-in roles")[1].split("\n\n")[1]
    header, _, *rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()
    ]
    listed: dict[str, set[str]] = {role: set() for role in header[1:]}
    for first, *marks in rows:
        for role, mark in zip(header[1:], marks, strict=True):
            if mark:
                listed[role] |= set(re.findall(r"`([^`]+)`", first))
    for role in BUILT_IN_ROLES[1:]:
        named = built_in_policies()[f"casemate.{role}"]["action"]
        entities = named["entities"] if "entities" in named else [named["entity"]]
        assert listed[role] == {entity["id"] for entity in entities}, role
    everything = {entity for role in listed.values() for entity in role}
    assert listed["owner"] == everything
