"""Rules about keys, secrets, search, caches, registries, networks and workflows."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from casemate.audit.finding import Severity
from casemate.audit.model import Asset, Platform
from casemate.audit.rule import Hit, Risk, Rule, Subject
from casemate.audit.rules.common import Wrong, literal, of_assets
from casemate.audit.rules.examples import resource
from casemate.audit.rules.resource_rules import attached, data_rule, is_off, is_set, policy_rule

_SECRETIVE = re.compile(r"passw|secret|token|api[_-]?key|private[_-]?key|credential", re.I)


_ADMIN_PORTS = frozenset((22, 23, 3389, 5900, 2375, 5985))

_DATA_PORTS = frozenset((1433, 1521, 3306, 5432, 6379, 9200, 11211, 27017, 5439, 9092))


_OWN = "{AWS: !Ref Reader}"

_TO_SECRET = "AWS::SecretsManager::ResourcePolicy", "SecretId: !Ref Thing"


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


def _databases(subject: Subject) -> Iterator[Hit]:
    """Find open ports of databases; milder where nothing that has them can be reached from outside."""
    open_ports = _open(_DATA_PORTS)
    for asset in subject.application.of_kind("network"):
        wrong = open_ports(asset)
        if wrong is None or subject.application.platform is not Platform.AWS:
            continue
        inside = bool(asset.settings.get("inside"))
        rest = "; its members have no public address" if inside else ""
        yield Hit(
            place=asset.place,
            text=f"{asset.name}: {wrong}{rest}",
            subject=asset.name,
            severity=Severity.MEDIUM if inside else None,
        )


def _secret(a: Asset) -> str | None:
    value = literal(a.settings["value"])
    if not value or value in ("CHANGE_ME", "changeme") or not _holds_anything(value):
        return None
    return "its value is in the template"


def _holds_anything(value: str) -> bool:
    """Tell whether a value is more than JSON whose secrets are empty, to be filled in later."""
    try:
        found = msgspec.json.decode(value)
    except (ValueError, RecursionError):
        return True
    if not isinstance(found, dict):
        return bool(found)
    named = [value for key, value in found.items() if _SECRETIVE.search(key)]
    return any(named or found.values())  # beside an empty token stands what is none


def _parameter(a: Asset) -> str | None:
    value = literal(a.settings["value"])
    if value and not a.settings["secure"] and _SECRETIVE.search(a.name) and len(value) >= 8:
        return "its name says that it is a secret, and it is stored and shown in clear text"
    return None


RULES = (
    data_rule(
        "DATA-060",
        "Key that is never rotated",
        "It protects old data for ever, and whoever got it once has it for ever.",
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
    policy_rule(
        "DATA-061",
        "Key that everybody may use",
        "Every AWS account can decrypt what is encrypted with it.",
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
    policy_rule(
        "DATA-062",
        "Secret that everybody may read",
        "Every AWS account can read it.",
        "Name the readers in Principal.",
        ("secret",),
        False,
        "AWS::SecretsManager::Secret",
        attached(*_TO_SECRET, "secretsmanager:GetSecretValue", "'*'").replace(
            "PolicyDocument", "ResourcePolicy"
        ),
        attached(*_TO_SECRET, "secretsmanager:GetSecretValue", _OWN).replace(
            "PolicyDocument", "ResourcePolicy"
        ),
        Severity.CRITICAL,
    ),
    data_rule(
        "DATA-063",
        "Value of a secret in the template",
        "Everybody who can read the repository or the stack has it.",
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
        why="Its value is in the template, and everybody who may list parameters can read it.",
        fix="Make it a SecureString or a secret, and set its value outside of the template.",
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
    data_rule(
        "DATA-070",
        "Search without encryption",
        "Its indexes are stored unencrypted.",
        "Set EncryptionAtRestOptions: {Enabled: true}.",
        is_off("encrypted", "its indexes are stored unencrypted"),
        "search",
        "AWS::OpenSearchService::Domain",
        "EngineVersion: OpenSearch_2.11",
        "EncryptionAtRestOptions: {Enabled: true}",
        Severity.MEDIUM,
    ),
    data_rule(
        "DATA-071",
        "Search that answers without encryption",
        "Anybody on the network path can read the answers.",
        "Set EnforceHTTPS: true.",
        is_off("tls", "it answers HTTP"),
        "search",
        "AWS::OpenSearchService::Domain",
        "EngineVersion: OpenSearch_2.11",
        "DomainEndpointOptions: {EnforceHTTPS: true}",
        Severity.MEDIUM,
        cwe=319,
    ),
    policy_rule(
        "DATA-072",
        "Search that everybody may use",
        "Attackers read, change and ransom open indexes within days.",
        "Name roles in Principal, or put it into a network of your own.",
        ("search",),
        True,
        "AWS::S3::Bucket",
        "Search:\n  Type: AWS::OpenSearchService::Domain\n  Properties: {AccessPolicies: {Statement: [{Effect: Allow, Principal: '*', Action: 'es:*', Resource: '*'}]}}",
        "Search:\n  Type: AWS::OpenSearchService::Domain\n  Properties: {AccessPolicies: {Statement: [{Effect: Allow, Principal: {AWS: !Ref Reader}, Action: 'es:*', Resource: '*'}]}}",
        Severity.CRITICAL,
    ),
    data_rule(
        "DATA-073",
        "Cache without encryption",
        "Its contents are stored unencrypted.",
        "Set AtRestEncryptionEnabled: true.",
        lambda a: (
            "it is stored unencrypted"
            if a.settings["group"] and a.settings["encrypted"] is False
            else None
        ),
        "cache",
        "AWS::ElastiCache::ReplicationGroup",
        "Engine: redis",
        "AtRestEncryptionEnabled: true",
    ),
    data_rule(
        "DATA-074",
        "Cache used without encryption in transit",
        "Anybody in the network can read and change it.",
        "Set TransitEncryptionEnabled: true.",
        lambda a: (
            "it is used without encryption"
            if a.settings["group"] and a.settings["tls"] is False
            else None
        ),
        "cache",
        "AWS::ElastiCache::ReplicationGroup",
        "Engine: redis",
        "TransitEncryptionEnabled: true",
        cwe=319,
    ),
    data_rule(
        "DATA-075",
        "Images that can be replaced",
        "A tag that was tested can be moved to a different image.",
        "Set ImageTagMutability: IMMUTABLE.",
        is_off("immutable", "its tags can be moved"),
        "registry",
        "AWS::ECR::Repository",
        "RepositoryName: a",
        "ImageTagMutability: IMMUTABLE",
        owasp="SAS-09",
        cwe=494,
        attack="T1525",
        risk=Risk.DEPENDENCIES,
    ),
    data_rule(
        "DATA-076",
        "Images that are not scanned",
        "Known vulnerabilities in them stay unnoticed.",
        "Set ScanOnPush: true.",
        is_off("scans", "pushed images are not scanned"),
        "registry",
        "AWS::ECR::Repository",
        "RepositoryName: a",
        "ImageScanningConfiguration: {ScanOnPush: true}",
        Severity.INFO,
        owasp="SAS-09",
        cwe=1104,
        risk=Risk.DEPENDENCIES,
    ),
    data_rule(
        "DATA-077",
        "Files without encryption",
        "They are stored unencrypted.",
        "Set Encrypted: true.",
        is_off("encrypted", "its files are stored unencrypted"),
        "file-system",
        "AWS::EFS::FileSystem",
        "PerformanceMode: generalPurpose",
        "Encrypted: true",
        Severity.MEDIUM,
    ),
    data_rule(
        "DATA-080",
        "Administration port open to everybody",
        "SSH and remote desktops are attacked within minutes.",
        "Name the administrators' addresses, or use Session Manager.",
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
    msgspec.structs.replace(
        data_rule(
            "DATA-081",
            "Database port open to everybody",
            "Databases are attacked within minutes.",
            "Let in only the security group of the functions.",
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
        check=_databases,
    ),
    data_rule(
        "DATA-082",
        "Every port open to everybody",
        "Whatever listens there is attacked.",
        "Open only the needed ports, and only to those who need them.",
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
    data_rule(
        "DATA-090",
        "Workflow without logs",
        "Nobody can tell what it did, and with which data.",
        "Set LoggingConfiguration with Level: ERROR or ALL.",
        is_off("logged", "no logs are kept"),
        "workflow",
        "AWS::StepFunctions::StateMachine",
        "DefinitionString: '{}'",
        "LoggingConfiguration: {Level: ALL}",
        Severity.LOW,
        owasp="SAS-10",
        cwe=778,
        risk=Risk.MONITORING,
    ),
    data_rule(
        "DATA-091",
        "Workflow without traces",
        "Nobody can follow an execution through functions.",
        "Set TracingConfiguration: {Enabled: true}.",
        is_off("tracing", "it leaves no traces"),
        "workflow",
        "AWS::StepFunctions::StateMachine",
        "DefinitionString: '{}'",
        "TracingConfiguration: {Enabled: true}",
        Severity.INFO,
        owasp="SAS-10",
        cwe=778,
        risk=Risk.MONITORING,
    ),
    data_rule(
        "DATA-092",
        "Workflow that logs its data",
        "Personal input is in the logs.",
        "Set IncludeExecutionData: false.",
        is_set("log_data", True, "inputs and outputs are in its logs"),
        "workflow",
        "AWS::StepFunctions::StateMachine",
        "LoggingConfiguration: {Level: ALL, IncludeExecutionData: true}",
        "LoggingConfiguration: {Level: ALL, IncludeExecutionData: false}",
        Severity.LOW,
        cwe=532,
        risk=Risk.MONITORING,
    ),
)
