"""Policies of a plan of Terraform: texts, and documents that are read when it is applied."""

from __future__ import annotations

from typing import Any

from casemate.audit.importers.aws.resource import at, listed, text
from casemate.audit.importers.terraform_references import Configuration

_DOCUMENT = "data.aws_iam_policy_document."
_POLICIES = frozenset(("policy", "assume_role_policy", "key_policy"))
_OTHERS = ("source_policy_documents", "override_policy_documents")
_MAX_DEPTH = 10
_MAX_DOCUMENTS = 1_000


class Policies:
    """Puts the documents that policies are made of into their place."""

    def __init__(self, configuration: Configuration) -> None:
        """Know where to look."""
        self._configuration = configuration

    def fill(self, address: str, values: dict[str, Any]) -> list[str]:
        """Put what is known into values; return the attributes whose policy is not known."""
        expressions = self._configuration.expressions(address)
        unknown = []
        for key in _POLICIES & expressions.keys():
            if not self._filled(address, values, key, expressions[key]):
                unknown.append(key)
        blocks, inner = listed(values.get("inline_policy")), expressions.get("inline_policy")
        if isinstance(inner, list):
            for block, each in zip(blocks, inner, strict=False):
                expression = at(each, "policy")
                known = not isinstance(block, dict) or expression is None
                if not known and not self._filled(address, block, "policy", expression):
                    unknown.append("inline_policy")
        return sorted(unknown)

    def _filled(self, address: str, values: dict[str, Any], key: str, expression: Any) -> bool:
        if values.get(key) is not None or not at(expression, "references"):
            return True
        found = self._statements(address, expression, 0)
        if found is None:
            return False
        values[key] = {"Version": "2012-10-17", "Statement": found}
        return True

    def _statements(self, address: str, expression: Any, depth: int) -> list[Any] | None:
        """Return the statements of the documents that an expression names; None if of others."""
        made: list[Any] = []
        targets = self._configuration.targets(address, expression)
        for each in targets[:_MAX_DOCUMENTS]:
            if f".{_DOCUMENT}" not in f".{each.address}" or depth > _MAX_DEPTH:
                return None
            found = self._document(each.address, depth)
            if found is None:
                return None
            made += found
        return made if targets else None

    def _document(self, address: str, depth: int) -> list[Any] | None:
        known = dict(self._configuration.data.get(address, {}))
        expressions = self._configuration.expressions(address)
        if not known and not expressions:
            return None
        made = []
        for key in _OTHERS:
            inherited = expressions.get(key)
            if at(inherited, "references"):
                found = self._statements(address, inherited, depth + 1)
                if found is None:
                    return None
                made += found
        blocks = self._configuration.block(address, known.get("statement"), "statement")
        return [*made, *(_statement(each) for each in blocks if isinstance(each, dict))]


def _statement(block: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {"Effect": text(block.get("effect")) or "Allow"}
    for key, name in (("actions", "Action"), ("not_actions", "NotAction")):
        if block.get(key):
            made[name] = block[key]
    for key, name in (("resources", "Resource"), ("not_resources", "NotResource")):
        if block.get(key):
            made[name] = [each for one in listed(block[key]) for each in _with_below(one)]
    principals: dict[str, list[Any]] = {}
    for each in listed(block.get("principals")):
        kind = text(at(each, "type"))
        principals.setdefault("AWS" if kind == "*" else kind, []).extend(
            listed(at(each, "identifiers"))
        )
    if principals:
        made["Principal"] = principals
    elif block.get("not_principals"):
        made["NotPrincipal"] = {"AWS": ["*"]}
    conditions: dict[str, dict[str, Any]] = {}
    for each in listed(block.get("condition")):
        tested = conditions.setdefault(text(at(each, "test")), {})
        tested[text(at(each, "variable"))] = at(each, "values")
    if conditions:
        made["Condition"] = conditions
    return made


def _with_below(resource: Any) -> list[str]:
    """Return a resource that is referred to with what is below it.

    Of `"${bucket.arn}/*"` an expression tells the bucket alone.
    """
    found = text(resource)
    every = ["${" + each for each in found.split("${") if each] if found[:2] == "${" else [found]
    return [one for each in every for one in ([each, f"{each}/*"] if each[:2] == "${" else [each])]
