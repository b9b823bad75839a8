"""Rules about what functions are allowed, and who may become them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from casemate.audit.finding import Severity
from casemate.audit.model import Statement
from casemate.audit.rule import Hit, Risk, Rule, Subject
from casemate.audit.rules.common import narrowed, of_permissions
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
_READ_ALL = re.compile(
    r"^(?:dynamodb:(?:GetItem|Scan|Query|BatchGetItem)|s3:GetObject|rds-data:\w+|s3:Get\*|dynamodb:Get\*)$",
    re.I,
)
_WRITE_ALL = re.compile(
    r"^(?:dynamodb:(?:PutItem|DeleteItem|UpdateItem|BatchWriteItem)|s3:(?:PutObject|DeleteObject|Put\*|Delete\*))$",
    re.I,
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
    return f"may do everything of {', '.join(wide[:5])} to everything" if wide else None


def _managed(s: Statement) -> str | None:
    if _full(s) and _anything(s) and "*" not in s.actions:
        return f"has the whole of {s.origin}"
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
        f"may do every action of {', '.join(wide[:5])} there is to {s.resources[0][:100] if s.resources else '?'}"
        if wide
        else None
    )


def _named(pattern: re.Pattern[str], text: str):  # type: ignore[no-untyped-def]
    def wrong(s: Statement) -> str | None:
        if s.excepted_actions or not _anything(s) or _BASIC.match(s.origin) or _full(s):
            return None
        found = [a for a in s.actions if pattern.match(a)]
        return f"{text}: {', '.join(found[:4])} on *" if found else None

    return wrong


def _escalates(s: Statement) -> str | None:
    if s.excepted_actions or _full(s) or s.conditions:
        return None
    found = [a for a in s.actions if a.lower() in _ESCALATING]
    if found and any("*" in r for r in s.resources):
        return f"may give itself and others more rights: {', '.join(found[:4])}"
    return None


def _pass_role(s: Statement) -> str | None:
    if (
        any(a.lower() in ("iam:passrole", "iam:pass*") for a in s.actions)
        and "*" in s.resources
        and "PassedToService" not in str(s.conditions)
    ):
        return (
            None
            if _full(s)
            else "may hand every role of the account to a service: iam:PassRole on *"
        )
    return None


def _not_action(s: Statement) -> str | None:
    if (
        s.excepted_actions
        and not s.excepted_resources
        and "*" in s.resources
        and s.origin != "PowerUserAccess"
    ):
        return f"may do all but {', '.join(s.actions[:4])}"
    return None


def _not_resource(s: Statement) -> str | None:
    if s.excepted_resources:
        return f"may use all but {', '.join(s.resources[:3])}"
    return None


def _trust(subject: Subject) -> Iterator[Hit]:
    for asset in subject.application.of_kind("role"):
        for s in asset.policy:
            if s.allows and "*" in s.principals and not narrowed(s):
                yield Hit(
                    place=s.place,
                    text=f"{asset.name}: every account of AWS may become it",
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
                    text=f"{asset.name}: everybody in account {others[0]} may become it",
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
                        text=f"{asset.name}: workflows of every repository of GitHub may become it",
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
            text=f"{asset.name}: keys that do not expire are made for a user",
            subject=asset.name,
        )


def _rule(
    id, title, severity, why, fix, check, bad, good, *, cwe=250, attack="T1078.004", by_reach=False
):  # type: ignore[no-untyped-def]
    return Rule(
        id=id,
        title=title,
        risk=Risk.PERMISSIONS,
        owasp="SAS-05",
        cwe=cwe,
        attack=attack,
        severity=severity,
        by_reach=by_reach,
        why=why,
        fix=fix,
        check=check,
        vulnerable=bad,
        fixed=good,
    )


_ROLE = "AWS::IAM::Role"
_LEAST = "Grant the actions that the code calls, on the ARNs of the resources that it uses."


def _allow(actions: str, resources: str = "'*'", rest: str = "") -> str:
    return f"Effect: Allow\nAction: {actions}\nResource: {resources}" + (
        f"\n{rest}" if rest else ""
    )


_TABLE = "!GetAtt Orders.Arn"
_GOOD = statement(_allow("['dynamodb:GetItem']", _TABLE))


def _data_rule(
    id: str,
    title: str,
    why: str,
    pattern: str,
    text: str,
    action: str,
    severity: Severity,
    fix: str = _LEAST,
    attack: str = "T1530",
    good: str = "arn:aws:x:eu-west-1:0:y",
) -> Rule:
    return _rule(
        id,
        title,
        severity,
        why,
        fix,
        of_permissions(_named(re.compile(pattern, re.I), text)),
        statement(_allow(f"['{action}']")),
        statement(_allow(f"['{action}']", f"'{good}'")),
        attack=attack,
    )


RULES = (
    _rule(
        "IAM-001",
        "May do everything",
        Severity.HIGH,
        "One fault in the function is the whole account.",
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
        "It can read, delete and reconfigure what belongs to others, and what will be made later.",
        _LEAST,
        of_permissions(_service),
        statement(_allow("['dynamodb:*']")),
        _GOOD,
    ),
    _rule(
        "IAM-003",
        "Managed policy with everything of a service",
        Severity.MEDIUM,
        "Such policies are written for administrators. A function needs a few of their actions, on a few resources.",
        _LEAST + " In SAM: policy templates such as S3ReadPolicy.",
        of_permissions(_managed),
        function("Policies: [AmazonS3FullAccess]"),
        function("Policies: [{S3ReadPolicy: {BucketName: !Ref B}}]"),
    ),
    _rule(
        "IAM-004",
        "Every action of a service on a resource",
        Severity.LOW,
        "It can delete and reconfigure what it only needs to use.",
        _LEAST,
        of_permissions(_service_here),
        statement(_allow("['dynamodb:*']", _TABLE)),
        _GOOD,
    ),
    _rule(
        "IAM-005",
        "Everything but a few actions",
        Severity.HIGH,
        "NotAction allows all that AWS will ever have, but for what is named.",
        _LEAST,
        of_permissions(_not_action),
        statement("Effect: Allow\nNotAction: ['iam:*']\nResource: '*'"),
        _GOOD,
    ),
    _rule(
        "IAM-006",
        "Everything but a few resources",
        Severity.MEDIUM,
        "NotResource allows all that there will ever be, but for what is named.",
        _LEAST,
        of_permissions(_not_resource),
        statement("Effect: Allow\nAction: ['s3:GetObject']\nNotResource: 'arn:aws:s3:::private/*'"),
        _GOOD,
    ),
    _rule(
        "IAM-007",
        "May hand out every role",
        Severity.HIGH,
        "Who can pass a role to a service that runs code has that role.",
        "Name the role in Resource and the service in iam:PassedToService.",
        of_permissions(_pass_role),
        statement(_allow("['iam:PassRole']")),
        statement(_allow("['iam:PassRole']", "!GetAtt Worker.Arn")),
        cwe=269,
        attack="T1098.003",
    ),
    _rule(
        "IAM-008",
        "May give itself rights",
        Severity.HIGH,
        "With these actions it becomes administrator by itself.",
        "Leave changes of IAM to the pipeline; if a function must, set a permissions boundary in the condition.",
        of_permissions(_escalates),
        statement(_allow("['iam:PutRolePolicy']")),
        statement(_allow("['iam:GetRole']", "!GetAtt Worker.Arn")),
        cwe=269,
        attack="T1098.003",
    ),
    _data_rule(
        "IAM-009",
        "May become every role",
        "It takes the rights of any role that trusts the account.",
        r"^sts:(?:AssumeRole\w*|\*)$",
        "may become every role that trusts the account",
        "sts:AssumeRole",
        Severity.HIGH,
        "Name the roles in Resource.",
        "T1550.001",
    ),
    _data_rule(
        "IAM-010",
        "May read every secret",
        "One function has the secrets of all.",
        r"^secretsmanager:(?:GetSecretValue|Get\*|BatchGet\w*)$",
        "may read every secret of the account",
        "secretsmanager:GetSecretValue",
        Severity.HIGH,
        "Name the ARN of the secret in Resource.",
        "T1555.006",
    ),
    _data_rule(
        "IAM-011",
        "May read every parameter",
        "Parameters hold secrets of other applications.",
        r"^ssm:(?:GetParameter\w*\*?|Get\*)$",
        "may read every parameter of the account",
        "ssm:GetParameter",
        Severity.MEDIUM,
        "Name the path of its own parameters in Resource.",
        "T1552",
    ),
    _data_rule(
        "IAM-012",
        "May decrypt with every key",
        "What keys are there to keep apart is together again.",
        r"^kms:(?:Decrypt|\*Decrypt\*)$",
        "may decrypt with every key of the account",
        "kms:Decrypt",
        Severity.MEDIUM,
        "Name the ARN of the key in Resource.",
    ),
    _data_rule(
        "IAM-013",
        "May read every table or bucket",
        "A fault in it tells the data of all applications.",
        _READ_ALL.pattern,
        "may read the data of all applications",
        "dynamodb:GetItem",
        Severity.MEDIUM,
    ),
    _data_rule(
        "IAM-014",
        "May change every table or bucket",
        "A fault in it changes or deletes the data of all applications.",
        _WRITE_ALL.pattern,
        "may change the data of all applications",
        "dynamodb:PutItem",
        Severity.MEDIUM,
        attack="T1485",
    ),
    _data_rule(
        "IAM-015",
        "May call every function",
        "It calls functions past the authorizers of their APIs.",
        r"^lambda:(?:Invoke\w*\*?|Invoke\*)$",
        "may call every function of the account",
        "lambda:InvokeFunction",
        Severity.MEDIUM,
        attack="T1648",
    ),
    _data_rule(
        "IAM-016",
        "May replace every function",
        "It puts code of its own under the roles of others.",
        r"^lambda:(?:UpdateFunction\w*|CreateFunction|AddPermission|AddLayerVersionPermission|Update\*)$",
        "may replace the code of every function",
        "lambda:UpdateFunctionCode",
        Severity.HIGH,
        attack="T1525",
    ),
    _data_rule(
        "IAM-017",
        "May take away evidence",
        "Who takes it over deletes what would tell of it.",
        r"^(?:cloudtrail:(?:StopLogging|DeleteTrail|UpdateTrail)|logs:(?:DeleteLogGroup|DeleteLogStream|PutRetentionPolicy)|guardduty:(?:Delete|Update)\w*|config:(?:Delete|Stop)\w*)$",
        "may delete or stop logs",
        "cloudtrail:StopLogging",
        Severity.HIGH,
        "Leave it to administrators.",
        "T1562.008",
    ),
    _data_rule(
        "IAM-018",
        "May start machines",
        "Crypto miners start the largest there are, in your name.",
        r"^(?:ec2:(?:RunInstances|Create\*|RequestSpot\w*)|ecs:RunTask|batch:SubmitJob|sagemaker:Create\w*)$",
        "may start machines",
        "ec2:RunInstances",
        Severity.MEDIUM,
        "Name images, types and networks in conditions.",
        "T1496",
    ),
    _data_rule(
        "IAM-019",
        "May send mail as everybody",
        "Phishing is sent in the name of any verified domain.",
        r"^ses:(?:Send\w*\*?)$",
        "may send mail as every identity",
        "ses:SendEmail",
        Severity.LOW,
        "Name the identity in Resource, and ses:FromAddress in a condition.",
        "T1566",
    ),
    _data_rule(
        "IAM-020",
        "May write to every queue or topic",
        "It feeds events to functions of other applications.",
        r"^(?:sqs:SendMessage\w*\*?|sns:Publish\w*\*?|events:PutEvents|kinesis:PutRecord\w*\*?)$",
        "may send events to all applications",
        "sqs:SendMessage",
        Severity.LOW,
    ),
    _data_rule(
        "IAM-021",
        "May delete users and policies",
        "It locks administrators out.",
        r"^iam:(?:Delete\w*\*?|Create(?:User|Role|Policy)|Update\w*)$",
        "may change users, roles and policies",
        "iam:DeleteRole",
        Severity.HIGH,
        attack="T1531",
    ),
    _data_rule(
        "IAM-022",
        "May change who owns buckets",
        "It opens buckets to everybody.",
        r"^s3:(?:PutBucketPolicy|PutBucketAcl|PutObjectAcl|PutBucketPublicAccessBlock|DeleteBucket\w*)$",
        "may open or delete every bucket",
        "s3:PutBucketPolicy",
        Severity.HIGH,
        attack="T1098",
    ),
    _data_rule(
        "IAM-023",
        "May run statements in every database",
        "It reads and changes all databases with the data API.",
        r"^rds-data:",
        "may run statements in every database",
        "rds-data:ExecuteStatement",
        Severity.MEDIUM,
    ),
    _data_rule(
        "IAM-024",
        "May start every workflow",
        "It starts workflows of other applications with data of its own.",
        r"^states:(?:StartExecution|StartSync\w*|Start\*|SendTask\w*)$",
        "may start every workflow",
        "states:StartExecution",
        Severity.LOW,
        attack="T1648",
    ),
    _data_rule(
        "IAM-025",
        "May run commands on every machine",
        "Commands by Systems Manager run as root.",
        r"^ssm:(?:SendCommand|StartSession|StartAutomation\w*)$",
        "may run commands on every machine",
        "ssm:SendCommand",
        Severity.HIGH,
        attack="T1651",
    ),
    _data_rule(
        "IAM-026",
        "May act for every user of Cognito",
        "It sets passwords and groups of all users.",
        r"^cognito-idp:(?:Admin\w+\*?|\w*SetUserPassword)$",
        "may change users of every pool",
        "cognito-idp:AdminSetUserPassword",
        Severity.MEDIUM,
        attack="T1098",
    ),
    _rule(
        "IAM-030",
        "Role that every account may become",
        Severity.CRITICAL,
        "Everybody with an account of AWS has its rights.",
        "Name the service or account in Principal.",
        _trust,
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
        "Role that another account may become",
        Severity.MEDIUM,
        "A third party that is attacked, or tricked into using your role for another customer, acts in your account.",
        "Set sts:ExternalId in the condition, and name a role instead of the account.",
        _trust_other,
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
        "Role that every repository may become",
        Severity.CRITICAL,
        "Anybody's workflow on GitHub gets credentials of your account.",
        "Test token.actions.githubusercontent.com:sub for your repository and branch.",
        _federated,
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
        "Somebody else's topic or bucket sends events to yours through the same service: the confused deputy.",
        "Test aws:SourceArn or aws:SourceAccount in the condition.",
        _confused,
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
        "They leak through templates, outputs and laptops, and are good for ever.",
        "Use roles; where a key is needed, rotate it and keep it in Secrets Manager.",
        _users,
        resource("AWS::IAM::AccessKey", "UserName: !Ref U"),
        resource("AWS::IAM::User", "UserName: a"),
        cwe=798,
        attack="T1078.004",
    ),
)
