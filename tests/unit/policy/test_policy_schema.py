"""The schema: complete, published as it is, and what the built-in policies are valid by."""

from __future__ import annotations

import json
from pathlib import Path

import cedarpy

from casemate.model.principal import Action, PrincipalKind, ResourceKind
from casemate.policy import SCHEMA
from casemate.policy.actions import GROUPS, RULES
from casemate.policy.compiled import BUILT_IN, built_in_policies
from casemate.policy.identifiers import ENTITY_IDS, entity_type
from casemate.policy.schema import parsed_schema

PUBLISHED = Path(__file__).parents[3] / "docs" / "reference" / "casemate.cedarschema"


def test_the_published_schema_is_the_one_in_force() -> None:
    assert PUBLISHED.read_text() == SCHEMA


def test_every_action_has_a_rule_and_is_in_the_schema() -> None:
    assert set(RULES) == set(Action)
    for action in Action:
        assert f'action "{action.value}"' in SCHEMA


def test_every_kind_is_an_entity_with_a_pattern_for_its_ids() -> None:
    for kind in (*PrincipalKind, *ResourceKind):
        assert entity_type(kind) in ENTITY_IDS
        assert f"{kind.value.capitalize()}" in SCHEMA


def test_groups_are_used_and_declared() -> None:
    used = {group for rule in RULES.values() for group in rule.groups}
    assert used == set(GROUPS)


def test_only_functions_are_ever_asked_about_values_of_secrets() -> None:
    assert RULES[Action.SECRET_READ].principals == (PrincipalKind.FUNCTION,)
    assert RULES[Action.EGRESS_CONNECT].principals == (PrincipalKind.FUNCTION,)


def test_the_built_in_policies_are_valid_by_it() -> None:
    result = cedarpy.validate_policies(BUILT_IN, parsed_schema())
    assert result.validation_passed, [error.error for error in result.errors]


def test_every_built_in_policy_has_an_id_of_its_own() -> None:
    parsed = json.loads(cedarpy.policies_to_json_str(BUILT_IN))["staticPolicies"]
    assert len(built_in_policies()) == len(parsed)
    assert all(name.startswith("casemate.") for name in built_in_policies())
