"""Rules about single actions that a function is allowed on everything of the account."""

from __future__ import annotations

import re

from casemate.audit.finding import Severity
from casemate.audit.importers.aws.data import is_pattern
from casemate.audit.model import Statement
from casemate.audit.rule import Risk, Rule
from casemate.audit.rules.common import of_permissions
from casemate.audit.rules.examples import statement
from casemate.audit.rules.permissions import named

_READ_ALL = re.compile(
    r"^(?:dynamodb:(?:GetItem|Scan|Query|BatchGetItem)|s3:GetObject|rds-data:\w+|s3:Get\*|dynamodb:Get\*)$",
    re.I,
)
_WRITE_ALL = re.compile(
    r"^(?:dynamodb:(?:PutItem|DeleteItem|UpdateItem|BatchWriteItem)|s3:(?:PutObject|DeleteObject|Put\*|Delete\*))$",
    re.I,
)
_LEAST = "Grant only the actions that the code calls, on the ARNs of the resources that it uses."


def _allow(actions: str, resources: str = "'*'", rest: str = "") -> str:
    return f"Effect: Allow\nAction: {actions}\nResource: {resources}" + (
        f"\n{rest}" if rest else ""
    )


def _data_rule(
    id: str,
    title: str,
    why: str,
    pattern: re.Pattern[str],
    text: str,
    action: str,
    severity: Severity,
    fix: str = _LEAST,
    attack: str = "T1530",
    milder: re.Pattern[str] | None = None,
) -> Rule:
    def of(s: Statement) -> Severity:
        """Return the severity: that of `milder` is what these actions alone give."""
        found = [action for action in s.actions if pattern.match(action) or is_pattern(action)]
        alone = milder is not None and all(milder.match(action) for action in found)
        return severity.shifted(-1) if alone else severity

    return Rule(
        id=id,
        title=title,
        risk=Risk.PERMISSIONS,
        owasp="SAS-05",
        cwe=250,
        attack=attack,
        severity=severity,
        why=why,
        fix=fix,
        check=of_permissions(named(pattern, text), of),
        vulnerable=statement(_allow(f"['{action}']")),
        fixed=statement(_allow(f"['{action}']", "'arn:aws:x:eu-west-1:0:y'")),
    )


RULES = (
    _data_rule(
        "IAM-009",
        "May assume every role",
        "It can take the rights of any role that trusts the account.",
        re.compile(r"^sts:(?:AssumeRole\w*|\*)$", re.I),
        "may assume every role that trusts the account",
        "sts:AssumeRole",
        Severity.HIGH,
        "Name the roles in Resource.",
        "T1550.001",
    ),
    _data_rule(
        "IAM-010",
        "May read every secret",
        "One function has the secrets of all applications.",
        re.compile(r"^secretsmanager:(?:GetSecretValue|Get\*|BatchGet\w*)$", re.I),
        "may read every secret of the account",
        "secretsmanager:GetSecretValue",
        Severity.HIGH,
        "Name the ARN of the secret in Resource.",
        "T1555.006",
    ),
    _data_rule(
        "IAM-011",
        "May read every parameter",
        "Parameters contain secrets of other applications.",
        re.compile(r"^ssm:(?:GetParameter\w*\*?|Get\*)$", re.I),
        "may read every parameter of the account",
        "ssm:GetParameter",
        Severity.MEDIUM,
        "Name the path of its own parameters in Resource.",
        "T1552",
    ),
    _data_rule(
        "IAM-012",
        "May decrypt with every key",
        "Separate keys then no longer keep data apart.",
        re.compile(r"^kms:(?:Decrypt|\*Decrypt\*)$", re.I),
        "may decrypt with every key of the account",
        "kms:Decrypt",
        Severity.MEDIUM,
        "Name the ARN of the key in Resource.",
    ),
    _data_rule(
        "IAM-013",
        "May read every table or bucket",
        "A bug in it exposes the data of all applications.",
        _READ_ALL,
        "may read the data of all applications",
        "dynamodb:GetItem",
        Severity.MEDIUM,
    ),
    _data_rule(
        "IAM-014",
        "May change every table or bucket",
        "A bug in it can change or delete the data of all applications.",
        _WRITE_ALL,
        "may change the data of all applications",
        "dynamodb:PutItem",
        Severity.MEDIUM,
        attack="T1485",
    ),
    _data_rule(
        "IAM-015",
        "May call every function",
        "It can call functions without going through the authorizers of their APIs.",
        re.compile(r"^lambda:(?:Invoke\w*\*?|Invoke\*|AddPermission)$", re.I),
        "may call every function of the account",
        "lambda:InvokeFunction",
        Severity.MEDIUM,
        attack="T1648",
    ),
    _data_rule(
        "IAM-016",
        "May replace every function",
        "It can run its own code under the roles of other functions.",
        re.compile(
            r"^lambda:(?:UpdateFunction(?:Code|Configuration|\*)|Update\*)$",
            re.I,
        ),
        "may replace the code of every function",
        "lambda:UpdateFunctionCode",
        Severity.HIGH,
        attack="T1525",
    ),
    _data_rule(
        "IAM-017",
        "May delete evidence",
        "Whoever takes it over can delete the traces of the attack.",
        re.compile(
            r"^(?:cloudtrail:(?:StopLogging|DeleteTrail|UpdateTrail)|logs:(?:DeleteLogGroup|DeleteLogStream|PutRetentionPolicy)|guardduty:(?:Delete|Update)\w*|config:(?:StopConfigurationRecorder|Delete(?:ConfigurationRecorder|DeliveryChannel|ConfigRule|EvaluationResults)))$",
            re.I,
        ),
        "may delete or stop logs",
        "cloudtrail:StopLogging",
        Severity.HIGH,
        "Leave this right to administrators.",
        "T1562.008",
    ),
    _data_rule(
        "IAM-018",
        "May start machines",
        "Crypto miners start the largest machines there are, in your name.",
        re.compile(
            r"^(?:ec2:(?:RunInstances|Create\*|RequestSpot\w*)|ecs:RunTask|batch:SubmitJob|sagemaker:Create\w*)$",
            re.I,
        ),
        "may start machines",
        "ec2:RunInstances",
        Severity.MEDIUM,
        "Name images, types and networks in conditions.",
        "T1496",
    ),
    _data_rule(
        "IAM-019",
        "May send mail as anybody",
        "It can send phishing in the name of any verified domain.",
        re.compile(r"^ses:(?:Send\w*\*?)$", re.I),
        "may send mail as any identity",
        "ses:SendEmail",
        Severity.LOW,
        "Name the identity in Resource, and ses:FromAddress in a condition.",
        "T1566",
    ),
    _data_rule(
        "IAM-020",
        "May write to every queue or topic",
        "It can send events to functions of other applications.",
        re.compile(
            r"^(?:sqs:SendMessage\w*\*?|sns:Publish\w*\*?|events:PutEvents|kinesis:PutRecord\w*\*?)$",
            re.I,
        ),
        "may send events to all applications",
        "sqs:SendMessage",
        Severity.LOW,
    ),
    _data_rule(
        "IAM-021",
        "May delete users and policies",
        "It can lock administrators out.",
        re.compile(
            r"^iam:(?:(?:Delete|Update)(?!AccountPasswordPolicy$)\w*\*?|Create(?:User|Role|Policy))$",
            re.I,
        ),
        "may change users, roles and policies",
        "iam:DeleteRole",
        Severity.HIGH,
        attack="T1531",
    ),
    _data_rule(
        "IAM-022",
        "May change access to every bucket",
        "It can open buckets to everybody.",
        re.compile(
            r"^s3:(?:PutBucketPolicy|PutBucketAcl|PutObjectAcl|PutBucketPublicAccessBlock|DeleteBucketPolicy)$",
            re.I,
        ),
        "may open every bucket",
        "s3:PutBucketPolicy",
        Severity.HIGH,
        attack="T1098",
        milder=re.compile(r"^s3:Put(?:Bucket|Object)Acl$", re.I),  # of which new buckets take none
    ),
    _data_rule(
        "IAM-023",
        "May run statements in every database",
        "It can read and change all databases with the data API.",
        re.compile(r"^rds-data:", re.I),
        "may run statements in every database",
        "rds-data:ExecuteStatement",
        Severity.MEDIUM,
    ),
    _data_rule(
        "IAM-024",
        "May start every workflow",
        "It can start workflows of other applications with its own data.",
        re.compile(r"^states:(?:StartExecution|StartSync\w*|Start\*|SendTask\w*)$", re.I),
        "may start every workflow",
        "states:StartExecution",
        Severity.LOW,
        attack="T1648",
    ),
    _data_rule(
        "IAM-025",
        "May run commands on every machine",
        "Commands by Systems Manager run as root.",
        re.compile(r"^ssm:(?:SendCommand|StartSession|StartAutomation\w*)$", re.I),
        "may run commands on every machine",
        "ssm:SendCommand",
        Severity.HIGH,
        attack="T1651",
    ),
    _data_rule(
        "IAM-026",
        "May act for every user of Cognito",
        "It can set passwords and groups of all users.",
        re.compile(r"^cognito-idp:(?:Admin\w+\*?|\w*SetUserPassword)$", re.I),
        "may change users of every pool",
        "cognito-idp:AdminSetUserPassword",
        Severity.MEDIUM,
        attack="T1098",
    ),
)
