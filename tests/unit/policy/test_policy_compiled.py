"""Custom files: what is refused, with file, line and a next step; what roles there are."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_samples import DEPLOYER, policy_file

from casemate.model.principal import BUILT_IN_ROLES
from casemate.policy import PolicyError, compile_policies
from casemate.policy.compiled import MAX_FILES, MAX_POLICIES

HEAD = (
    'permit (principal in Casemate::Role::"x", action == Casemate::Action::"bucket:read", resource)'
)
FORBID = (
    'forbid (principal in Casemate::Role::"x", action == Casemate::Action::"bucket:read", resource)'
)
INVOKE = 'action == Casemate::Action::"function:invoke", resource'


def refused(text: str, name: str = "custom") -> PolicyError:
    with pytest.raises(PolicyError) as caught:
        compile_policies([policy_file(text, name)])
    assert caught.value.next_step
    return caught.value


def test_a_valid_file_has_ids_places_and_roles() -> None:
    compiled = compile_policies([policy_file(DEPLOYER, "deployer")])
    found = [(p.id, p.file, p.line, p.effect) for p in compiled.summaries()]
    assert found == [
        ("deployer", "deployer.cedar", 2, "permit"),
        ("deployer.cedar#2", "deployer.cedar", 9, "forbid"),
    ]
    assert compiled.roles == {*BUILT_IN_ROLES, "deployer"}


def test_without_files_there_are_the_built_in_roles() -> None:
    assert compile_policies().roles == set(BUILT_IN_ROLES)


def test_a_role_in_a_condition_is_one_too() -> None:
    text = f'{FORBID} unless {{ principal in Casemate::Role::"y" }};'
    assert {"x", "y"} <= compile_policies([policy_file(text)]).roles


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        ("// empty\n", None, "no policy"),
        ("\npermit (princpal, action, resource);", 2, "princpal"),
        (f"\n\n{HEAD} when {{ ", 3, "no end"),
        (f"{HEAD} when {{ [1].isfoo() }};", 1, "isfoo"),
        (HEAD.replace("bucket:read", "bucket:reed") + ";", 1, "bucket:reed"),
        (HEAD.replace("bucket:read", "Bucket:Read") + ";", 1, "Bucket:Read"),
        (HEAD.replace("Role", "Rolle") + ";", 1, "Rolle"),
        (f"\n{HEAD}\nwhen {{\n  resource.nam == 1 }};", 4, "nam"),
        (f"{HEAD} when {{ context.time == 1 }};", 1, "time"),
        (f"{HEAD} when {{ resource.name == 1 }};", 1, "not"),
        (f"{HEAD} when {{ false }};", 1, "never apply"),
        (f"{HEAD} unless {{ true }};", 1, "never apply"),
        (f"{FORBID} when {{ resource is Casemate::Secret }};", 1, "never apply"),
        (f"{FORBID} when {{ principal is Casemate::Function }};", 1, ""),
        (HEAD.replace("resource)", "resource is Casemate::Secret)") + ";", 1, "applicable"),
        (HEAD.replace('== Casemate::Action::"bucket:read"', "in []") + ";", 1, "applicable"),
        (f"permit (principal is Casemate::Anonymous, {INVOKE})\nwhen {{ false }};", 1, "never"),
        (f"permit (principal, {INVOKE});", 1, "for everybody"),
        (f"permit (principal == ?principal, {INVOKE});", 1, "template"),
        (f'@id("casemate.owner") {HEAD};', 1, "built-in"),
        (f'@id("casemate.mine") {HEAD};', 1, "built-in"),
        (f'@id("Upper") {HEAD};', 1, "id"),
        (f'@id("") {HEAD};', 1, "id"),
        (f'@id("a#2") {HEAD};', 1, "id"),
        (f'@id("a") @id("b") {HEAD};', 1, "annotation"),
        (f'@note("\\u{{430}}") {HEAD};', 1, "ASCII"),
        (HEAD.replace('"x"', '"Owner"') + ";", 1, "cannot exist"),
        (HEAD.replace('"x"', '"\\u{43e}wner"') + ";", 1, "ASCII"),
        (HEAD.replace('"x"', '"own er"') + ";", 1, "cannot exist"),
        (HEAD.replace("resource)", 'resource == Casemate::Bucket::"up")') + ";", 1, "cannot"),
        (HEAD.replace("resource)", 'resource in Casemate::Project::"a/../b")') + ";", 1, "cannot"),
        (f"{HEAD} when {{ {'true && ' * 400} true }};", 1, "too deeply"),
        (f"{HEAD} when {{ {'1 + ' * 400} 1 == 1 }};", 1, "too deeply"),
        (f"{HEAD} when {{ {'(' * 5000}true{')' * 5000} }};", 1, "too large"),
    ],
)
def test_what_is_wrong_is_refused_with_its_place(text: str, line: int | None, part: str) -> None:
    error = refused(text)
    assert error.file == "custom.cedar"
    assert error.line == line
    assert part in error.problem


def test_a_role_in_the_wrong_case_says_what_is_meant() -> None:
    assert '"owner"' in str(refused(HEAD.replace('"x"', '"OWNER"') + ";").next_step)


@pytest.mark.parametrize("name", ["", "A", "a.cedar", "../a", "a\n", "a" * 64, "\u0430"])
def test_names_of_files(name: str) -> None:
    assert "name" in refused(f"{HEAD};", name).problem


def test_ids_and_names_are_taken_once() -> None:
    text = f'@id("same") {HEAD};'
    with pytest.raises(PolicyError, match=r"b.cedar:1: the id 'same' is taken .* a.cedar:1"):
        compile_policies([policy_file(text, "b"), policy_file(text, "a")])
    with pytest.raises(PolicyError, match="two policy files"):
        compile_policies([policy_file(f"{HEAD};", "a"), policy_file(f"{HEAD};", "a")])


def test_there_is_a_limit_to_files_and_policies() -> None:
    with pytest.raises(PolicyError, match="policy files"):
        compile_policies(policy_file(f"{HEAD};", f"a{n}") for n in range(MAX_FILES + 1))
    many = "@i() a;" * (MAX_POLICIES + 1)
    assert f"more than {MAX_POLICIES}" in refused(many).problem


@settings(deadline=None, max_examples=60)
@given(st.text(alphabet=st.sampled_from(list('permit ()"\\;=&|!in{}[]xé,.?@#0')), max_size=60))
def test_any_condition_is_compiled_or_refused(text: str) -> None:
    try:
        compiled = compile_policies([policy_file(f"{HEAD} when {{ {text} }};")])
    except PolicyError as error:
        assert error.next_step
    else:
        assert all(policy.effect in ("permit", "forbid") for policy in compiled.policies)
