"""The policy decision point: may this principal do this to that? In Cedar, deny by default.

Not authentication (`accounts` says who asks), not the knowledge of a function's grants
(the caller says so in `granted`), and not the storage of policy files (`store`). May import
`model` and Cedar (`cedarpy`), nothing else of ours.
"""

import casemate.policy.lean_cedarpy  # noqa: F401 - before anything takes cedarpy
from casemate.model.account import PolicySummary
from casemate.policy.cedar_policy import CedarPolicy
from casemate.policy.compiled import CompiledPolicies, compile_policies
from casemate.policy.errors import PolicyError
from casemate.policy.files import read_policy_file
from casemate.policy.interface import Policy
from casemate.policy.schema import SCHEMA
from casemate.policy.source import require_visible
from casemate.policy.text import parse_action, parse_binding, parse_principal, parse_resource

__all__ = [
    "SCHEMA",
    "CedarPolicy",
    "CompiledPolicies",
    "Policy",
    "PolicyError",
    "PolicySummary",
    "compile_policies",
    "parse_action",
    "parse_binding",
    "parse_principal",
    "parse_resource",
    "read_policy_file",
    "require_visible",
]
