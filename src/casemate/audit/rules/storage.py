"""Rules about buckets, tables, queues, databases, keys and what else holds data."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from casemate.audit.finding import Severity
from casemate.audit.model import Asset, Statement
from casemate.audit.rule import Check, Hit, Risk, Rule, Subject
from casemate.audit.rules.common import everybody, literal, of_assets
from casemate.audit.rules.examples import resource

Wrong = Callable[[Asset], str | None]
_READS = re.compile(
    r"^\w+:(?:(?:Get|List|Read|Receive|Select|Describe|Query|Scan|ESHttpGet|BatchGet)\w*\*?)$", re.I
)
_SECRETIVE = re.compile(r"passw|secret|token|api[_-]?key|private[_-]?key|credential", re.I)


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
                    )

    return check


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
    for a in subject.application.of_kind("queue"):
        dead = a.name in targets or re.search(r"dlq|dead|failed|redrive", a.name, re.I)
        if not a.settings["dead_letters"] and not dead and _consumed(subject, a.name):
            yield Hit(
                place=a.place,
                text=f"{a.name}: messages that fail are tried for ever, or lost",
                subject=a.name,
            )


def _consumed(subject: Subject, name: str) -> bool:
    return any(t.source == name for f in subject.application.functions for t in f.triggers)


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


def _open(ports: frozenset[int] | None) -> Wrong:
    def wrong(a: Asset) -> str | None:
        for first, last in a.settings["open"]:
            if first is None or last is None:
                continue
            if ports is None and (first, last) == (0, 65535):
                return "every port is open to everybody"
            if ports is not None and (first, last) != (0, 65535):
                found = sorted(p for p in ports if first <= p <= last)
                if found:
                    return f"port {found[0]} is open to everybody"
        return None

    return wrong


_ADMIN_PORTS = frozenset((22, 23, 3389, 5900, 2375, 5985))
_DATA_PORTS = frozenset((1433, 1521, 3306, 5432, 6379, 9200, 11211, 27017, 5439, 9092))


def _secret(a: Asset) -> str | None:
    value = literal(a.settings["value"])
    return (
        "its value stands in the template"
        if value and value not in ("{}", "CHANGE_ME", "changeme")
        else None
    )


def _parameter(a: Asset) -> str | None:
    value = literal(a.settings["value"])
    if value and not a.settings["secure"] and _SECRETIVE.search(a.name) and len(value) >= 8:
        return "by its name it is a secret, and it is kept and shown in clear"
    return None


def _is(name: str, bad: object, text: str) -> Wrong:
    return lambda a: text if a.settings.get(name) == bad else None


def _unset(name: str, text: str) -> Wrong:
    """Return a check of a flag that is off, or not said; what is not known passes."""
    return lambda a: text if a.settings.get(name) is False else None


def _rule(
    id: str,
    title: str,
    why: str,
    fix: str,
    wrong: Wrong,
    kind: str,
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
) -> Rule:
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
        check=of_assets(kind, wrong),
        vulnerable=resource(type, bad, more),
        fixed=resource(type, good, more if more_fixed is None else more_fixed),
    )


def _policy(
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
        check=_public(kinds, writes),
        vulnerable=resource(type, "", policy),
        fixed=resource(type, "", good),
    )


_BUCKET, _TABLE, _QUEUE, _TOPIC = (
    "AWS::S3::Bucket",
    "AWS::DynamoDB::Table",
    "AWS::SQS::Queue",
    "AWS::SNS::Topic",
)
_DB = "AWS::RDS::DBInstance"
_ENGINE = "Engine: postgres\nStorageEncrypted: true\nBackupRetentionPeriod: 7\n"
_CLOSED = "{BlockPublicAcls: true, BlockPublicPolicy: true, IgnorePublicAcls: true, RestrictPublicBuckets: true}"


def _attached(type: str, key: str, action: str, principal: str, condition: str = "") -> str:
    return (
        f"Policy:\n  Type: {type}\n  Properties:\n    {key}\n    PolicyDocument:\n      Statement:\n"
        f"        - Effect: Allow\n          Principal: {principal}\n          Action: '{action}'\n          Resource: '*'\n"
        + (f"          Condition: {condition}\n" if condition else "")
    )


_OWN = "{AWS: !Ref Reader}"
_TO_BUCKET = "AWS::S3::BucketPolicy", "Bucket: !Ref Thing"
_TO_QUEUE = "AWS::SQS::QueuePolicy", "Queues: [!Ref Thing]"
_TO_TOPIC = "AWS::SNS::TopicPolicy", "Topics: [!Ref Thing]"
_TO_SECRET = "AWS::SecretsManager::ResourcePolicy", "SecretId: !Ref Thing"
_KEY = "KeyPolicy: {Statement: [{Effect: Allow, Principal: %s, Action: 'kms:*', Resource: '*'}]}\nEnableKeyRotation: true"

RULES = (
    _rule(
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
    ),
    _policy(
        "DATA-002",
        "Bucket that everybody may read",
        "Buckets are found by names that are guessed; all objects are read within hours.",
        "Name who reads in Principal, or let CloudFront read by origin access control.",
        ("bucket",),
        False,
        _BUCKET,
        _attached(*_TO_BUCKET, "s3:GetObject", "'*'"),
        _attached(*_TO_BUCKET, "s3:GetObject", _OWN),
        Severity.MEDIUM,
    ),
    _policy(
        "DATA-003",
        "Bucket that everybody may change",
        "Strangers replace what visitors and functions read, and store what you are held liable for.",
        "Name who writes in Principal; hand out presigned uploads.",
        ("bucket",),
        True,
        _BUCKET,
        _attached(*_TO_BUCKET, "s3:PutObject", "'*'"),
        _attached(*_TO_BUCKET, "s3:PutObject", _OWN),
        Severity.CRITICAL,
    ),
    _rule(
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
    _rule(
        "DATA-005",
        "Bucket without versions",
        "What ransomware overwrites or a fault deletes is gone.",
        "Set VersioningConfiguration: {Status: Enabled} and a lifecycle.",
        _unset("versioned", "what is overwritten is gone"),
        "bucket",
        _BUCKET,
        "BucketName: a-bucket",
        "VersioningConfiguration: {Status: Enabled}",
        Severity.INFO,
        owasp="SAS-06",
        cwe=693,
        attack="T1485",
    ),
    _rule(
        "DATA-006",
        "Bucket without access logs",
        "Who read what cannot be told.",
        "Set LoggingConfiguration, or data events in CloudTrail.",
        _unset("logged", "no access log is kept"),
        "bucket",
        _BUCKET,
        "BucketName: a-bucket",
        "LoggingConfiguration: {DestinationBucketName: !Ref Logs}",
        Severity.INFO,
        owasp="SAS-10",
        cwe=778,
        risk=Risk.MONITORING,
    ),
    _rule(
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
    _rule(
        "DATA-008",
        "Bucket as a public website",
        "The whole bucket is published, without TLS.",
        "Serve it through CloudFront with origin access control.",
        _is("website", True, "it is published as a website"),
        "bucket",
        _BUCKET,
        "WebsiteConfiguration: {IndexDocument: index.html}",
        "BucketName: a-bucket",
        Severity.LOW,
        cwe=319,
    ),
    _rule(
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
        check=_other_account,
        vulnerable=resource(
            _BUCKET,
            "",
            _attached(*_TO_BUCKET, "s3:GetObject", "{AWS: 'arn:aws:iam::123456789012:root'}"),
        ),
        fixed=resource(_BUCKET, "", _attached(*_TO_BUCKET, "s3:GetObject", _OWN)),
    ),
    _rule(
        "DATA-020",
        "Table without a way back",
        "What an attacker or a fault deletes is gone.",
        "Set PointInTimeRecoveryEnabled: true.",
        _unset("recovery", "no state of before can be restored"),
        "table",
        _TABLE,
        "BillingMode: PAY_PER_REQUEST",
        "PointInTimeRecoverySpecification: {PointInTimeRecoveryEnabled: true}",
        owasp="SAS-06",
        cwe=693,
        attack="T1485",
    ),
    _rule(
        "DATA-021",
        "Table without a key of yours",
        "Everybody reads it who may read tables in the account; with a key of yours each reader needs that as well.",
        "Set SSESpecification: {SSEEnabled: true, SSEType: KMS}.",
        _unset("key", "it is encrypted with AWS's key alone"),
        "table",
        _TABLE,
        "BillingMode: PAY_PER_REQUEST",
        "SSESpecification: {SSEEnabled: true}",
        Severity.INFO,
    ),
    _rule(
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
    _rule(
        "DATA-030",
        "Queue without encryption",
        "Messages lie in clear.",
        "Set SqsManagedSseEnabled: true, or a KmsMasterKeyId.",
        _unset("encrypted", "its messages lie in clear"),
        "queue",
        _QUEUE,
        "SqsManagedSseEnabled: false",
        "SqsManagedSseEnabled: true",
        Severity.MEDIUM,
    ),
    _policy(
        "DATA-031",
        "Queue that everybody may use",
        "Strangers put events into your functions, or take them away.",
        "Name who sends in Principal, or the source in aws:SourceArn.",
        ("queue",),
        True,
        _QUEUE,
        _attached(*_TO_QUEUE, "sqs:SendMessage", "'*'"),
        _attached(
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
        check=_not_dead,
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
    _rule(
        "DATA-040",
        "Topic without encryption",
        "Messages lie in clear until they are delivered.",
        "Set KmsMasterKeyId: alias/aws/sns, or a key of yours.",
        _unset("encrypted", "its messages lie in clear"),
        "topic",
        _TOPIC,
        "TopicName: a",
        "KmsMasterKeyId: alias/aws/sns",
    ),
    _policy(
        "DATA-041",
        "Topic that everybody may use",
        "Strangers publish events to your functions, or subscribe and read all.",
        "Name who publishes in Principal, or the source in aws:SourceArn.",
        ("topic",),
        True,
        _TOPIC,
        _attached(*_TO_TOPIC, "sns:Publish", "'*'"),
        _attached(
            *_TO_TOPIC,
            "sns:Publish",
            "'*'",
            "{StringEquals: {'aws:SourceAccount': !Ref 'AWS::AccountId'}}",
        ),
        Severity.HIGH,
    ),
    _rule(
        "DATA-042",
        "Messages delivered without encryption",
        "Everybody on the way reads and changes them.",
        "Subscribe with https.",
        _is("plain_http", True, "it delivers by HTTP"),
        "subscription",
        "AWS::SNS::Subscription",
        "Protocol: http\nTopicArn: !Ref T",
        "Protocol: https\nTopicArn: !Ref T",
        Severity.MEDIUM,
        cwe=319,
    ),
    _rule(
        "DATA-043",
        "Stream without encryption",
        "Records lie in clear.",
        "Set StreamEncryption: {EncryptionType: KMS, KeyId: alias/aws/kinesis}.",
        _unset("encrypted", "its records lie in clear"),
        "stream",
        "AWS::Kinesis::Stream",
        "ShardCount: 1",
        "StreamEncryption: {EncryptionType: KMS, KeyId: alias/aws/kinesis}",
    ),
    _rule(
        "DATA-050",
        "Database with an address for everybody",
        "It is found and its passwords are tried within hours.",
        "Set PubliclyAccessible: false; put functions into the same network.",
        _is("public", True, "it has a public address"),
        "database",
        _DB,
        _ENGINE + "PubliclyAccessible: true",
        _ENGINE + "PubliclyAccessible: false",
        Severity.HIGH,
        owasp="SAS-05",
        cwe=284,
        attack="T1190",
    ),
    _rule(
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
    _rule(
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
    _rule(
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
    _rule(
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
    _rule(
        "DATA-060",
        "Key that is never changed",
        "What it protected once it protects for ever; who had it once has it for ever.",
        "Set EnableKeyRotation: true.",
        lambda a: (
            "it is not rotated"
            if a.settings["rotated"] is False and a.settings["symmetric"]
            else None
        ),
        "key",
        "AWS::KMS::Key",
        "Description: a",
        "EnableKeyRotation: true",
        cwe=324,
    ),
    _policy(
        "DATA-061",
        "Key that everybody may use",
        "Every account of AWS decrypts what is encrypted with it.",
        "Name the account or roles in Principal.",
        ("key",),
        True,
        "AWS::S3::Bucket",
        "Key:\n  Type: AWS::KMS::Key\n  Properties: {"
        + "KeyPolicy: {Statement: [{Effect: Allow, Principal: '*', Action: 'kms:*', Resource: '*'}]}}",
        "Key:\n  Type: AWS::KMS::Key\n  Properties: {"
        + "KeyPolicy: {Statement: [{Effect: Allow, Principal: {AWS: !Sub 'arn:aws:iam::${AWS::AccountId}:root'}, Action: 'kms:*', Resource: '*'}]}}",
        Severity.CRITICAL,
    ),
    _policy(
        "DATA-062",
        "Secret that everybody may read",
        "Every account of AWS reads it.",
        "Name who reads in Principal.",
        ("secret",),
        False,
        "AWS::SecretsManager::Secret",
        _attached(*_TO_SECRET, "secretsmanager:GetSecretValue", "'*'").replace(
            "PolicyDocument", "ResourcePolicy"
        ),
        _attached(*_TO_SECRET, "secretsmanager:GetSecretValue", _OWN).replace(
            "PolicyDocument", "ResourcePolicy"
        ),
        Severity.CRITICAL,
    ),
    _rule(
        "DATA-063",
        "Value of a secret in the template",
        "Everybody who reads the repository or the stack has it.",
        "Use GenerateSecretString, or set the value outside of the template.",
        _secret,
        "secret",
        "AWS::SecretsManager::Secret",
        "SecretString: hunter2-and-more",
        "GenerateSecretString: {PasswordLength: 32}",
        Severity.HIGH,
        cwe=798,
        attack="T1552.001",
        risk=Risk.PERMISSIONS,
    ),
    Rule(
        id="DATA-064",
        title="Parameter that should be a secret",
        risk=Risk.PERMISSIONS,
        owasp="SAS-03",
        cwe=312,
        attack="T1552.001",
        severity=Severity.HIGH,
        why="Its value stands in the template, and everybody reads it who may list parameters.",
        fix="Make it a SecureString or a secret, its value set outside of the template.",
        check=of_assets("parameter", _parameter),
        vulnerable=resource(
            "AWS::S3::Bucket",
            "",
            "DatabasePassword:\n  Type: AWS::SSM::Parameter\n  Properties: {Type: String, Value: tr0ub4dor3}",
        ),
        fixed=resource(
            "AWS::S3::Bucket",
            "",
            "DatabasePassword:\n  Type: AWS::SSM::Parameter\n  Properties: {Type: String, Value: !Ref Given}",
        ),
    ),
    _rule(
        "DATA-070",
        "Search without encryption",
        "Its indexes lie in clear.",
        "Set EncryptionAtRestOptions: {Enabled: true}.",
        _unset("encrypted", "its indexes lie in clear"),
        "search",
        "AWS::OpenSearchService::Domain",
        "EngineVersion: OpenSearch_2.11",
        "EncryptionAtRestOptions: {Enabled: true}",
        Severity.MEDIUM,
    ),
    _rule(
        "DATA-071",
        "Search that answers without encryption",
        "Everybody on the way reads it.",
        "Set EnforceHTTPS: true.",
        _unset("tls", "it answers HTTP"),
        "search",
        "AWS::OpenSearchService::Domain",
        "EngineVersion: OpenSearch_2.11",
        "DomainEndpointOptions: {EnforceHTTPS: true}",
        Severity.MEDIUM,
        cwe=319,
    ),
    _policy(
        "DATA-072",
        "Search that everybody may use",
        "Indexes are read, changed and held to ransom within days.",
        "Name roles in Principal, or put it into a network of yours.",
        ("search",),
        True,
        "AWS::S3::Bucket",
        "Search:\n  Type: AWS::OpenSearchService::Domain\n  Properties: {AccessPolicies: {Statement: [{Effect: Allow, Principal: '*', Action: 'es:*', Resource: '*'}]}}",
        "Search:\n  Type: AWS::OpenSearchService::Domain\n  Properties: {AccessPolicies: {Statement: [{Effect: Allow, Principal: {AWS: !Ref Reader}, Action: 'es:*', Resource: '*'}]}}",
        Severity.CRITICAL,
    ),
    _rule(
        "DATA-073",
        "Cache without encryption",
        "What it holds lies in clear.",
        "Set AtRestEncryptionEnabled: true.",
        lambda a: (
            "it lies in clear" if a.settings["group"] and a.settings["encrypted"] is False else None
        ),
        "cache",
        "AWS::ElastiCache::ReplicationGroup",
        "Engine: redis",
        "AtRestEncryptionEnabled: true",
    ),
    _rule(
        "DATA-074",
        "Cache that is asked without encryption",
        "Everybody in the network reads and changes it.",
        "Set TransitEncryptionEnabled: true.",
        lambda a: (
            "it is asked in clear" if a.settings["group"] and a.settings["tls"] is False else None
        ),
        "cache",
        "AWS::ElastiCache::ReplicationGroup",
        "Engine: redis",
        "TransitEncryptionEnabled: true",
        cwe=319,
    ),
    _rule(
        "DATA-075",
        "Images that can be replaced",
        "A tag that was tested is moved to something else.",
        "Set ImageTagMutability: IMMUTABLE.",
        _unset("immutable", "its tags can be moved"),
        "registry",
        "AWS::ECR::Repository",
        "RepositoryName: a",
        "ImageTagMutability: IMMUTABLE",
        owasp="SAS-09",
        cwe=494,
        attack="T1525",
        risk=Risk.DEPENDENCIES,
    ),
    _rule(
        "DATA-076",
        "Images that are not scanned",
        "Known holes in them stay unseen.",
        "Set ScanOnPush: true.",
        _unset("scans", "what is pushed is not scanned"),
        "registry",
        "AWS::ECR::Repository",
        "RepositoryName: a",
        "ImageScanningConfiguration: {ScanOnPush: true}",
        Severity.INFO,
        owasp="SAS-09",
        cwe=1104,
        risk=Risk.DEPENDENCIES,
    ),
    _rule(
        "DATA-077",
        "Files without encryption",
        "They lie in clear.",
        "Set Encrypted: true.",
        _unset("encrypted", "its files lie in clear"),
        "file-system",
        "AWS::EFS::FileSystem",
        "PerformanceMode: generalPurpose",
        "Encrypted: true",
        Severity.MEDIUM,
    ),
    _rule(
        "DATA-080",
        "Way in for administrators open to everybody",
        "SSH and remote desktops are attacked within minutes.",
        "Name the addresses of administrators, or use Session Manager.",
        _open(_ADMIN_PORTS),
        "network",
        "AWS::EC2::SecurityGroup",
        "GroupDescription: a\nSecurityGroupIngress: [{IpProtocol: tcp, FromPort: 22, ToPort: 22, CidrIp: 0.0.0.0/0}]",
        "GroupDescription: a\nSecurityGroupIngress: [{IpProtocol: tcp, FromPort: 22, ToPort: 22, CidrIp: 10.0.0.0/8}]",
        Severity.HIGH,
        owasp="SAS-06",
        cwe=284,
        attack="T1133",
    ),
    _rule(
        "DATA-081",
        "Database port open to everybody",
        "Databases are attacked within minutes.",
        "Let in the security group of the functions alone.",
        _open(_DATA_PORTS),
        "network",
        "AWS::EC2::SecurityGroup",
        "GroupDescription: a\nSecurityGroupIngress: [{IpProtocol: tcp, FromPort: 5432, ToPort: 5432, CidrIp: 0.0.0.0/0}]",
        "GroupDescription: a\nSecurityGroupIngress: [{IpProtocol: tcp, FromPort: 5432, ToPort: 5432, SourceSecurityGroupId: !Ref F}]",
        Severity.HIGH,
        owasp="SAS-06",
        cwe=284,
        attack="T1190",
    ),
    _rule(
        "DATA-082",
        "Every port open to everybody",
        "Whatever listens there is attacked.",
        "Open the ports that are needed to who needs them.",
        _open(None),
        "network",
        "AWS::EC2::SecurityGroup",
        "GroupDescription: a\nSecurityGroupIngress: [{IpProtocol: '-1', CidrIp: 0.0.0.0/0}]",
        "GroupDescription: a\nSecurityGroupIngress: [{IpProtocol: tcp, FromPort: 443, ToPort: 443, CidrIp: 0.0.0.0/0}]",
        Severity.HIGH,
        owasp="SAS-06",
        cwe=284,
        attack="T1190",
    ),
    _rule(
        "DATA-090",
        "Workflow without logs",
        "What it did, and with what, cannot be told.",
        "Set LoggingConfiguration with Level: ERROR or ALL.",
        _unset("logged", "no logs are kept"),
        "workflow",
        "AWS::StepFunctions::StateMachine",
        "DefinitionString: '{}'",
        "LoggingConfiguration: {Level: ALL}",
        Severity.LOW,
        owasp="SAS-10",
        cwe=778,
        risk=Risk.MONITORING,
    ),
    _rule(
        "DATA-091",
        "Workflow without traces",
        "The way of an execution through functions cannot be followed.",
        "Set TracingConfiguration: {Enabled: true}.",
        _unset("tracing", "it leaves no traces"),
        "workflow",
        "AWS::StepFunctions::StateMachine",
        "DefinitionString: '{}'",
        "TracingConfiguration: {Enabled: true}",
        Severity.INFO,
        owasp="SAS-10",
        cwe=778,
        risk=Risk.MONITORING,
    ),
    _rule(
        "DATA-092",
        "Workflow that logs its data",
        "What people entered is in the logs.",
        "Set IncludeExecutionData: false.",
        _is("log_data", True, "inputs and outputs are in its logs"),
        "workflow",
        "AWS::StepFunctions::StateMachine",
        "LoggingConfiguration: {Level: ALL, IncludeExecutionData: true}",
        "LoggingConfiguration: {Level: ALL, IncludeExecutionData: false}",
        Severity.LOW,
        cwe=532,
        risk=Risk.MONITORING,
    ),
)

