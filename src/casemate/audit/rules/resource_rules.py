"""How rules about a kind of resource, and about who its policy lets in, are made."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from casemate.audit.finding import Severity
from casemate.audit.model import Asset
from casemate.audit.rule import Check, Hit, Risk, Rule, Subject
from casemate.audit.rules.common import Wrong, everybody, of_assets, on_aws
from casemate.audit.rules.examples import resource

_READS = re.compile(
    r"^\w+:(?:(?:Get|List|Read|Receive|Select|Describe|Query|Scan|ESHttpGet|BatchGet)\w*\*?)$", re.I
)


def unless_open(asset: Asset) -> Severity | None:
    """Return how grave it is that a bucket is made public, where that takes one more step.

    Since April 2023 a new bucket refuses public ACLs and policies until its block is taken off.
    """
    if asset.kind == "search" and asset.settings.get("signed in"):
        return Severity.MEDIUM  # it asks for a user and a password of its own
    if asset.kind != "bucket":
        return None
    is_off = asset.settings.get("block_declared") and asset.settings.get("blocked") is not True
    return None if is_off else Severity.MEDIUM


def _public(kinds: tuple[str, ...], writes: bool) -> Check:
    """Return a check of policies that let everybody read, or change, what they are about."""

    def check(subject: Subject) -> Iterator[Hit]:
        for asset in subject.application.of_kind(*kinds):
            for statement in asset.policy:
                changing = not all(map(_READS.match, statement.actions))
                if everybody(statement) and changing is writes and statement.actions:
                    yield Hit(
                        place=statement.place,
                        text=f"{asset.name}: everybody may {', '.join(statement.actions[:4])}",
                        subject=asset.name,
                        severity=unless_open(asset) if writes else None,
                    )

    return check


def is_set(name: str, bad: object, text: str) -> Wrong:
    """Return a check of a setting that has a bad value."""
    return lambda a: text if a.settings.get(name) == bad else None


def is_off(name: str, text: str) -> Wrong:
    """Return a check of a flag that is off, or not said; what is not known passes."""
    return lambda a: text if a.settings.get(name) is False else None


def data_rule(
    id: str,
    title: str,
    why: str,
    fix: str,
    wrong: Wrong,
    kind: str | tuple[str, ...],
    type: str,
    bad: str,
    good: str,
    severity: Severity = Severity.LOW,
    *,
    owasp: str = "SAS-03",
    cwe: int = 311,
    attack: str = "",
    risk: Risk = Risk.RESPONSIBILITY,
    more: str = "",
    more_fixed: str | None = None,
    by: Callable[[Asset], Severity | None] | None = None,
) -> Rule:
    """Return a rule about a kind of resource."""
    return Rule(
        id=id,
        title=title,
        risk=risk,
        owasp=owasp,
        cwe=cwe,
        attack=attack,
        severity=severity,
        why=why,
        fix=fix,
        check=of_assets(kind, wrong, by),
        vulnerable=resource(type, bad, more),
        fixed=resource(type, good, more if more_fixed is None else more_fixed),
    )


def policy_rule(
    id: str,
    title: str,
    why: str,
    fix: str,
    kinds: tuple[str, ...],
    writes: bool,
    type: str,
    policy: str,
    good: str,
    severity: Severity,
) -> Rule:
    """Return a rule about policies that let everybody in."""
    return Rule(
        id=id,
        title=title,
        risk=Risk.PERMISSIONS,
        owasp="SAS-05",
        cwe=732,
        attack="T1530",
        severity=severity,
        why=why,
        fix=fix,
        check=on_aws(_public(kinds, writes)),
        vulnerable=resource(type, "", policy),
        fixed=resource(type, "", good),
    )


def attached(type: str, key: str, action: str, principal: str, condition: str = "") -> str:
    """Return a policy as it is written."""
    return (
        f"Policy:\n  Type: {type}\n  Properties:\n    {key}\n    PolicyDocument:\n      Statement:\n"
        f"        - Effect: Allow\n          Principal: {principal}\n          Action: '{action}'\n          Resource: '*'\n"
        + (f"          Condition: {condition}\n" if condition else "")
    )
