"""A set of policies that is ready to decide: the built-in ones and valid custom files."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from cedarpy import PolicySet, policies_to_json_str

from casemate.model.account import PolicyFile, PolicySummary
from casemate.model.principal import BUILT_IN_ROLES
from casemate.policy.errors import PolicyError
from casemate.policy.identifiers import NAME, ROLE
from casemate.policy.source import split
from casemate.policy.statements import CheckedPolicy, check_statement

MAX_FILES = 64
MAX_POLICIES = 500
"""Custom policies of all files together; each one costs every decision about a microsecond."""
SUFFIX = ".cedar"

BUILT_IN = Path(__file__).with_name("built_in.cedar").read_text(encoding="ascii")
"""The built-in policies as Cedar text."""


@dataclass(frozen=True)
class CompiledPolicies:
    """Everything that decisions are made from. Never changes; a change makes another one."""

    files: tuple[PolicyFile, ...]
    policies: tuple[CheckedPolicy, ...]
    roles: frozenset[str]
    policy_set: PolicySet

    def summaries(self) -> tuple[PolicySummary, ...]:
        """Return the custom policies in the order of files and lines."""
        return tuple(
            PolicySummary(id=p.id, file=p.file, line=p.line, effect=p.effect) for p in self.policies
        )


@cache
def built_in_policies() -> dict[str, Any]:
    """Return the built-in policies by id, in Cedar's JSON format."""
    parsed = json.loads(policies_to_json_str(BUILT_IN))["staticPolicies"]
    return {policy["annotations"]["id"]: policy for policy in parsed.values()}


def compile_policies(files: Iterable[PolicyFile] = ()) -> CompiledPolicies:
    """Check custom files one by one and against each other. Raises PolicyError; changes nothing."""
    ordered = tuple(sorted(files, key=lambda file: file.name))
    if len(ordered) > MAX_FILES:
        raise PolicyError(
            f"there are {len(ordered)} policy files, expected at most {MAX_FILES}.",
            next_step="Join some of them.",
        )
    policies: list[CheckedPolicy] = []
    names: set[str] = set()
    for file in ordered:
        _check_name(file.name, names)
        policies += _check_file(file, free=MAX_POLICIES - len(policies))
    _check_ids(policies)
    static = dict(built_in_policies())
    static |= {policy.id: policy.json for policy in policies}
    document = {"templates": {}, "templateLinks": [], "staticPolicies": static}
    named = {name for policy in policies for kind, name in policy.entities if kind == ROLE}
    return CompiledPolicies(
        files=ordered,
        policies=tuple(policies),
        roles=frozenset(BUILT_IN_ROLES) | named,
        policy_set=PolicySet.from_json_str(json.dumps(document)),
    )


def _check_name(name: str, names: set[str]) -> None:
    if NAME.fullmatch(name) is None:
        raise PolicyError(
            f"the policy file's name is {name[:80]!r}, expected lower-case letters, digits and "
            "`-`, at most 63, a letter first.",
            next_step="Choose another name, without `.cedar`.",
        )
    if name in names:
        raise PolicyError(
            f"there are two policy files called {name!r}.", next_step="Rename one of them."
        )
    names.add(name)


def _check_file(file: PolicyFile, *, free: int) -> list[CheckedPolicy]:
    label = file.name + SUFFIX
    statements = split(file.text, label)
    if not statements:
        raise PolicyError(
            "found no policy, expected at least one.",
            file=label,
            next_step="Write one, or remove the file with `casemate policy rm`.",
        )
    if len(statements) > free:
        raise PolicyError(
            f"there are more than {MAX_POLICIES} custom policies.",
            file=label,
            next_step="Join policies that differ in actions or resources only, by sets.",
        )
    return [check_statement(s, label, number) for number, s in enumerate(statements, 1)]


def _check_ids(policies: Iterable[CheckedPolicy]) -> None:
    seen: dict[str, CheckedPolicy] = {}
    for policy in policies:
        other = seen.setdefault(policy.id, policy)
        if other is not policy:
            raise PolicyError(
                f"the id {policy.id!r} is taken by the policy at {other.file}:{other.line}.",
                file=policy.file,
                line=policy.line,
                next_step="Choose another id, or leave @id out.",
            )
