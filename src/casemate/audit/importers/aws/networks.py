"""Which security groups protect only what has no address of the internet."""

from __future__ import annotations

import json
from collections.abc import Iterable

from casemate.audit.importers.aws.resource import Resource, referred, text, truth

_GROUP = "AWS::EC2::SecurityGroup"
_RULES = frozenset((_GROUP, "AWS::EC2::SecurityGroupIngress", "AWS::EC2::SecurityGroupEgress"))
_NEVER_PUBLIC = (
    *("AWS::Lambda::", "AWS::Serverless::Function", "AWS::ElastiCache::", "AWS::EFS::"),
    *("AWS::DocDB::", "AWS::DAX::", "AWS::MemoryDB::", "AWS::EC2::VPCEndpoint"),
)
"""Types that only a network of the account leads to, whatever is set."""
_SAYS = ("AWS::RDS::", "AWS::Redshift::Cluster")
_KEYS = frozenset(
    (
        *("VpcSecurityGroupIds", "SecurityGroupIds", "VPCSecurityGroups", "SecurityGroups"),
        *("VpcConfig", "ClusterSecurityGroups"),
    )
)


def groups_inside(resources: Iterable[Resource]) -> frozenset[str]:
    """Return the groups that have members, none of which has an address for everybody."""
    every = list(resources)
    groups = {each.name for each in every if each.type == _GROUP}
    inside, outside = set[str](), set[str]()
    for each in every if groups else ():
        if each.type in _RULES:
            continue
        used = {name for name in _named(each) if name in groups}
        (inside if _is_inside(each) else outside).update(used)
    return frozenset(inside - outside)


def _is_inside(each: Resource) -> bool:
    if each.type.startswith(_SAYS):
        return truth(each.get("PubliclyAccessible"), None) is False
    return each.type.startswith(_NEVER_PUBLIC)


def _named(each: Resource) -> Iterable[str]:
    """Yield what the properties of a resource refer to."""
    known = {key: value for key, value in each.properties.items() if key in _KEYS}
    if not each.type.startswith((*_NEVER_PUBLIC, *_SAYS)):
        known = each.properties  # of what is not known any mention may be a membership
    for part in json.dumps(known, default=text).split("${")[1:]:
        yield referred("${" + part)
