"""Rules about what functions are granted beside what their code needs.

What is needed is found by `casemate.audit.privileges`, once for all rules. A service of which the
code does not say all is not judged; why not is told with the notes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from casemate.audit.finding import Severity
from casemate.audit.importers.aws.data import level_of
from casemate.audit.model import Function, Place, Platform
from casemate.audit.privileges import Privileges, Surplus, privileges_of
from casemate.audit.rule import Check, Hit, Risk, Subject, entries
from casemate.audit.rules.common import on_aws
from casemate.audit.rules.escalation import RULES as ESCALATION
from casemate.audit.rules.examples import Files, function, project
from casemate.audit.rules.scripts import scripts_of

_SHOWN = 12
_CHANGING = ("Write", "Permissions management", "Tagging")


def found_by(subject: Subject) -> tuple[Privileges, ...]:
    """Return the privileges of an application's functions: made once, for the first that asks."""
    application, code = subject.application, subject.code

    def make() -> tuple[Privileges, ...]:
        found = tuple(privileges_of(application, subject.workspace, code, scripts_of(subject)))
        _tell(found, subject)
        return found

    name = f"{application.importer}#{application.name}#{application.place}"
    return code.once("privileges", name, make)


def _tell(found: Iterable[Privileges], subject: Subject) -> None:
    """Note what is not decided, and why."""
    for each in found:
        for open_ in each.undecided:
            if open_.place == each.place:
                continue  # there is no code that could be read: told with its privileges
            service = "any service" if open_.service == "*" else open_.service
            what = f"the rights of {each.function} for {service} are not decided: {open_.what}"
            subject.workspace.note(open_.place.file, what, open_.place.line, open_.place.column)


def _grouped(
    subject: Subject, wanted: Callable[[Privileges, Surplus], bool]
) -> Iterator[tuple[Function, Privileges, Place, list[Surplus]]]:
    """Yield what is needless by function and statement."""
    by_name = {each.name: each for each in reversed(subject.application.functions)}
    for each in found_by(subject):
        function_ = by_name.get(each.function)
        groups: dict[tuple[Place, str], list[Surplus]] = {}
        for surplus in each.surplus:
            if wanted(each, surplus):
                groups.setdefault((surplus.place, surplus.origin), []).append(surplus)
        for (place, _), found in groups.items():
            if function_ is not None:
                yield function_, each, place, found


def _services(each: Privileges) -> set[str]:
    """Return the services of which the code needs anything."""
    return {action.partition(":")[0].lower() for action, _ in each.needed}


def _service(surplus: Surplus) -> str:
    return surplus.pattern.partition(":")[0].lower()


def _unused(each: Privileges, surplus: Surplus) -> bool:
    if surplus.others or surplus.kept or surplus.pattern == "*":
        return False
    return _service(surplus) not in _services(each)


def _wild(each: Privileges, surplus: Surplus) -> bool:
    return not surplus.others and surplus.wild and not _unused(each, surplus)


def _single(each: Privileges, surplus: Surplus) -> bool:
    return not surplus.others and not surplus.wild and not _unused(each, surplus)


def _shared(each: Privileges, surplus: Surplus) -> bool:
    return bool(surplus.others)


def _some(names: Iterable[str], most: int = _SHOWN) -> str:
    listed = list(dict.fromkeys(names))
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more


def _severity(found: Iterable[Surplus], base: Severity) -> Severity:
    """Return it one graver if anything can be changed by it."""
    for each in found:
        if any(a == "*" or level_of(a) in _CHANGING for a in each.actions):
            return base.shifted(1)
    return base


def _of(
    wanted: Callable[[Privileges, Surplus], bool],
    say: Callable[[Privileges, list[Surplus]], str],
    base: Severity,
) -> Check:
    def check(subject: Subject) -> Iterator[Hit]:
        for function_, each, place, found in _grouped(subject, wanted):
            patterns = ",".join(sorted({surplus.pattern for surplus in found})[:8])
            yield Hit(
                place=place,
                text=f"{each.function} {say(each, found)}",
                subject=f"{found[0].origin} {patterns}",
                function=function_,
                severity=_severity(found, base),
                instead=each.minimal,
            )

    return on_aws(check)


def _say_wild(each: Privileges, found: list[Surplus]) -> str:
    sure = {action for action, _ in each.needed}
    needed = _some(a for s in found for a in s.kept if a in sure)
    count = len({a for s in found for a in s.actions})
    granted = _some(s.pattern for s in found)
    number = (
        "" if any(s.pattern == "*" for s in found) else f" ({count} actions that it never calls)"
    )
    return (
        f"may do {granted}{number}; its code needs {f'only {needed}' if needed else 'none of it'}"
    )


def _say_single(each: Privileges, found: list[Surplus]) -> str:
    on = _some((r for s in found for r in s.resources), 3)
    return f"never calls what it is granted on {on}: {_some(a for s in found for a in s.actions)}"


def _say_unused(each: Privileges, found: list[Surplus]) -> str:
    services = _some(sorted({_service(s) for s in found}))
    return f"never uses {services}, and is granted {_some(s.pattern for s in found)}"


def _say_shared(each: Privileges, found: list[Surplus]) -> str:
    others = _some((o for s in found for o in s.others), 4)
    return (
        f"has {_some((a for s in found for a in s.actions), 6)} by a shared role: "
        f"{others} needs it, its own code does not"
    )


def _wide(subject: Subject) -> Iterator[Hit]:
    for each in found_by(subject):
        for wide in each.wide:
            yield Hit(
                place=wide.place,
                text=f"{each.function} may do {_some(wide.actions, 6)} on {_some(wide.granted, 2)}; "
                f"its code names {_some(wide.named, 4)}",
                subject=f"{wide.origin} {','.join(wide.actions[:6])}",
                function=subject.application.function(each.function),
                instead=each.minimal,
            )


def _idle(subject: Subject) -> Iterator[Hit]:
    for each in found_by(subject):
        for idle in each.idle:
            yield Hit(
                place=idle.place,
                text=f"{each.function} is granted {idle.resource[:200]}, which its code never names",
                subject=f"{idle.origin} {idle.resource[:200]}",
                function=subject.application.function(each.function),
                instead=each.minimal,
            )


def _grants(whole: bool) -> Check:
    """Return a check of grants of this platform: those not used at all, or in part."""

    def check(subject: Subject) -> Iterator[Hit]:
        if subject.application.platform is not Platform.CASEMATE:
            return
        for each in found_by(subject):
            of = subject.application.function(each.function)
            for statement in of.permissions if of is not None else ():
                idle = [
                    a
                    for s in each.surplus
                    if s.place == statement.place and s.resources == statement.resources
                    for a in s.actions
                ]
                if not idle or (len(idle) == len(statement.actions)) is not whole:
                    continue
                name = statement.resources[0].replace("/", " ")
                told = "" if whole else f" to {_some(a.partition(':')[2] for a in idle)}"
                yield Hit(
                    place=statement.place,
                    text=f"{each.function}: its code never uses the grant of {name}{told}"
                    f"{_lacking(each, statement.resources[0])}",
                    subject=f"{each.function} {name}{told}",
                    function=of,
                    instead=each.minimal,
                )

    return check


def _lacking(each: Privileges, resource: str) -> str:
    """Return in words what the code does there that no grant allows: often what was meant."""
    kind, _, name = resource.partition("/")
    found = [
        action.partition(":")[2]
        for action, on in each.needed
        if action in each.missing and action.partition(":")[0] == kind and name in on
    ]
    return f"; what it does there is not granted: {_some(found, 6)}" if found else ""


_CODE = """\
import os

import boto3

table = boto3.resource("dynamodb").Table(os.environ["TABLE"])


def handler(event, context):
    return table.get_item(Key={"id": event["id"]})
"""
_TABLE = "Orders:\n  Type: AWS::DynamoDB::Table\n  Properties: {TableName: orders}"


_PEOPLE = "\nPeople:\n  Type: AWS::DynamoDB::Table\n  Properties: {TableName: people}"


def _granted(actions: str, resources: str = "!GetAtt Orders.Arn", more: str = "") -> Files:
    """Return a function that reads a table, with that statement."""
    return function(
        "Environment: {Variables: {TABLE: !Ref Orders}}\n"
        "Policies:\n  - Statement:\n    - Effect: Allow\n"
        f"      Action: {actions}\n      Resource: {resources}",
        _TABLE + more,
        code=_CODE,
    )


_GOOD = _granted("[dynamodb:GetItem]")
_SHARED = (
    "Role:\n  Type: AWS::IAM::Role\n  Properties:\n    AssumeRolePolicyDocument: {Statement: [{Effect:"
    " Allow, Principal: {Service: lambda.amazonaws.com}, Action: 'sts:AssumeRole'}]}\n    Policies:\n"
    "      - PolicyDocument:\n          Statement:\n            - Effect: Allow\n"
    "              Action: [dynamodb:GetItem, dynamodb:DeleteItem]\n"
    "              Resource: !GetAtt Orders.Arn\n"
    "Other:\n  Type: AWS::Serverless::Function\n  Properties:\n    Runtime: python3.13\n"
    "    Handler: other.handler\n    CodeUri: src/\n"
)
_OTHER = """\
import boto3


def handler(event, context):
    boto3.client("dynamodb").delete_item(TableName="orders", Key={"id": {"S": event["id"]}})
"""


def _sharing(*, shared: bool) -> Files:
    """Return two functions, one of which has what the other needs."""
    role = "Role: !GetAtt Role.Arn\n" if shared else ""
    own = (
        ""
        if shared
        else "Policies: [{Statement: [{Effect: Allow, Action: 'dynamodb:GetItem', "
        "Resource: !GetAtt Orders.Arn}]}]\n"
    )
    files = dict(
        function(
            f"{role}{own}Environment: {{Variables: {{TABLE: !Ref Orders}}}}",
            _SHARED + f"    Role: !GetAtt Role.Arn\n{_TABLE}",
            code=_CODE,
        )
    )
    files["src/other.py"] = _OTHER
    return files


def _project(grants: str) -> Files:
    """Return a project whose function reads a table."""
    files = dict(
        project(
            f"\n[function.thing.grants]\n{grants}",
            '\n[table.orders]\nkey = "id"\n\n[queue.later]\n',
        )
    )
    files["app.py"] = (
        "def handler(event, context):\n    return context.table('orders').get(event.body['id']).value\n"
    )
    return files


_rule = entries(Risk.PERMISSIONS, "SAS-05", cwe=272, attack="T1078.004")


_PASTE = "Grant what the code calls. --privileges prints the policy that is enough."

RULES = (
    _rule(
        "PRIV-001",
        "More actions by a wildcard than the code calls",
        Severity.LOW,
        "Whoever takes over the function can do what it was never written for: delete, "
        "reconfigure, share.",
        _PASTE,
        _of(_wild, _say_wild, Severity.LOW),
        _granted("['dynamodb:*']"),
        _GOOD,
    ),
    _rule(
        "PRIV-002",
        "Actions that the code never calls",
        Severity.INFO,
        "They are useful only to an attacker.",
        _PASTE,
        _of(_single, _say_single, Severity.INFO),
        _granted("[dynamodb:GetItem, dynamodb:DeleteItem]"),
        _GOOD,
    ),
    _rule(
        "PRIV-003",
        "Rights to a service that the code never uses",
        Severity.LOW,
        "A bug in the function exposes a service that the function has nothing to do with.",
        "Remove the statement. --privileges prints the policy that is enough.",
        _of(_unused, _say_unused, Severity.LOW),
        _granted("[dynamodb:GetItem, 'sqs:SendMessage']", "'*'"),
        _GOOD,
    ),
    _rule(
        "PRIV-004",
        "Granted on everything, used on named resources",
        Severity.MEDIUM,
        "It can use everybody's tables, buckets and functions as it uses its own.",
        "Name the resources that the code names. --privileges prints the policy that is enough.",
        on_aws(_wide),
        _granted("[dynamodb:GetItem]", "'*'"),
        _GOOD,
    ),
    _rule(
        "PRIV-005",
        "Resource that the code never uses",
        Severity.LOW,
        "A bug in this function exposes somebody else's data.",
        "Remove the resource from the statement. --privileges prints the policy that is enough.",
        on_aws(_idle),
        _granted("[dynamodb:GetItem]", "[!GetAtt Orders.Arn, !GetAtt People.Arn]", _PEOPLE),
        _GOOD,
    ),
    _rule(
        "PRIV-006",
        "Role that gives a function rights only another needs",
        Severity.LOW,
        "The weakest of the functions has the rights of all of them.",
        "Give each function a role of its own. --privileges prints what this one needs.",
        _of(_shared, _say_shared, Severity.INFO),
        _sharing(shared=True),
        _sharing(shared=False),
    ),
    *ESCALATION,
    _rule(
        "PRIV-030",
        "Grant that the code never uses",
        Severity.LOW,
        "A right that the function does not use helps only somebody who broke into it.",
        "Remove the grant, or grant what the code does; casemate audit --privileges prints "
        "the lines.",
        _grants(whole=True),
        _project('tables = [{ name = "orders", actions = ["get"] }]\nqueues = ["later"]'),
        _project('tables = [{ name = "orders", actions = ["get"] }]'),
    ),
    _rule(
        "PRIV-031",
        "Actions of a grant that the code never uses",
        Severity.LOW,
        "A function that only reads cannot be made to delete, unless it has that right.",
        "Grant the actions that the code uses; casemate audit --privileges prints the lines.",
        _grants(whole=False),
        _project('tables = [{ name = "orders", actions = ["get", "put", "delete"] }]'),
        _project('tables = [{ name = "orders", actions = ["get"] }]'),
    ),
)
