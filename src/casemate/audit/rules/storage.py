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
    return "every AWS account may read it" if acl == "AuthenticatedRead" else None


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
    return "it can be used without encryption"


def _not_dead(subject: Subject) -> Iterator[Hit]:
    targets = {a.settings.get("dead_letter_target") for a in subject.application.of_kind("queue")}
    read = {t.source for f in subject.application.functions for t in f.triggers}
    for a in subject.application.of_kind("queue"):
        dead = a.name in targets or re.search(r"dlq|dead|failed|redrive", a.name, re.I)
        if not a.settings["dead_letters"] and not dead and a.name in read:
            yield Hit(
                place=a.place,
                text=f"{a.name}: failing messages are tried for ever, or lost",
                subject=a.name,
            )


_VISIBLE = 30
"""Seconds for which a message is not given to others, where the queue says nothing."""


def _too_soon(subject: Subject) -> Iterator[Hit]:
    queues = {each.name: each for each in subject.application.of_kind("queue")}
    for f in subject.application.functions:
        for source in dict.fromkeys(t.source for t in f.triggers if t.kind == "queue"):
            queue = queues.get(source)
            if queue is None or f.timeout is None:
                continue
            said = queue.settings.get("visibility_said", True)
            seconds = queue.settings["visibility"] if said else _VISIBLE
            if seconds is not None and seconds < f.timeout:
                yield Hit(
                    place=queue.settings.get("visibility_place", queue.place),
                    text=f"{queue.name}: a message is given again after {seconds:g} s, and "
                    f"{f.name} may work on it for {f.timeout:g} s",
                    subject=f"{queue.name} {f.name}",
                    function=f,
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
    return "its password is in the template" if literal(a.settings["password"]) else None


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


def _reading(queue: str) -> dict[str, str]:
    """Return a function that may work for a minute on a message of a queue."""
    return dict(
        resource(
            "AWS::Serverless::Function",
            "Runtime: python3.13\nHandler: a.b\nTimeout: 60\n"
            "Events: {Q: {Type: SQS, Properties: {Queue: !GetAtt Jobs.Arn}}}",
            f"Jobs:\n  Type: AWS::SQS::Queue\n  {queue}",
        )
    )


RULES = (
    data_rule(
        "DATA-001",
        "Bucket that is public by its ACL",
        "Attackers guess the names of buckets and read all objects within hours.",
        "Remove AccessControl, and serve public content through CloudFront.",
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
        "Attackers guess the names of buckets and read all objects within hours.",
        "Name the readers in Principal, or let CloudFront read by origin access control.",
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
        "Strangers can replace what visitors and functions read, and store content that you "
        "are liable for.",
        "Name the writers in Principal, and hand out presigned uploads.",
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
        "One ACL or policy, set by anybody who may set one, opens it.",
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
        "Whatever ransomware overwrites or a bug deletes is gone.",
        "Set VersioningConfiguration: {Status: Enabled} and a lifecycle.",
        is_off("versioned", "overwritten objects are gone"),
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
        "Nobody can tell who read what.",
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
        "Anybody on the network path can read objects that are fetched by HTTP.",
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
        "Bucket that pages of any site may write to",
        "An attacker's page can use presigned URLs, or open rights, of whoever opens the page.",
        "Name the origins in AllowedOrigins.",
        lambda a: "pages of any site may write to it" if a.settings["cors_writes"] else None,
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
        why="Its safety then depends on how well the other account is protected.",
        fix="Make sure that the account is yours or under contract, and name a role in it, "
        "with conditions.",
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
        "Table without point-in-time recovery",
        "Whatever an attacker or a bug deletes is gone.",
        "Set PointInTimeRecoveryEnabled: true.",
        is_off("recovery", "no earlier state can be restored"),
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
        "Table without a key of your own",
        "Everybody who may read tables in the account can read it. With a key of your own, "
        "each reader needs that key as well.",
        "Set SSESpecification: {SSEEnabled: true, SSEType: KMS}.",
        is_off("key", "it is encrypted only with AWS's key"),
        "table",
        _TABLE,
        "BillingMode: PAY_PER_REQUEST",
        "SSESpecification: {SSEEnabled: true}",
        Severity.INFO,
    ),
    data_rule(
        "DATA-022",
        "Table that can be deleted",
        "Removing a stack by mistake deletes the data, too.",
        "Set DeletionProtectionEnabled: true, or DeletionPolicy: Retain.",
        lambda a: (
            None
            if a.settings["protected"] is not False or a.settings["simple"]
            else "it is deleted with its stack"
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
        "Messages are stored unencrypted.",
        "Set SqsManagedSseEnabled: true, or a KmsMasterKeyId.",
        is_off("encrypted", "its messages are stored unencrypted"),
        "queue",
        _QUEUE,
        "SqsManagedSseEnabled: false",
        "SqsManagedSseEnabled: true",
        Severity.MEDIUM,
    ),
    policy_rule(
        "DATA-031",
        "Queue that everybody may use",
        "Strangers can put events into your functions, or take them away.",
        "Name the senders in Principal, or the source in aws:SourceArn.",
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
        title="Queue without a limit for failing messages",
        risk=Risk.ERRORS,
        owasp="SAS-10",
        cwe=755,
        attack="T1499",
        severity=Severity.LOW,
        why="A message that makes its function fail is tried again until it is too old. You "
        "pay each time, and other messages wait.",
        fix="Set RedrivePolicy with a queue for failed messages, and an alarm on that queue.",
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
    Rule(
        id="DATA-033",
        title="Queue that gives messages twice",
        risk=Risk.ERRORS,
        owasp="SAS-10",
        cwe=362,
        severity=Severity.LOW,
        why="While a function still works on a message, another one is given it: orders are made "
        "and mails are sent twice, and whoever can make it slow can make it so.",
        fix="Set VisibilityTimeout to six times the timeout of the function, or shorten that.",
        check=on_aws(_too_soon),
        vulnerable=_reading("Properties: {VisibilityTimeout: 30}"),
        fixed=_reading("Properties: {VisibilityTimeout: 360}"),
    ),
    data_rule(
        "DATA-040",
        "Topic without encryption",
        "Messages are stored unencrypted until they are delivered.",
        "Set KmsMasterKeyId: alias/aws/sns, or a key of your own.",
        is_off("encrypted", "its messages are stored unencrypted"),
        "topic",
        _TOPIC,
        "TopicName: a",
        "KmsMasterKeyId: alias/aws/sns",
    ),
    policy_rule(
        "DATA-041",
        "Topic that everybody may use",
        "Strangers can publish events to your functions, or subscribe and read everything.",
        "Name the publishers in Principal, or the source in aws:SourceArn.",
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
        "Anybody on the network path can read and change them.",
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
        "Records are stored unencrypted.",
        "Set StreamEncryption: {EncryptionType: KMS, KeyId: alias/aws/kinesis}.",
        is_off("encrypted", "its records are stored unencrypted"),
        "stream",
        "AWS::Kinesis::Stream",
        "ShardCount: 1",
        "StreamEncryption: {EncryptionType: KMS, KeyId: alias/aws/kinesis}",
    ),
    data_rule(
        "DATA-050",
        "Database with a public address",
        "Attackers find it and try passwords within hours.",
        "Set PubliclyAccessible: false, and put the functions into the same network.",
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
        "Whoever gets a snapshot or a disk can read it.",
        "Set StorageEncrypted: true.",
        lambda a: (
            "it is stored unencrypted"
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
        "Whatever ransomware or a bug destroys is gone.",
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
        "Database password in the template",
        "Everybody who can read the repository or the stack has it.",
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
        "Removing a stack by mistake deletes the data, too.",
        "Set DeletionProtection: true.",
        lambda a: (
            "it is deleted with its stack"
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
