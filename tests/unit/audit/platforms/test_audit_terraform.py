"""Plans of Terraform, written with their answers before the importer could read them all."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from tests.unit.audit.platforms.terraform_plans import CASES

from casemate.audit import Application, Workspace, applications_of, audit


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


def read(plan: Any) -> list[Application]:
    return list(applications_of(Workspace.of({"plan.json": json.dumps(plan)})))


_ODD: list[Any] = [
    *(None, 7, "x", [], {}, [None], ["", "[", ".", "module", "module.a", "data.x", "var", 3]),
    *({"references": 5}, {"references": ["a[", "]a.b", "a.b[c", "x" * 5_000]}, [[[]]], True),
]


@pytest.mark.parametrize("odd", _ODD, ids=repr)
def test_a_plan_that_is_none_is_read_as_far_as_it_is_one(odd: Any) -> None:
    plan = json.loads(CASES["module"].plan)
    for path in (
        ("configuration", "root_module", "module_calls", "worker", "expressions"),
        ("configuration", "root_module", "module_calls", "worker", "module", "outputs", "arn"),
        ("configuration", "root_module", "module_calls", "worker", "module", "resources"),
        ("planned_values", "root_module", "child_modules"),
        ("prior_state", "values"),
        ("resource_changes",),
        ("variables",),
    ):
        broken = json.loads(json.dumps(plan))
        inner = broken
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = odd
        assert len(read(broken)) == 1
    worker = plan["configuration"]["root_module"]["module_calls"]["worker"]["module"]
    for resource in (*worker["resources"], *plan["configuration"]["root_module"]["resources"]):
        resource["expressions"] = dict.fromkeys(resource["expressions"], odd)
    [found] = read(plan)
    assert [each.name for each in found.functions] == ["module/worker/aws_lambda_function/work"]


def test_references_in_a_ring_end() -> None:
    plan = json.loads(CASES["module"].plan)
    calls = plan["configuration"]["root_module"]["module_calls"]
    every = [f"module.m{at}.{out}" for at in range(40) for out in ("a", "b")]
    for at in range(40):
        module = {
            "outputs": {
                out: {"expression": {"references": ["var.x", "var.y"]}} for out in ("a", "b")
            }
        }
        given = {"x": {"references": every}, "y": {"references": every}}
        calls[f"m{at}"] = {"expressions": given, "module": module}
    calls["worker"]["expressions"]["queue"] = {"references": every}
    began = time.process_time()
    [found] = read(plan)
    assert time.process_time() - began < 3
    assert len(found.functions) == 1
    resources = {r for s in found.functions[0].permissions for r in s.resources}
    assert "${var.queue}" in resources, "what is not known is no other queue, and not nothing"
