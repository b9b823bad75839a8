"""Rules about buckets, tables, queues, databases, keys and what else holds data."""

from __future__ import annotations

import re
from collections.abc import Iterator

from casemate.audit.finding import Severity
from casemate.audit.model import Asset
from casemate.audit.rule import Hit, Risk, Rule, Subject
from casemate.audit.rules.common import literal, on_aws
from casemate.audit.rules.examples import resource
from casemate.audit.rules.resource_rules import (
    attached,
    data_rule,
    is_off,
    is_set,
    policy_rule,
    unless_open,
)


def _acl(a: Asset) -> str | None:
    acl = a.settings["acl"]
    if acl in ("PublicRead", "PublicReadWrite", "public-read", "public-read-write"):
        return f"its ACL is {acl}: everybody may read it" + (
            " and write it" if "rite" in acl else ""
        )
    return "every account of AWS may read it" if acl == "AuthenticatedRead" else None


def _unblocked(a: Asset) -> str | None:
    return (
        "public access to it is not blocked"
        if a.settings["block_declared"] and a.settings["blocked"] is False
        else None
    )


def _tls(a: Asset) -> str | None:
    for s in a.policy:
        if not s.allows and "SecureTransport" in str(s.conditions):
            return None
    return "it can be asked without encryption"


def _not_dead(subject: Subject) -> Iterator[Hit]:
    targets = {a.settings.get("dead_letter_target") for a in subject.application.of_kind("queue")}
    read = {t.source for f in subject.application.functions for t in f.triggers}
    for a in subject.application.of_kind("queue"):
        dead = a.name in targets or re.search(r"dlq|dead|failed|redrive", a.name, re.I)
        if not a.settings["dead_letters"] and not dead and a.name in read:
            yield Hit(
                place=a.place,
                text=f"{a.name}: messages that fail are tried for ever, or lost",
                subject=a.name,
            )


def _other_account(subject: Subject) -> Iterator[Hit]:
    for a in subject.application.of_kind("bucket", "queue", "topic", "secret", "key", "registry"):
        for s in a.policy:
            others = [p for p in s.principals if re.match(r"(?:arn:aws:iam::)?\d{12}", p)]
            if s.allows and others:
                yield Hit(
                    place=s.place,
                    text=f"{a.name}: account {others[0][:60]} may {', '.join(s.actions[:3])}",
                    subject=f"{a.name} {others[0]}",
                )


def _password(a: Asset) -> str | None:
    return "its password stands in the template" if literal(a.settings["password"]) else None


def _backup(a: Asset) -> str | None:
    days = a.settings["backup_days"]
    return "no backup is kept" if days == 0 else None


_BUCKET, _TABLE, _QUEUE, _TOPIC = (
    "AWS::S3::Bucket",
    "AWS::DynamoDB::Table",
    "AWS::SQS::Queue",
    "AWS::SNS::Topic",
)
_DB = "AWS::RDS::DBInstance"
_ENGINE = "Engine: postgres\nStorageEncrypted: true\nBackupRetentionPeriod: 7\n"
_CLOSED = "{BlockPublicAcls: true, BlockPublicPolicy: true, IgnorePublicAcls: true, RestrictPublicBuckets: true}"


_OWN = "{AWS: !Ref Reader}"
_TO_BUCKET = "AWS::S3::BucketPolicy", "Bucket: !Ref Thing"
_TO_QUEUE = "AWS::SQS::QueuePolicy", "Queues: [!Ref Thing]"
_TO_TOPIC = "AWS::SNS::TopicPolicy", "Topics: [!Ref Thing]"

RULES = (
    data_rule(
        "DATA-001",
        "Bucket that is public by its ACL",
        "Buckets are found by names that are guessed; all objects are read within hours.",
        "Remove AccessControl; hand out what is public through CloudFront.",
        _acl,
        "bucket",
        _BUCKET,
        "AccessControl: PublicRead",
        "AccessControl: Private",
        Severity.HIGH,
        owasp="SAS-05",
        cwe=732,
        attack="T1530",
        risk=Risk.PERMISSIONS,
        by=unless_open,
    ),
    policy_rule(
        "DATA-002",
        "Bucket that everybody may read",
        "Buckets are found by names that are guessed; all objects are read within hours.",
        "Name who reads in Principal, or let CloudFront read by origin access control.",
        ("bucket",),
        False,
        _BUCKET,
        attached(*_TO_BUCKET, "s3:GetObject", "'*'"),
        attached(*_TO_BUCKET, "s3:GetObject", _OWN),
        Severity.MEDIUM,
    ),
    policy_rule(
        "DATA-003",
        "Bucket that everybody may change",
        "Strangers replace what visitors and functions read, and store what you are held liable for.",
        "Name who writes in Principal; hand out presigned uploads.",
        ("bucket",),
        True,
        _BUCKET,
        attached(*_TO_BUCKET, "s3:PutObject", "'*'"),
        attached(*_TO_BUCKET, "s3:PutObject", _OWN),
        Severity.CRITICAL,
    ),
    data_rule(
        "DATA-004",
        "Bucket that may become public",
        "One ACL or policy, by anybody who may set one, opens it.",
        "Set all four of PublicAccessBlockConfiguration.",
        _unblocked,
        "bucket",
        _BUCKET,
        "PublicAccessBlockConfiguration: {BlockPublicAcls: false}",
        f"PublicAccessBlockConfiguration: {_CLOSED}",
        Severity.MEDIUM,
        owasp="SAS-05",
        cwe=732,
        attack="T1530",
    ),
    data_rule(
        "DATA-005",
        "Bucket without versions",
        "What ransomware overwrites or a fault deletes is gone.",
        "Set VersioningConfiguration: {Status: Enabled} and a lifecycle.",
        is_off("versioned", "what is overwritten is gone"),
        "bucket",
        _BUCKET,
        "BucketName: a-bucket",
        "VersioningConfiguration: {Status: Enabled}",
        Severity.INFO,
        owasp="SAS-06",
        cwe=693,
        attack="T1485",
    ),
    data_rule(
        "DATA-006",
        "Bucket without access logs",
        "Who read what cannot be told.",
        "Set LoggingConfiguration, or data events in CloudTrail.",
        is_off("logged", "no access log is kept"),
        "bucket",
        _BUCKET,
        "BucketName: a-bucket",
        "LoggingConfiguration: {DestinationBucketName: !Ref Logs}",
        Severity.INFO,
        owasp="SAS-10",
        cwe=778,
        risk=Risk.MONITORING,
    ),
    data_rule(
        "DATA-007",
        "Bucket that answers without encryption",
        "Everybody on the way reads what is fetched by HTTP.",
        "Deny s3:* where aws:SecureTransport is false.",
        _tls,
        "bucket",
        _BUCKET,
        "",
        "",
        Severity.INFO,
        cwe=319,
        more="",
        more_fixed="Policy:\n  Type: AWS::S3::BucketPolicy\n  Properties:\n    Bucket: !Ref Thing\n    PolicyDocument: {Statement: [{Effect: Deny, Principal: '*', Action: 's3:*', Resource: '*', Condition: {Bool: {'aws:SecureTransport': false}}}]}",
    ),
    data_rule(
        "DATA-008",
        "Bucket as a public website",
        "The whole bucket is published, without TLS.",
        "Serve it through CloudFront with origin access control.",
        is_set("website", True, "it is published as a website"),
        "bucket",
        _BUCKET,
        "WebsiteConfiguration: {IndexDocument: index.html}",
        "BucketName: a-bucket",
        Severity.LOW,
        cwe=319,
    ),
    data_rule(
        "DATA-009",
        "Bucket that pages of every site may write",
        "A page of an attacker uses presigned addresses, or open rights, of whoever looks at it.",
        "Name the origins in AllowedOrigins.",
        lambda a: "pages of every site may write to it" if a.settings["cors_writes"] else None,
        "bucket",
        _BUCKET,
        "CorsConfiguration: {CorsRules: [{AllowedOrigins: ['*'], AllowedMethods: [PUT]}]}",
        "CorsConfiguration: {CorsRules: [{AllowedOrigins: ['https://shop.example'], AllowedMethods: [PUT]}]}",
        Severity.LOW,
        owasp="SAS-06",
        cwe=942,
    ),
    Rule(
        id="DATA-010",
        title="Another account may use it",
        risk=Risk.PERMISSIONS,
        owasp="SAS-05",
        cwe=284,
        attack="T1199",
        severity=Severity.LOW,
        why="What is safe in your account depends on how that one is kept.",
        fix="Make sure that the account is yours or under contract; name a role in it, with conditions.",
        check=on_aws(_other_account),
        vulnerable=resource(
            _BUCKET,
            "",
            attached(*_TO_BUCKET, "s3:GetObject", "{AWS: 'arn:aws:iam::123456789012:root'}"),
        ),
        fixed=resource(_BUCKET, "", attached(*_TO_BUCKET, "s3:GetObject", _OWN)),
    ),
    data_rule(
        "DATA-020",
        "Table without a way back",
        "What an attacker or a fault deletes is gone.",
        "Set PointInTimeRecoveryEnabled: true.",
        is_off("recovery", "no state of before can be restored"),
        "table",
        _TABLE,
        "BillingMode: PAY_PER_REQUEST",
        "PointInTimeRecoverySpecification: {PointInTimeRecoveryEnabled: true}",
        owasp="SAS-06",
        cwe=693,
        attack="T1485",
    ),
    data_rule(
        "DATA-021",
        "Table without a key of yours",
        "Everybody reads it who may read tables in the account; with a key of yours each reader needs that as well.",
        "Set SSESpecification: {SSEEnabled: true, SSEType: KMS}.",
        is_off("key", "it is encrypted with AWS's key alone"),
        "table",
        _TABLE,
        "BillingMode: PAY_PER_REQUEST",
        "SSESpecification: {SSEEnabled: true}",
        Severity.INFO,
    ),
    data_rule(
        "DATA-022",
        "Table that can be deleted",
        "A stack that is removed by mistake takes the data along.",
        "Set DeletionProtectionEnabled: true, or DeletionPolicy: Retain.",
        lambda a: (
            None
            if a.settings["protected"] is not False or a.settings["simple"]
            else "it goes with its stack"
        ),
        "table",
        _TABLE,
        "BillingMode: PAY_PER_REQUEST",
        "DeletionProtectionEnabled: true",
        Severity.INFO,
        owasp="SAS-06",
        cwe=693,
        attack="T1485",
    ),
    data_rule(
        "DATA-030",
        "Queue without encryption",
        "Messages lie in clear.",
        "Set SqsManagedSseEnabled: true, or a KmsMasterKeyId.",
        is_off("encrypted", "its messages lie in clear"),
        "queue",
        _QUEUE,
        "SqsManagedSseEnabled: false",
        "SqsManagedSseEnabled: true",
        Severity.MEDIUM,
    ),
    policy_rule(
        "DATA-031",
        "Queue that everybody may use",
        "Strangers put events into your functions, or take them away.",
        "Name who sends in Principal, or the source in aws:SourceArn.",
        ("queue",),
        True,
        _QUEUE,
        attached(*_TO_QUEUE, "sqs:SendMessage", "'*'"),
        attached(
            *_TO_QUEUE, "sqs:SendMessage", "'*'", "{ArnEquals: {'aws:SourceArn': !Ref Topic}}"
        ),
        Severity.HIGH,
    ),
    Rule(
        id="DATA-032",
        title="Queue whose bad messages have no end",
        risk=Risk.ERRORS,
        owasp="SAS-10",
        cwe=755,
        attack="T1499",
        severity=Severity.LOW,
        why="A message that makes its function fail is tried again until it is too old: each time you pay, and others wait.",
        fix="Set RedrivePolicy with a queue for what failed, and an alarm on it.",
        check=on_aws(_not_dead),
        vulnerable=resource(
            "AWS::Serverless::Function",
            "Runtime: python3.13\nHandler: a.b\nEvents: {Q: {Type: SQS, Properties: {Queue: !GetAtt Jobs.Arn}}}",
            "Jobs:\n  Type: AWS::SQS::Queue",
        ),
        fixed=resource(
            "AWS::Serverless::Function",
            "Runtime: python3.13\nHandler: a.b\nEvents: {Q: {Type: SQS, Properties: {Queue: !GetAtt Jobs.Arn}}}",
            "Jobs:\n  Type: AWS::SQS::Queue\n  Properties: {RedrivePolicy: {deadLetterTargetArn: !GetAtt Bad.Arn, maxReceiveCount: 3}}\nBad:\n  Type: AWS::SQS::Queue",
        ),
    ),
    data_rule(
        "DATA-040",
        "Topic without encryption",
        "Messages lie in clear until they are delivered.",
        "Set KmsMasterKeyId: alias/aws/sns, or a key of yours.",
        is_off("encrypted", "its messages lie in clear"),
        "topic",
        _TOPIC,
        "TopicName: a",
        "KmsMasterKeyId: alias/aws/sns",
    ),
    policy_rule(
        "DATA-041",
        "Topic that everybody may use",
        "Strangers publish events to your functions, or subscribe and read all.",
        "Name who publishes in Principal, or the source in aws:SourceArn.",
        ("topic",),
        True,
        _TOPIC,
        attached(*_TO_TOPIC, "sns:Publish", "'*'"),
        attached(
            *_TO_TOPIC,
            "sns:Publish",
            "'*'",
            "{StringEquals: {'aws:SourceAccount': !Ref 'AWS::AccountId'}}",
        ),
        Severity.HIGH,
    ),
    data_rule(
        "DATA-042",
        "Messages delivered without encryption",
        "Everybody on the way reads and changes them.",
        "Subscribe with https.",
        is_set("plain_http", True, "it delivers by HTTP"),
        "subscription",
        "AWS::SNS::Subscription",
        "Protocol: http\nTopicArn: !Ref T",
        "Protocol: https\nTopicArn: !Ref T",
        Severity.MEDIUM,
        cwe=319,
    ),
    data_rule(
        "DATA-043",
        "Stream without encryption",
        "Records lie in clear.",
        "Set StreamEncryption: {EncryptionType: KMS, KeyId: alias/aws/kinesis}.",
        is_off("encrypted", "its records lie in clear"),
        "stream",
        "AWS::Kinesis::Stream",
        "ShardCount: 1",
        "StreamEncryption: {EncryptionType: KMS, KeyId: alias/aws/kinesis}",
    ),
    data_rule(
        "DATA-050",
        "Database with an address for everybody",
        "It is found and its passwords are tried within hours.",
        "Set PubliclyAccessible: false; put functions into the same network.",
        is_set("public", True, "it has a public address"),
        "database",
        _DB,
        _ENGINE + "PubliclyAccessible: true",
        _ENGINE + "PubliclyAccessible: false",
        Severity.HIGH,
        owasp="SAS-05",
        cwe=284,
        attack="T1190",
    ),
    data_rule(
        "DATA-051",
        "Database without encryption",
        "Who gets a snapshot or a disk reads it.",
        "Set StorageEncrypted: true.",
        lambda a: (
            "it lies in clear"
            if a.settings["encrypted"] is False and not a.settings["in_cluster"]
            else None
        ),
        "database",
        _DB,
        "Engine: postgres",
        _ENGINE,
        Severity.MEDIUM,
    ),
    data_rule(
        "DATA-052",
        "Database without backups",
        "What ransomware or a fault takes is gone.",
        "Set BackupRetentionPeriod to 7 or more.",
        _backup,
        "database",
        _DB,
        "Engine: postgres\nBackupRetentionPeriod: 0",
        _ENGINE,
        owasp="SAS-06",
        cwe=693,
        attack="T1485",
    ),
    data_rule(
        "DATA-053",
        "Password of a database in the template",
        "Everybody who reads the repository or the stack has it.",
        "Set ManageMasterUserPassword: true, or '{{resolve:secretsmanager:...}}'.",
        _password,
        "database",
        _DB,
        _ENGINE + "MasterUserPassword: tr0ub4dor3",
        _ENGINE + "ManageMasterUserPassword: true",
        Severity.HIGH,
        cwe=798,
        attack="T1552.001",
        risk=Risk.PERMISSIONS,
    ),
    data_rule(
        "DATA-054",
        "Database that can be deleted",
        "A stack that is removed by mistake takes the data along.",
        "Set DeletionProtection: true.",
        lambda a: (
            "it goes with its stack"
            if a.settings["rds"]
            and a.settings["protected"] is False
            and not a.settings["in_cluster"]
            else None
        ),
        "database",
        _DB,
        _ENGINE,
        _ENGINE + "DeletionProtection: true",
        Severity.INFO,
        owasp="SAS-06",
        cwe=693,
    ),
)
