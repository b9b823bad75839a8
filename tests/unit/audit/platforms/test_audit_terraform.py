"""Plans of Terraform, written with their answers before the importer could read them all."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.audit.platforms.terraform_plans import CASES

from casemate.audit import Workspace, applications_of, audit


@pytest.mark.parametrize("name", CASES)
def test_a_plan_is_read_as_what_it_will_make(name: str) -> None:
    case = CASES[name]
    [found] = applications_of(Workspace.of({"plan.json": case.plan}))
    named = {each.name: each for each in found.functions}
    assert len(named) == len(case.functions)
    for ending, answer in case.functions.items():
        [made] = [each for full, each in named.items() if full.endswith(ending)]
        assert (made.reach.value, {each.kind for each in made.triggers}) == (
            answer.reach,
            set(answer.triggers),
        )
        may = [
            (action, resource)
            for each in made.permissions
            if each.allows
            for action in each.actions
            for resource in each.resources
        ]
        for action, resource in answer.may:
            assert any(a == action and resource in r for a, r in may), (action, resource, may)
    notes = [each.what for each in found.unresolved]
    for word in case.noted:
        assert any(word in each for each in notes), notes
    assert len(notes) <= len(case.noted), notes


@pytest.mark.parametrize("name", CASES)
def test_what_a_plan_will_make_is_judged(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    (tmp_path / "plan.json").write_text(case.plan)
    found = audit(tmp_path)
    told = [(each.rule, f"{each.function} {each.subject} {each.text}") for each in found.findings]
    for rule, word in case.told:
        assert any(r == rule and word in text for r, text in told), (rule, word, told)
    assert not [each for each in told if each[0] in case.silent]
    assert not [each for each in told if "correct-horse" in each[1] or "hunter2" in each[1]]
