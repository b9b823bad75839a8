"""Each change that permits more is found with a request, and none that permits less is told."""

from __future__ import annotations

import pytest
from tests.support.policies import compiled

from casemate.policy import parse_action, parse_principal, parse_resource
from casemate.policy.evaluation import evaluate
from casemate.policy.text import parse_binding
from casemate.policy.widening import Permitted, Widening, solving, widening

ROLE = 'principal in Casemate::Role::"deployer"'
BASE = f"""
permit ({ROLE}, action in [Casemate::Action::"function:deploy", Casemate::Action::"function:alias"],
  resource in Casemate::Project::"shop")
when {{ resource is Casemate::Function && resource.name like "tmp-*" && !resource.public }};
permit (principal == Casemate::Token::"ab12", action == Casemate::Action::"bucket:read",
  resource == Casemate::Bucket::"shop/reports") unless {{ {ROLE} }};
forbid (principal, action == Casemate::Action::"function:deploy", resource is Casemate::Function)
when {{ resource.project == "prod" }} unless {{ principal in Casemate::Role::"owner" }};
forbid (principal is Casemate::Function, action == Casemate::Action::"egress:connect", resource)
unless {{ resource.name like "*.example.com:443" }};
"""
READS_NODE = (
    'permit (principal is Casemate::User, action == Casemate::Action::"node:read", resource)'
)
WIDER = {
    "a condition is dropped": (' && resource.name like "tmp-*"', ""),
    "a condition is the contrary": ("!resource.public", "resource.public"),
    "an action is added": ('[Casemate::Action::"function:deploy",',
                           '[Casemate::Action::"function:deploy", Casemate::Action::"log:read",'),
    "an action is a group": ('action == Casemate::Action::"bucket:read"',
                             'action in Casemate::Action::"read-data"'),
    "the resource is any": ('resource in Casemate::Project::"shop"', "resource"),
    "the resource is another": ("shop/reports", "shop/invoices"),
    "the form is shorter": ('like "tmp-*"', 'like "tmp*"'),
    "the role is another": ('principal in Casemate::Role::"deployer", action',
                            'principal in Casemate::Role::"ops", action'),
    "the principal is every token": ('principal == Casemate::Token::"ab12"',
                                     "principal is Casemate::Token"),
    "an exception is gone": (f"unless {{ {ROLE} }}", ""),
    "a forbid has another exception": ('Role::"owner" }', 'Role::"lead" }'),
    "a forbid is for one name": ('resource.project == "prod"',
                                 'resource.project == "prod" && resource.name == "pay"'),
    "a forbid leaves out a host": ('like "*.example.com:443"', 'like "*example.com:443"'),
    "a forbid is for users": ("forbid (principal, action",
                              "forbid (principal is Casemate::User, action"),
}  # fmt: skip


def changed(name: str) -> str:
    old, new = WIDER[name]
    assert BASE.count(old) == 1
    return BASE.replace(old, new)


def is_so(shown: Permitted, before: str, after: str) -> bool:
    """Whether Cedar says of the request that is shown what is said of it."""
    principal = parse_principal(shown.principal, tuple(map(parse_binding, shown.roles)))
    resource = parse_resource(shown.resource)
    if shown.internal or shown.public:
        resource = type(resource)(
            kind=resource.kind, project=resource.project, name=resource.name,
            internal=shown.internal, public=shown.public,
        )  # fmt: skip
    was, now = (
        evaluate(compiled([text]).policy_set, principal, parse_action(shown.action), resource,
                 shown.granted)
        for text in (before, after)
    )  # fmt: skip
    return now.allowed and not was.allowed


@pytest.mark.parametrize("name", WIDER)
def test_a_change_that_permits_more_is_shown_by_a_request(name: str) -> None:
    found = widening(compiled([BASE]), compiled([changed(name)]))
    assert found.permitted and not found.undecided
    assert is_so(found.permitted[0], BASE, changed(name))


NARROWER = [
    name for name in WIDER if not name.endswith(("contrary", "another", "another exception"))
]


@pytest.mark.parametrize("name", NARROWER)
def test_one_that_permits_less_is_not_told(name: str) -> None:
    assert not widening(compiled([changed(name)]), compiled([BASE])).widens


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (BASE, BASE),
        (BASE, '@id("other") ' + BASE.strip()),
        ("", 'forbid (principal in Casemate::Role::"x", action, resource)'
             ' unless { principal in Casemate::Role::"owner" };'),
        ("", f'permit ({ROLE}, action == Casemate::Action::"function:invoke",'
             ' resource is Casemate::Function) when { resource.internal };'),
        ("", 'permit (principal in Casemate::Role::"auditor",'
             ' action == Casemate::Action::"log:read", resource);'),
        ("", 'permit (principal is Casemate::Function, action, resource)'
             ' when { context.granted };'),
        ("", 'permit (principal is Casemate::User, action, resource is Casemate::Bucket)'
             ' when { resource.name == "Upper" };'),
        ("", 'forbid (principal is Casemate::Function, action, resource is Casemate::Host);'
             'permit (principal is Casemate::Function, action, resource is Casemate::Host);'),
        (f'permit ({ROLE}, action, resource is Casemate::Bucket)'
         ' when { resource.name like "*" };',
         f'permit ({ROLE}, action, resource is Casemate::Bucket);'),
        ('permit (principal is Casemate::User, action, resource is Casemate::Bucket)'
         ' when { resource.name like "a*" };',
         'permit (principal is Casemate::User, action, resource is Casemate::Bucket)'
         ' when { resource.name like "a*b" || resource.name like "ab*" };'),
    ],
)  # fmt: skip
def test_what_comes_to_the_same_is_proved(before: str, after: str) -> None:
    found = widening(compiled([before] if before else []), compiled([after] if after else []))
    assert found == Widening(permitted=(), undecided=(), shapes=found.shapes)
    assert found.shapes > 900


def test_the_request_is_told_in_words() -> None:
    text = (
        f'@id("x") permit ({ROLE}, action == Casemate::Action::"function:invoke", resource)'
        ' when { resource.public && resource.internal == false && resource.name == "cart" };'
    )
    before = 'forbid (principal, action == Casemate::Action::"function:invoke", resource);'
    found = widening(compiled([before]), compiled([text]))
    lines = list(found.lines())
    assert "+ user:any0 with owner may function:invoke on function:any0/any0 by" in lines[0]
    assert next(iter(found.lines(most=0))) == f"+ and {len(found.permitted)} more"


def test_what_is_not_read_counts_as_widened_and_is_named() -> None:
    head = READS_NODE
    text = head + " when { 1 + 1 == 3 };"
    found = widening(compiled([]), compiled([text]))
    assert found.widens and not found.permitted
    assert "node:read of a user: the condition" in found.undecided[0]
    # The same words come out alike on both sides, so what stands beside them is decided.
    narrower = head + ' when { 1 + 1 == 3 && principal in Casemate::Role::"a" };'
    assert not widening(compiled([text]), compiled([narrower])).widens
    # And one that does come out true is shown.
    assert widening(compiled([]), compiled([text.replace("3", "2")])).permitted


def test_what_is_not_decided_in_time_counts_as_widened() -> None:
    found = widening(compiled([BASE]), compiled([changed("the resource is any")]), seconds=0)
    assert found.widens and "were not decided within 0 s" in found.undecided[0]


def test_steps_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(solving, "MAX_STEPS", 3)
    roles = " && ".join(
        f'(principal in Casemate::Role::"a{i}" || principal in Casemate::Role::"b{i}")'
        for i in range(9)
    )
    text = f"{READS_NODE} when {{ {roles} }};"
    found = widening(compiled([]), compiled([text]))
    assert found.widens and "too many to be decided" in found.undecided[0]


def test_more_roles_than_count_are_not_told_as_a_request() -> None:
    roles = [f'principal in Casemate::Role::"r{i}"' for i in range(65)]
    whens = " ".join(f"when {{ {' && '.join(roles[at : at + 13])} }}" for at in range(0, 65, 13))
    text = f"{READS_NODE} {whens};"
    found = widening(compiled([]), compiled([text]))
    assert found.permitted == () and "Cedar decides otherwise" in found.undecided[0]
