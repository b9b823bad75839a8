"""`casemate advisories licences`, and what a deploy says of licences beforehand."""

from __future__ import annotations

import json

import pytest

from casemate.cli.commands.deps import _Looked
from casemate.cli.errors import CommandError
from casemate.cli.hole_check import JudgedBundle, LicencesRefusedError, require_none
from casemate.model.licence import LicenceRules, PackageLicence
from casemate.model.vulnerability import JudgedFunction, LicenceFinding, Verdict
from casemate.sbom.needs import Needs


def finding(package: str = "left", id: str = "licence:GPL-3.0-only AND MIT") -> LicenceFinding:
    return LicenceFinding(
        package=package,
        version="1.0",
        id=id,
        verdict=Verdict.REFUSED,
        why="GPL-3.0-only is not among those allowed: MIT",
    )


def test_the_rule_is_shown_set_widened_and_taken_back(cli, node) -> None:
    gate = node.parts.service.advisories.gate
    assert "no rule" in cli("advisories", "licences").out
    assert cli("advisories", "licences", "--add", "MIT").code == 2
    assert cli("advisories", "licences", "--unknown", "allowed").code == 2
    done = cli("advisories", "licences", "--allow", "mit", "--allow", "Apache-2.0")
    assert done.code == 0
    assert "licences allowed: Apache-2.0, MIT" in done.out
    assert "unknown licences: refused" in done.out
    widened = cli("advisories", "licences", "--add", "isc", "--unknown", "allowed", "--json")
    assert json.loads(widened.out) == {
        "allowed": ["Apache-2.0", "ISC", "MIT"],
        "unknown": "allowed",
    }
    assert "licences allowed" in cli("advisories", "status", "--node").out
    assert cli("advisories", "licences", "--any").code == 0
    assert gate.licences.rules == LicenceRules()


@pytest.mark.parametrize(
    "arguments",
    [
        ("--any", "--allow", "MIT"),
        ("--allow", "MIT", "--add", "ISC"),
        ("--allow", "MIT", "--unknown", "maybe"),
        ("--allow", "MIT OR ISC"),
        ("--allow", "x" * 300),
        ("--allow", ""),
    ],
)
def test_what_is_no_rule_changes_nothing(cli, node, arguments: tuple[str, ...]) -> None:
    assert cli("advisories", "licences", *arguments).code != 0
    assert node.parts.service.advisories.gate.licences.rules == LicenceRules()


def test_a_deploy_is_refused_before_anything_is_sent(capsys) -> None:
    many = tuple(finding(f"p{n}") for n in range(30))
    judged = JudgedBundle(function="t/f", judged=JudgedFunction(licences=many))
    with pytest.raises(LicencesRefusedError, match=r"p0 1\.0 .*and 20 more") as refused:
        require_none([judged], table=True)
    assert "--advisory 'licence:GPL-3.0-only AND MIT' --package p0" in refused.value.next_step
    assert "GPL-3.0-only AND MIT" in capsys.readouterr().out


def test_the_lack_of_advisories_is_told_once(capsys) -> None:
    lacking = JudgedBundle(function="t/f", judged=JudgedFunction(problems=("missing", "old")))
    with pytest.raises(CommandError, match=r"packages of t/f cannot be looked up\. missing"):
        require_none([lacking], table=True)
    told = capsys.readouterr()
    assert told.err.splitlines() == ["t/f: old"], "the refusal says the other"
    excepted = JudgedFunction(problems=("missing",), exception="exc_1")
    require_none([JudgedBundle(function="t/f", judged=excepted)], table=True)
    told = capsys.readouterr().err.splitlines()
    assert told == ["t/f: missing The exception exc_1 accepts it."]


def test_the_lack_of_advisories_is_told_first_and_an_exception_of_it_leaves_licences() -> None:
    one = JudgedFunction(licences=(finding(),), problems=("missing",))
    with pytest.raises(CommandError, match=r"cannot be looked up\. missing"):
        require_none([JudgedBundle(function="t/f", judged=one)], table=False)
    excepted = JudgedFunction(licences=(finding(),), problems=("missing",), exception="exc_1")
    with pytest.raises(LicencesRefusedError):
        require_none([JudgedBundle(function="t/f", judged=excepted)], table=False)
    require_none([JudgedBundle(function="t/f", judged=JudgedFunction())], table=False)


def test_deps_ls_says_what_packages_state() -> None:
    stated = [
        PackageLicence(package="left", version="1", expression="MIT"),
        PackageLicence(package="left", version="1", expression="", stated="BSD"),
    ]
    looked = _Looked(
        name=None,
        built=None,
        needs=Needs(packages=(), dynamic=(), unread=()),
        evidence=None,
        holes=None,
        reach={},
        licences=tuple(stated),
    )
    assert looked.licence("left") == "MIT and unknown (BSD)"
    assert looked.licence("right") == ""
