"""Rules about what functions are allowed, and who may become them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from casemate.audit.finding import Severity
from casemate.audit.importers.aws.data import expanded, is_pattern
from casemate.audit.model import Statement
from casemate.audit.rule import Hit, Risk, Subject, entries
from casemate.audit.rules.common import narrowed, of_permissions, on_aws
from casemate.audit.rules.examples import function, resource, statement

_BASIC = re.compile(
    r"^AWSLambda|^AWSXRay|^AmazonAPIGatewayPushToCloudWatch|^CloudWatchLambdaInsights"
)
_HARMLESS = frozenset(("logs", "xray", "cloudwatch", "ec2messages", "execute-api"))
_ESCALATING = frozenset(
    action.lower()
    for action in (
        *("iam:CreatePolicyVersion", "iam:SetDefaultPolicyVersion", "iam:CreateAccessKey"),
        *("iam:CreateLoginProfile", "iam:UpdateLoginProfile", "iam:AttachUserPolicy"),
        *(
            "iam:AttachGroupPolicy",
            "iam:AttachRolePolicy",
            "iam:PutUserPolicy",
            "iam:PutGroupPolicy",
        ),
        *("iam:PutRolePolicy", "iam:AddUserToGroup", "iam:UpdateAssumeRolePolicy"),
    )
)


def _anything(s: Statement) -> bool:
    """Tell whether the resources are all there are, and nothing narrows them."""
    return (
        (
            "*" in s.resources
            or any(
                re.fullmatch(r"arn:[\w$:{}*-]{1,60}:[\w-]{1,40}:[^:]{0,40}:[^:]{0,40}:\*", r)
                for r in s.resources
            )
        )
        and not s.conditions
        and not s.excepted_resources
    )


def _all(s: Statement) -> str | None:
    if "*" in s.actions and "*" in s.resources and not s.excepted_actions:
        return f"may do everything in the account ({s.origin or 'inline'})"
    return None


def _full(s: Statement) -> bool:
    return s.origin.endswith("FullAccess") or s.origin in ("PowerUserAccess", "AdministratorAccess")


def _service(s: Statement) -> str | None:
    if s.excepted_actions or not _anything(s) or _full(s) or _BASIC.match(s.origin):
        return None
    wide = sorted(
        {
            a
            for a in s.actions
            if re.fullmatch(r"[a-zA-Z0-9-]+:\*", a) and a.partition(":")[0].lower() not in _HARMLESS
        }
    )
    return f"may use every action of {', '.join(wide[:5])} on everything" if wide else None


def _managed(s: Statement) -> str | None:
    if _full(s) and _anything(s) and "*" not in s.actions:
        return f"has all of {s.origin}"
    return None


def _service_here(s: Statement) -> str | None:
    if (
        s.excepted_actions
        or _anything(s)
        or s.origin.endswith("FullAccess")
        or _BASIC.match(s.origin)
    ):
        return None
    wide = sorted(
        {
            a
            for a in s.actions
            if re.fullmatch(r"[a-zA-Z0-9-]+:\*", a) and a.partition(":")[0].lower() not in _HARMLESS
        }
    )
    return (
        f"may use every action of {', '.join(wide[:5])} on {s.resources[0][:100] if s.resources else '?'}"
        if wide
        else None
    )


def named(pattern: re.Pattern[str], text: str) -> Callable[[Statement], str | None]:
    """Return a check of actions that match, allowed on everything."""

    def wrong(s: Statement) -> str | None:
        if s.excepted_actions or not _anything(s) or _BASIC.match(s.origin) or _full(s):
            return None
        found = [a for a in s.actions if pattern.match(a) or _stands_for(a, pattern.match)]
        return f"{text}: {', '.join(found[:4])} on *" if found else None

    return wrong


def _stands_for(pattern: str, wanted: Callable[[str], object]) -> bool:
    """Tell whether a pattern such as `iam:P*` stands for an action that is wanted, among others.

    Every action of a service is for other rules.
    """
    if not is_pattern(pattern) or pattern == "*" or pattern.endswith(":*"):
        return False
    return any(wanted(action) for action in expanded(pattern))


def _is_escalating(action: str) -> bool:
    return action.lower() in _ESCALATING


def _is_passing(action: str) -> bool:
    return action.lower() == "iam:passrole"


def _escalates(s: Statement) -> str | None:
    if s.excepted_actions or _full(s) or s.conditions:
        return None
    found = [a for a in s.actions if a.lower() in _ESCALATING or _stands_for(a, _is_escalating)]
    if found and any("*" in r for r in s.resources):
        return f"may give itself and others more rights: {', '.join(found[:4])}"
    return None


def _pass_role(s: Statement) -> str | None:
    passing = [a for a in s.actions if a.lower() == "iam:passrole" or _stands_for(a, _is_passing)]
    if passing and "*" in s.resources and "PassedToService" not in str(s.conditions):
        return (
            None
            if _full(s)
            else f"may pass every role of the account to a service: {passing[0]} on *"
        )
    return None


def _not_action(s: Statement) -> str | None:
    if (
        s.excepted_actions
        and not s.excepted_resources
        and "*" in s.resources
        and s.origin != "PowerUserAccess"
    ):
        return f"may do everything except {', '.join(s.actions[:4])}"
    return None


def _not_resource(s: Statement) -> str | None:
    if s.excepted_resources:
        return f"may use everything except {', '.join(s.resources[:3])}"
    return None


def _trust(subject: Subject) -> Iterator[Hit]:
    for asset in subject.application.of_kind("role"):
        for s in asset.policy:
            if s.allows and "*" in s.principals and not narrowed(s):
                yield Hit(
                    place=s.place,
                    text=f"{asset.name}: every AWS account may assume it",
                    subject=asset.name,
                )


def _trust_other(subject: Subject) -> Iterator[Hit]:
    for asset in subject.application.of_kind("role"):
        for s in asset.policy:
            others = [
                p for p in s.principals if re.fullmatch(r"(?:arn:aws:iam::)?\d{12}(?::root)?", p)
            ]
            if s.allows and others and not s.conditions:
                yield Hit(
                    place=s.place,
                    text=f"{asset.name}: everybody in account {others[0]} may assume it",
                    subject=asset.name,
                )


def _federated(subject: Subject) -> Iterator[Hit]:
    for asset in subject.application.of_kind("role"):
        for s in asset.policy:
            if s.allows and any("token.actions.githubusercontent.com" in p for p in s.principals):
                conditions = str(s.conditions)
                if ":sub" not in conditions or "'repo:*'" in conditions or "'*'" in conditions:
                    yield Hit(
                        place=s.place,
                        text=f"{asset.name}: workflows of every GitHub repository may assume it",
                        subject=asset.name,
                    )


def _confused(subject: Subject) -> Iterator[Hit]:
    for asset in subject.application.of_kind("bucket", "queue", "topic"):
        for s in asset.policy:
            services = [
                p
                for p in s.principals
                if p.startswith("service:")
                and p.partition(":")[2].split(".")[0]
                in ("sns", "s3", "events", "ses", "logs", "delivery", "cloudtrail", "config")
            ]
            if s.allows and services and not narrowed(s):
                yield Hit(
                    place=s.place,
                    text=f"{asset.name}: {services[0][8:]} may use it on behalf of every account",
                    subject=f"{asset.name} {services[0]}",
                )


def _users(subject: Subject) -> Iterator[Hit]:
    for asset in subject.application.of_kind("access-key"):
        yield Hit(
            place=asset.place,
            text=f"{asset.name}: keys that do not expire are created for a user",
            subject=asset.name,
        )


_rule = entries(Risk.PERMISSIONS, "SAS-05", cwe=250, attack="T1078.004")


_ROLE = "AWS::IAM::Role"
_LEAST = "Grant only the actions that the code calls, on the ARNs of the resources that it uses."


def _allow(actions: str, resources: str = "'*'", rest: str = "") -> str:
    return f"Effect: Allow\nAction: {actions}\nResource: {resources}" + (
        f"\n{rest}" if rest else ""
    )


_TABLE = "!GetAtt Orders.Arn"
_GOOD = statement(_allow("['dynamodb:GetItem']", _TABLE))


RULES = (
    _rule(
        "IAM-001",
        "May do everything",
        Severity.HIGH,
        "One bug in the function exposes the whole account.",
        _LEAST,
        of_permissions(_all),
        statement(_allow("'*'")),
        _GOOD,
        by_reach=True,
    ),
    _rule(
        "IAM-002",
        "Every action of a service on everything",
        Severity.HIGH,
        "It can read, delete and reconfigure resources of others, and resources that do not "
        "exist yet.",
        _LEAST,
        of_permissions(_service),
        statement(_allow("['dynamodb:*']")),
        _GOOD,
    ),
    _rule(
        "IAM-003",
        "Managed policy with everything of a service",
        Severity.MEDIUM,
        "Such policies are written for administrators. A function needs a few of their actions, "
        "on a few resources.",
        _LEAST + " In SAM, use policy templates such as S3ReadPolicy.",
        of_permissions(_managed),
        function("Policies: [AmazonS3FullAccess]"),
        function("Policies: [{S3ReadPolicy: {BucketName: !Ref B}}]"),
    ),
    _rule(
        "IAM-004",
        "Every action of a service on a resource",
        Severity.LOW,
        "It can delete and reconfigure a resource that it only needs to use.",
        _LEAST,
        of_permissions(_service_here),
        statement(_allow("['dynamodb:*']", _TABLE)),
        _GOOD,
    ),
    _rule(
        "IAM-005",
        "Every action except a few",
        Severity.HIGH,
        "NotAction allows every action that AWS has now or adds later, except those that it names.",
        _LEAST,
        of_permissions(_not_action),
        statement("Effect: Allow\nNotAction: ['iam:*']\nResource: '*'"),
        _GOOD,
    ),
    _rule(
        "IAM-006",
        "Every resource except a few",
        Severity.MEDIUM,
        "NotResource allows every resource that exists now or later, except those that it names.",
        _LEAST,
        of_permissions(_not_resource),
        statement("Effect: Allow\nAction: ['s3:GetObject']\nNotResource: 'arn:aws:s3:::private/*'"),
        _GOOD,
    ),
    _rule(
        "IAM-007",
        "May pass any role",
        Severity.HIGH,
        "Whoever can pass a role to a service that runs code has that role.",
        "Name the role in Resource and the service in iam:PassedToService.",
        of_permissions(_pass_role),
        statement(_allow("['iam:PassRole']")),
        statement(_allow("['iam:PassRole']", "!GetAtt Worker.Arn")),
        cwe=269,
        attack="T1098.003",
    ),
    _rule(
        "IAM-008",
        "May grant itself rights",
        Severity.HIGH,
        "With these actions it can make itself an administrator.",
        "Leave changes of IAM to the pipeline. If a function must make them, require a "
        "permissions boundary in the condition.",
        of_permissions(_escalates),
        statement(_allow("['iam:PutRolePolicy']")),
        statement(_allow("['iam:GetRole']", "!GetAtt Worker.Arn")),
        cwe=269,
        attack="T1098.003",
    ),
    _rule(
        "IAM-030",
        "Role that any account may assume",
        Severity.CRITICAL,
        "Everybody with an AWS account has its rights.",
        "Name the service or account in Principal.",
        on_aws(_trust),
        resource(
            _ROLE,
            "AssumeRolePolicyDocument: {Statement: [{Effect: Allow, Principal: {AWS: '*'}, Action: 'sts:AssumeRole'}]}",
        ),
        resource(
            _ROLE,
            "AssumeRolePolicyDocument: {Statement: [{Effect: Allow, Principal: {Service: lambda.amazonaws.com}, Action: 'sts:AssumeRole'}]}",
        ),
        cwe=284,
        attack="T1199",
    ),
    _rule(
        "IAM-031",
        "Role that another account may assume",
        Severity.MEDIUM,
        "A third party that is attacked, or tricked into using your role for another customer, "
        "acts in your account.",
        "Set sts:ExternalId in the condition, and name a role instead of the account.",
        on_aws(_trust_other),
        resource(
            _ROLE,
            "AssumeRolePolicyDocument: {Statement: [{Effect: Allow, Principal: {AWS: 'arn:aws:iam::123456789012:root'}, Action: 'sts:AssumeRole'}]}",
        ),
        resource(
            _ROLE,
            "AssumeRolePolicyDocument: {Statement: [{Effect: Allow, Principal: {AWS: 'arn:aws:iam::123456789012:root'}, Action: 'sts:AssumeRole', Condition: {StringEquals: {'sts:ExternalId': a1}}}]}",
        ),
        cwe=441,
        attack="T1199",
    ),
    _rule(
        "IAM-032",
        "Role that any repository may assume",
        Severity.CRITICAL,
        "Anybody's workflow on GitHub can get credentials of your account.",
        "Check token.actions.githubusercontent.com:sub for your repository and branch.",
        on_aws(_federated),
        resource(
            _ROLE,
            "AssumeRolePolicyDocument: {Statement: [{Effect: Allow, Principal: {Federated: !Sub 'arn:aws:iam::${AWS::AccountId}:oidc-provider/token.actions.githubusercontent.com'}, Action: 'sts:AssumeRoleWithWebIdentity'}]}",
        ),
        resource(
            _ROLE,
            "AssumeRolePolicyDocument: {Statement: [{Effect: Allow, Principal: {Federated: !Sub 'arn:aws:iam::${AWS::AccountId}:oidc-provider/token.actions.githubusercontent.com'}, Action: 'sts:AssumeRoleWithWebIdentity', Condition: {StringLike: {'token.actions.githubusercontent.com:sub': 'repo:me/shop:ref:refs/heads/main'}}}]}",
        ),
        cwe=284,
        attack="T1199",
    ),
    _rule(
        "IAM-033",
        "Service that acts for every account",
        Severity.LOW,
        "Somebody else's topic or bucket can send events to yours through the same service: "
        "the confused deputy.",
        "Check aws:SourceArn or aws:SourceAccount in the condition.",
        on_aws(_confused),
        resource(
            "AWS::SQS::Queue",
            "",
            "Policy:\n  Type: AWS::SQS::QueuePolicy\n  Properties:\n    Queues: [!Ref Thing]\n    PolicyDocument: {Statement: [{Effect: Allow, Principal: {Service: sns.amazonaws.com}, Action: 'sqs:SendMessage', Resource: '*'}]}",
        ),
        resource(
            "AWS::SQS::Queue",
            "",
            "Policy:\n  Type: AWS::SQS::QueuePolicy\n  Properties:\n    Queues: [!Ref Thing]\n    PolicyDocument: {Statement: [{Effect: Allow, Principal: {Service: sns.amazonaws.com}, Action: 'sqs:SendMessage', Resource: '*', Condition: {ArnEquals: {'aws:SourceArn': !Ref T}}}]}",
        ),
        cwe=441,
        attack="T1199",
    ),
    _rule(
        "IAM-034",
        "Keys that do not expire",
        Severity.MEDIUM,
        "They leak through templates, outputs and laptops, and stay valid for ever.",
        "Use roles. If a key is needed, rotate it and keep it in Secrets Manager.",
        on_aws(_users),
        resource("AWS::IAM::AccessKey", "UserName: !Ref U"),
        resource("AWS::IAM::User", "UserName: a"),
        cwe=798,
        attack="T1078.004",
    ),
)
