"""Rules about rights that lead to more rights, and services that act for strangers."""

from __future__ import annotations

import re
from collections.abc import Iterator

from casemate.audit.finding import Severity
from casemate.audit.importers.aws.data import expanded
from casemate.audit.model import Function, Platform, Statement
from casemate.audit.rule import Hit, Risk, Subject, entries
from casemate.audit.rules.common import cause_of, on_aws
from casemate.audit.rules.examples import Files, function, resource, statement

_RUNNERS = {
    "lambda:createfunction": "a function",
    "ecs:runtask": "a task",
    "ecs:registertaskdefinition": "a task",
    "cloudformation:createstack": "a stack",
    "cloudformation:updatestack": "a stack",
    "ec2:runinstances": "a machine",
    "states:createstatemachine": "a workflow",
    "states:updatestatemachine": "a workflow",
    "glue:createjob": "a job of Glue",
    "glue:createdevendpoint": "an endpoint of Glue",
    "sagemaker:createnotebookinstance": "a notebook",
    "codebuild:createproject": "a build",
    "datapipeline:createpipeline": "a pipeline",
    "scheduler:createschedule": "a schedule",
    "batch:registerjobdefinition": "a job",
    "bedrock:createagent": "an agent",
}
"""What can be made that runs, or acts, with a role that is handed to it."""
_OWN_ROLE = frozenset(
    f"iam:{each}"
    for each in ("putrolepolicy", "attachrolepolicy", "updateassumerolepolicy", "deleterolepolicy")
)
_OWN_CODE = frozenset(("lambda:updatefunctioncode", "lambda:updatefunctionconfiguration"))
_MAX_ACTIONS = 5_000


def _allowed(f: Function) -> Iterator[tuple[Statement, str]]:
    """Yield each action that a function is allowed, in lower case, without those of administrators.

    Who may do everything is told so by other rules.
    """
    count = 0
    for s in f.permissions:
        if not s.allows or s.excepted_actions or s.excepted_resources or "*" in s.actions:
            continue
        for pattern in s.actions:
            for action in expanded(pattern):
                count += 1
                if count > _MAX_ACTIONS:
                    return
                yield s, action.lower()


def _passing(subject: Subject) -> Iterator[Hit]:
    """Yield functions that may hand a role to something that they make."""
    for f in subject.application.functions:
        if f.platform is not Platform.AWS:
            continue
        passing: dict[int, Statement] = {}
        makes: dict[str, None] = {}
        for s, action in _allowed(f):
            if action == "iam:passrole" and _any_role(s):
                passing[id(s)] = s
            elif action in _RUNNERS:
                makes[action] = None
        for passes in passing.values():
            made = dict.fromkeys(_RUNNERS[each] for each in makes if _passed_to(passes, each))
            if not made:
                continue
            yield Hit(
                place=passes.place,
                text=f"{f.name} may make {', '.join(list(made)[:4])} that runs with any role it may "
                f"pass ({passes.resources[0][:120] if passes.resources else '*'})",
                subject=f"{f.name} {passes.origin}",
                function=f,
                cause=cause_of(subject, passes, ", ".join(made)),
            )
            break


_PRINCIPALS = {"ecs": "ecs-tasks", "batch": "ecs-tasks"}


def _passed_to(s: Statement, action: str) -> bool:
    """Tell whether a role may be passed to the service that an action makes something of."""
    wanted = [
        str(value)
        for tests in s.conditions.values()
        for key, values in (tests.items() if isinstance(tests, dict) else ())
        if str(key).lower() == "iam:passedtoservice"
        for value in (values if isinstance(values, list) else [values])
    ]
    service = action.partition(":")[0]
    name = _PRINCIPALS.get(service, service)
    return not wanted or any(each in ("*", name) or each.startswith(f"{name}.") for each in wanted)


def _any_role(s: Statement) -> bool:
    """Tell whether roles that can be passed are more than ones with names."""
    return any(r == "*" or re.search(r":role/\*$", r) for r in s.resources)


def _self(subject: Subject) -> Iterator[Hit]:
    """Yield functions that may change their own role, code or policy."""
    for f in subject.application.functions:
        if f.platform is not Platform.AWS:
            continue
        for s, action in _allowed(f):
            if action in _OWN_ROLE and _names(s, f.role):
                yield _own(f, s, action, "its own role")
            elif action in _OWN_CODE and _names(s, f.name):
                yield _own(f, s, action, "its own code or settings")
            elif action == "lambda:addpermission" and _names(s, f.name):
                yield _own(f, s, action, "who may call it", Severity.MEDIUM)


def _names(s: Statement, name: str) -> bool:
    """Tell whether a statement is about a resource of that name, without a wildcard for all."""
    wanted = ("${" + name + "}", "${" + name + ".Arn}")
    return bool(name) and any(each in resource for resource in s.resources for each in wanted)


def _own(
    f: Function, s: Statement, action: str, what: str, severity: Severity | None = None
) -> Hit:
    return Hit(
        severity=severity,
        place=s.place,
        text=f"{f.name} may change {what}: {action}",
        subject=f"{f.name} {action}",
        function=f,
    )


def _anyones(subject: Subject) -> Iterator[Hit]:
    """Yield permissions by which a service calls a function for whoever tells it to."""
    for asset in subject.application.of_kind("permission"):
        principal = str(asset.settings.get("principal") or "")
        service = principal.partition(".")[0]
        if asset.settings.get("narrowed") or not principal.endswith(".amazonaws.com"):
            continue
        if service in _CONFUSED:
            yield Hit(
                place=asset.place,
                text=f"{asset.name}: {principal} may call the function on behalf of every account",
                subject=asset.name,
            )


_CONFUSED = frozenset(
    ("s3", "sns", "events", "ses", "logs", "config", "iot", "cognito-idp", "codecommit", "lex")
)


_rule = entries(Risk.PERMISSIONS, "SAS-05", cwe=269, attack="T1098.003", over=on_aws)


def _two(pass_on: str) -> Files:
    return function(
        "Policies:\n  - Statement:\n"
        "    - {Effect: Allow, Action: 'lambda:CreateFunction', Resource: '*'}\n"
        f"    - {{Effect: Allow, Action: 'iam:PassRole', Resource: {pass_on}}}"
    )


def _permission(more: str = "") -> Files:
    return resource(
        "AWS::Lambda::Permission",
        "Action: lambda:InvokeFunction\nFunctionName: !Ref F\nPrincipal: s3.amazonaws.com" + more,
        "F:\n  Type: AWS::Lambda::Function\n  Properties: {Handler: app.handler, Runtime: python3.13}",
    )


RULES = (
    _rule(
        "PRIV-010",
        "May run code with another role",
        Severity.HIGH,
        "It can create something that runs with an administrator's role, and so become "
        "administrator.",
        "Name the one role in iam:PassRole, or leave creating such resources to the pipeline.",
        _passing,
        _two("'*'"),
        _two("!GetAtt Worker.Arn"),
    ),
    _rule(
        "PRIV-011",
        "May change itself",
        Severity.HIGH,
        "A bug that is exploited once can stay for ever, or give the function every right.",
        "Leave changes of functions and their roles to the pipeline.",
        _self,
        statement(
            "Effect: Allow\nAction: ['lambda:UpdateFunctionCode']\nResource: !Sub '${Thing.Arn}'"
        ),
        statement("Effect: Allow\nAction: ['lambda:GetFunction']\nResource: !Sub '${Thing.Arn}'"),
        attack="T1525",
    ),
    _rule(
        "PRIV-012",
        "Service that calls a function for every account",
        Severity.LOW,
        "Somebody else's bucket or topic can call it through the same service: the confused "
        "deputy.",
        "Set SourceArn, and SourceAccount for buckets.",
        _anyones,
        _permission(),
        _permission("\nSourceAccount: !Ref AWS::AccountId"),
        cwe=441,
        attack="T1199",
    ),
)
