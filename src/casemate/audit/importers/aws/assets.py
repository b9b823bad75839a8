"""Buckets, tables, queues and what else an application has: in the words of the model."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from casemate.audit.importers.aws.doors import DOORS, Settings
from casemate.audit.importers.aws.networks import groups_inside
from casemate.audit.importers.aws.permissions import statements_of
from casemate.audit.importers.aws.resource import (
    Resource,
    at,
    listed,
    number,
    referred,
    text,
    truth,
)
from casemate.audit.model import Asset, Statement
from casemate.audit.notes import Notes

_BLOCKS = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")


def _json(value: Any) -> Any:
    try:
        return json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        return None


def _all(values: list[bool | None]) -> bool | None:
    return False if False in values else None if None in values else True


def _bucket(each: Resource) -> Settings:
    blocks = each.get("PublicAccessBlockConfiguration")
    blocked = (
        _all([truth(at(blocks, name)) for name in _BLOCKS]) if isinstance(blocks, dict) else None
    )
    rules = each.list("CorsConfiguration", "CorsRules")
    encryption = json.dumps(each.get("BucketEncryption") or "")
    return {
        "acl": each.text("AccessControl"),
        "blocked": blocked,
        "block_declared": blocks is not None,
        "key": "aws:kms" in encryption,
        "versioned": each.text("VersioningConfiguration", "Status") == "Enabled",
        "logged": each.get("LoggingConfiguration") is not None,
        "website": each.get("WebsiteConfiguration") is not None,
        "cors_any": any("*" in listed(at(r, "AllowedOrigins")) for r in rules),
        "cors_writes": any(
            {"PUT", "POST", "DELETE"} & set(map(text, listed(at(r, "AllowedMethods"))))
            for r in rules
            if "*" in listed(at(r, "AllowedOrigins"))
        ),
        "kept": each.attributes.get("DeletionPolicy") == "Retain",
        "notifies": each.get("NotificationConfiguration") is not None,
        "ownership": json.dumps(each.get("OwnershipControls") or ""),
    }


def _table(each: Resource) -> Settings:
    return {
        "key": truth(each.get("SSESpecification", "SSEEnabled")),
        "recovery": truth(
            each.get("PointInTimeRecoverySpecification", "PointInTimeRecoveryEnabled")
        )
        or bool(at(each.list("Replicas"), 0, "PointInTimeRecoverySpecification")),
        "protected": truth(each.get("DeletionProtectionEnabled"))
        or each.attributes.get("DeletionPolicy") == "Retain",
        "simple": each.type == "AWS::Serverless::SimpleTable",
        "schema": _schema(each),
        "indexes": _indexes(each),
        "expires": each.text("TimeToLiveSpecification", "AttributeName")
        if truth(each.get("TimeToLiveSpecification", "Enabled"), default=True)
        else "",
    }


def _schema(each: Resource, *path: str | int) -> tuple[tuple[str, str], ...]:
    """Return the attributes that items are found by, each with its type: the key, the sort."""
    if each.type == "AWS::Serverless::SimpleTable":
        kinds = {"String": "S", "Number": "N", "Binary": "B"}
        kind = kinds.get(each.text("PrimaryKey", "Type") or "String", "")
        return ((each.text("PrimaryKey", "Name") or "id", kind),)
    types = {
        text(at(one, "AttributeName")): text(at(one, "AttributeType"))
        for one in each.list("AttributeDefinitions")
    }
    found = {
        text(at(one, "KeyType")): text(at(one, "AttributeName"))
        for one in each.list(*path, "KeySchema")
    }
    names = [found[kind] for kind in ("HASH", "RANGE") if kind in found]
    return tuple((name, types.get(name, "")) for name in names)


def _indexes(each: Resource) -> tuple[tuple[str, tuple[tuple[str, str], ...]], ...]:
    """Return the secondary indexes by their names."""
    return tuple(
        (each.text(key, number, "IndexName"), _schema(each, key, number))
        for key in ("GlobalSecondaryIndexes", "LocalSecondaryIndexes")
        for number in range(len(each.list(key)))
    )


def _queue(each: Resource) -> Settings:
    return {
        "encrypted": bool(each.get("KmsMasterKeyId"))
        or truth(each.get("SqsManagedSseEnabled"), default=True),
        "dead_letters": each.get("RedrivePolicy") is not None,
        "dead_letter_target": referred(
            each.get("RedrivePolicy", "deadLetterTargetArn")
            or at(_json(each.get("RedrivePolicy")), "deadLetterTargetArn")
        ),
        "visibility": number(each.get("VisibilityTimeout")),
        "visibility_said": each.get("VisibilityTimeout") is not None,
        "visibility_place": each.where("VisibilityTimeout"),
        "receives": number(
            each.get("RedrivePolicy", "maxReceiveCount")
            or at(_json(each.get("RedrivePolicy")), "maxReceiveCount")
        ),
    }


def _database(each: Resource) -> Settings:
    return {
        "public": truth(each.get("PubliclyAccessible")),
        "encrypted": truth(each.get("StorageEncrypted")) or truth(each.get("Encrypted")),
        "backup_days": number(each.get("BackupRetentionPeriod")),
        "protected": truth(each.get("DeletionProtection")),
        "password": each.get("MasterUserPassword"),
        "in_cluster": each.get("DBClusterIdentifier") is not None,
        "serverless": each.get("ServerlessV2ScalingConfiguration") is not None,
        "logs": bool(each.get("EnableCloudwatchLogsExports")),
        "cluster": each.type == "AWS::RDS::DBCluster",
        "rds": each.type.startswith("AWS::RDS"),
    }


def _key(each: Resource) -> Settings:
    return {
        "rotated": truth(each.get("EnableKeyRotation")),
        "symmetric": each.text("KeySpec") in ("", "SYMMETRIC_DEFAULT"),
    }


def _workflow(each: Resource) -> Settings:
    level = each.text("LoggingConfiguration", "Level") or each.text("Logging", "Level")
    return {
        "logged": bool(level) and level != "OFF",
        "log_data": truth(each.get("LoggingConfiguration", "IncludeExecutionData"))
        or truth(each.get("Logging", "IncludeExecutionData")),
        "tracing": truth(each.get("TracingConfiguration", "Enabled"))
        or truth(each.get("Tracing", "Enabled")),
    }


def _group(each: Resource) -> Settings:
    opened = []
    for rule in each.list("SecurityGroupIngress"):
        if "0.0.0.0/0" in (at(rule, "CidrIp"),) or "::/0" in (at(rule, "CidrIpv6"),):
            first, last = number(at(rule, "FromPort")), number(at(rule, "ToPort"))
            if text(at(rule, "IpProtocol")) == "-1":
                first, last = 0, 65535
            opened.append((first, last))
    return {"open": tuple(opened)}


def _ingress(each: Resource) -> Settings:
    found = Resource(each.name, each.type, {"SecurityGroupIngress": [each.properties]}, each.place)
    return _group(found)


def _group_of(each: Resource) -> str:
    return referred(each.get("GroupId")) or each.name


def _secret(each: Resource) -> Settings:
    return {
        "value": each.get("SecretString"),
        "generated": each.get("GenerateSecretString") is not None,
    }


def _parameter(each: Resource) -> Settings:
    return {"value": each.get("Value"), "secure": each.text("Type") == "SecureString"}


def _alarm(each: Resource) -> Settings:
    return {
        "namespace": each.text("Namespace"),
        "metric": each.text("MetricName"),
        "actions": bool(each.get("AlarmActions")),
        "dimensions": json.dumps(each.get("Dimensions") or each.get("Metrics") or ""),
    }


def _role(each: Resource) -> Settings:
    return {"boundary": each.get("PermissionsBoundary") is not None}


def _topic(each: Resource) -> Settings:
    subscriptions = [*each.list("Subscription"), each.properties]
    return {
        "encrypted": bool(each.get("KmsMasterKeyId")),
        "plain_http": any(text(at(s, "Protocol")) == "http" for s in subscriptions),
    }


def _log_group(each: Resource) -> Settings:
    return {
        "days": number(each.get("RetentionInDays")),
        "days_said": each.get("RetentionInDays") is not None,
        "key": bool(each.get("KmsKeyId")),
        "group": each.text("LogGroupName"),
    }


def _stream(each: Resource) -> Settings:
    return {
        "encrypted": each.get("StreamEncryption") is not None
        or each.get("DeliveryStreamEncryptionConfigurationInput") is not None
    }


def _search(each: Resource) -> Settings:
    return {
        "encrypted": truth(each.get("EncryptionAtRestOptions", "Enabled")),
        "between": truth(each.get("NodeToNodeEncryptionOptions", "Enabled")),
        "tls": truth(each.get("DomainEndpointOptions", "EnforceHTTPS")),
        "inside": each.get("VPCOptions") is not None,
        "signed in": truth(each.get("AdvancedSecurityOptions", "Enabled")),
    }


def _cache(each: Resource) -> Settings:
    return {
        "encrypted": truth(each.get("AtRestEncryptionEnabled")),
        "tls": truth(each.get("TransitEncryptionEnabled")),
        "group": each.type.endswith("ReplicationGroup"),
    }


def _registry(each: Resource) -> Settings:
    return {
        "scans": truth(each.get("ImageScanningConfiguration", "ScanOnPush")),
        "immutable": each.text("ImageTagMutability") == "IMMUTABLE",
    }


def _mapping(each: Resource) -> Settings:
    return {
        "source": each.text("EventSourceArn"),
        "on_failure": each.get("DestinationConfig", "OnFailure") is not None,
        "retries": number(each.get("MaximumRetryAttempts")),
        "partial": "ReportBatchItemFailures" in each.list("FunctionResponseTypes"),
    }


def _file_system(each: Resource) -> Settings:
    return {"encrypted": truth(each.get("Encrypted"))}


KINDS: Mapping[str, tuple[str, Callable[[Resource], Settings]]] = {
    **DOORS,
    "AWS::S3::Bucket": ("bucket", _bucket),
    "AWS::DynamoDB::Table": ("table", _table),
    "AWS::DynamoDB::GlobalTable": ("table", _table),
    "AWS::Serverless::SimpleTable": ("table", _table),
    "AWS::SQS::Queue": ("queue", _queue),
    "AWS::SNS::Topic": ("topic", _topic),
    "AWS::SNS::Subscription": ("subscription", _topic),
    "AWS::RDS::DBInstance": ("database", _database),
    "AWS::RDS::DBCluster": ("database", _database),
    "AWS::Redshift::Cluster": ("database", _database),
    "AWS::DocDB::DBCluster": ("database", _database),
    "AWS::KMS::Key": ("key", _key),
    "AWS::StepFunctions::StateMachine": ("workflow", _workflow),
    "AWS::Serverless::StateMachine": ("workflow", _workflow),
    "AWS::Logs::LogGroup": ("log-group", _log_group),
    "AWS::Kinesis::Stream": ("stream", _stream),
    "AWS::KinesisFirehose::DeliveryStream": ("stream", _stream),
    "AWS::EC2::SecurityGroup": ("network", _group),
    "AWS::EC2::SecurityGroupIngress": ("network", _ingress),
    "AWS::SecretsManager::Secret": ("secret", _secret),
    "AWS::SecretsManager::RotationSchedule": ("rotation", lambda each: {}),
    "AWS::SSM::Parameter": ("parameter", _parameter),
    "AWS::CloudWatch::Alarm": ("alarm", _alarm),
    "AWS::CloudWatch::CompositeAlarm": ("alarm", _alarm),
    "AWS::IAM::Role": ("role", _role),
    "AWS::OpenSearchService::Domain": ("search", _search),
    "AWS::Elasticsearch::Domain": ("search", _search),
    "AWS::ElastiCache::ReplicationGroup": ("cache", _cache),
    "AWS::ElastiCache::CacheCluster": ("cache", _cache),
    "AWS::ECR::Repository": ("registry", _registry),
    "AWS::Lambda::EventSourceMapping": ("mapping", _mapping),
    "AWS::EFS::FileSystem": ("file-system", _file_system),
    "AWS::IAM::User": ("user", lambda each: {}),
    "AWS::IAM::AccessKey": ("access-key", lambda each: {}),
}
_NAMED = {
    "bucket": "BucketName",
    "table": "TableName",
    "queue": "QueueName",
    "topic": "TopicName",
    "secret": "Name",
    "parameter": "Name",
}
"""What the platform itself calls an asset, where the template says so."""
_POLICIES = {
    "AWS::S3::BucketPolicy": ("Bucket",),
    "AWS::SQS::QueuePolicy": ("Queues",),
    "AWS::SNS::TopicPolicy": ("Topics",),
    "AWS::SecretsManager::ResourcePolicy": ("SecretId",),
}
_OWN = (
    "KeyPolicy",
    "Policy",
    "ResourcePolicy",
    "RepositoryPolicyText",
    "AccessPolicies",
    "FileSystemPolicy",
    "AssumeRolePolicyDocument",
)


def assets_of(named: Mapping[str, Resource], notes: Notes) -> tuple[Asset, ...]:
    """Return all assets, each with the policies that say who else may use it."""
    policies: dict[str, list[Statement]] = {}
    for each in named.values():
        for key in _POLICIES.get(each.type, ()):
            where = each.where("PolicyDocument")
            found = statements_of(
                each.get("PolicyDocument") or each.get("ResourcePolicy"), where, each.name, notes
            )
            for target in each.list(key):
                policies.setdefault(referred(target) or text(target), []).extend(found)
    made, inside = [], groups_inside(named.values())
    for each in named.values():
        kind, settings_of = KINDS.get(each.type, ("", None))
        if settings_of is None:
            continue
        own = list(policies.pop(each.name, ()))
        if kind == "bucket":
            own += policies.pop(each.text("BucketName"), [])
        for key in _OWN:
            if each.get(key) is not None:
                own += statements_of(each.get(key), each.where(key), "own", notes)
        made.append(
            Asset(
                kind=kind,
                name=each.name,
                type=each.type,
                settings={
                    **settings_of(each),
                    "named": each.text(_NAMED.get(kind, "")),
                    **({"inside": _group_of(each) in inside} if kind == "network" else {}),
                },
                policy=tuple(own),
                place=each.place,
            )
        )
    for target, found in policies.items():  # of what is not in the template
        if found:
            made.append(
                Asset(kind="policy", name=target, policy=tuple(found), place=found[0].place)
            )
    return tuple(made)
