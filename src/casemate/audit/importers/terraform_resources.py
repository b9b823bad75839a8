"""Types and attributes of Terraform's provider for AWS, in the words of CloudFormation."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from casemate.audit.documents import Map
from casemate.audit.importers.aws.resource import Resource, at, listed, referred, text

TYPES = {
    "aws_lambda_function": "AWS::Lambda::Function",
    "aws_lambda_alias": "AWS::Lambda::Alias",
    "aws_lambda_function_url": "AWS::Lambda::Url",
    "aws_lambda_permission": "AWS::Lambda::Permission",
    "aws_lambda_event_source_mapping": "AWS::Lambda::EventSourceMapping",
    "aws_iam_role": "AWS::IAM::Role",
    "aws_iam_policy": "AWS::IAM::ManagedPolicy",
    "aws_iam_role_policy": "AWS::IAM::Policy",
    "aws_iam_user": "AWS::IAM::User",
    "aws_iam_access_key": "AWS::IAM::AccessKey",
    "aws_s3_bucket": "AWS::S3::Bucket",
    "aws_s3_bucket_policy": "AWS::S3::BucketPolicy",
    "aws_dynamodb_table": "AWS::DynamoDB::Table",
    "aws_sqs_queue": "AWS::SQS::Queue",
    "aws_sqs_queue_policy": "AWS::SQS::QueuePolicy",
    "aws_sns_topic": "AWS::SNS::Topic",
    "aws_sns_topic_policy": "AWS::SNS::TopicPolicy",
    "aws_sns_topic_subscription": "AWS::SNS::Subscription",
    "aws_api_gateway_rest_api": "AWS::ApiGateway::RestApi",
    "aws_api_gateway_method": "AWS::ApiGateway::Method",
    "aws_api_gateway_resource": "AWS::ApiGateway::Resource",
    "aws_api_gateway_stage": "AWS::ApiGateway::Stage",
    "aws_api_gateway_authorizer": "AWS::ApiGateway::Authorizer",
    "aws_api_gateway_domain_name": "AWS::ApiGateway::DomainName",
    "aws_apigatewayv2_api": "AWS::ApiGatewayV2::Api",
    "aws_apigatewayv2_route": "AWS::ApiGatewayV2::Route",
    "aws_apigatewayv2_integration": "AWS::ApiGatewayV2::Integration",
    "aws_apigatewayv2_stage": "AWS::ApiGatewayV2::Stage",
    "aws_cloudwatch_log_group": "AWS::Logs::LogGroup",
    "aws_cloudwatch_metric_alarm": "AWS::CloudWatch::Alarm",
    "aws_kms_key": "AWS::KMS::Key",
    "aws_db_instance": "AWS::RDS::DBInstance",
    "aws_rds_cluster": "AWS::RDS::DBCluster",
    "aws_security_group": "AWS::EC2::SecurityGroup",
    "aws_cloudfront_distribution": "AWS::CloudFront::Distribution",
    "aws_cognito_user_pool": "AWS::Cognito::UserPool",
    "aws_cognito_identity_pool": "AWS::Cognito::IdentityPool",
    "aws_secretsmanager_secret_version": "AWS::SecretsManager::Secret",
    "aws_ssm_parameter": "AWS::SSM::Parameter",
    "aws_sfn_state_machine": "AWS::StepFunctions::StateMachine",
    "aws_kinesis_stream": "AWS::Kinesis::Stream",
    "aws_cloudwatch_event_rule": "AWS::Events::Rule",
    "aws_scheduler_schedule": "AWS::Scheduler::Schedule",
    "aws_ecr_repository": "AWS::ECR::Repository",
    "aws_efs_file_system": "AWS::EFS::FileSystem",
    "aws_appsync_graphql_api": "AWS::AppSync::GraphQLApi",
    "aws_opensearch_domain": "AWS::OpenSearchService::Domain",
    "aws_elasticache_replication_group": "AWS::ElastiCache::ReplicationGroup",
    "aws_elasticache_cluster": "AWS::ElastiCache::CacheCluster",
    "aws_elasticsearch_domain": "AWS::Elasticsearch::Domain",
    "aws_redshift_cluster": "AWS::Redshift::Cluster",
    "aws_docdb_cluster": "AWS::DocDB::DBCluster",
    "aws_cognito_user_pool_client": "AWS::Cognito::UserPoolClient",
    "aws_lb_listener": "AWS::ElasticLoadBalancingV2::Listener",
    "aws_alb_listener": "AWS::ElasticLoadBalancingV2::Listener",
    "aws_security_group_rule": "AWS::EC2::SecurityGroupIngress",
    "aws_vpc_security_group_ingress_rule": "AWS::EC2::SecurityGroupIngress",
}
ATTACHED = frozenset(
    (
        *("aws_iam_role_policy_attachment", "aws_iam_policy_attachment"),
        *("aws_s3_bucket_public_access_block", "aws_s3_bucket_versioning", "aws_s3_bucket_acl"),
        *("aws_s3_bucket_server_side_encryption_configuration", "aws_s3_bucket_logging"),
        *("aws_s3_bucket_cors_configuration", "aws_s3_bucket_website_configuration"),
        *("aws_s3_bucket_notification", "aws_api_gateway_integration"),
        *("aws_cloudwatch_event_target", "aws_api_gateway_method_settings"),
        *("aws_lambda_function_event_invoke_config", "aws_sqs_queue_redrive_policy"),
    )
)
"""Types that are a property of another resource there."""
PLAIN = frozenset(
    (
        *("aws_api_gateway_deployment", "aws_apigatewayv2_deployment", "aws_lambda_layer_version"),
        *("aws_apigatewayv2_authorizer", "aws_cloudwatch_event_bus", "aws_s3_object"),
        *("aws_lambda_provisioned_concurrency_config", "aws_iam_instance_profile"),
        *("aws_s3_bucket_ownership_controls", "aws_secretsmanager_secret", "aws_kms_alias"),
    )
)
"""Types of which rules ask nothing."""
_OWNED = frozenset(("bucket", "role", "rule", "queue_url", "function_name", "topic_arn"))
NAMING = {
    **dict.fromkeys(ATTACHED, _OWNED),
    **dict.fromkeys(
        (
            *("aws_lambda_alias", "aws_lambda_function_url", "aws_lambda_permission"),
            *("aws_lambda_event_source_mapping", "aws_iam_role_policy", "aws_s3_bucket_policy"),
            *("aws_sqs_queue_policy", "aws_sns_topic_policy", "aws_sns_topic_subscription"),
        ),
        _OWNED,
    ),
}
"""Attributes of a type that name the resource it belongs to."""

_JSON = frozenset(
    ("policy", "assume_role_policy", "redrive_policy", "key_policy", "access_policies")
)
_RENAMED: dict[str, dict[str, str]] = {
    "aws_lambda_function": {"Filename": "CodeUri"},
    "aws_lambda_function_url": {
        "AuthorizationType": "AuthType",
        "FunctionName": "TargetFunctionArn",
    },
    "aws_lambda_permission": {"PrincipalOrgId": "PrincipalOrgID"},
    "aws_iam_role": {"AssumeRolePolicy": "AssumeRolePolicyDocument"},
    "aws_iam_policy": {"Policy": "PolicyDocument"},
    "aws_iam_role_policy": {"Policy": "PolicyDocument", "Role": "Roles"},
    "aws_s3_bucket": {"Bucket": "BucketName", "Acl": "AccessControl"},
    "aws_s3_bucket_policy": {"Policy": "PolicyDocument"},
    "aws_sqs_queue_policy": {"Policy": "PolicyDocument", "QueueUrl": "Queues"},
    "aws_sns_topic_policy": {"Policy": "PolicyDocument", "Arn": "Topics"},
    "aws_api_gateway_method": {"Authorization": "AuthorizationType"},
    "aws_api_gateway_stage": {
        "XrayTracingEnabled": "TracingEnabled",
        "AccessLogSettings": "AccessLogSetting",
    },
    "aws_cloudwatch_log_group": {"Name": "LogGroupName"},
    "aws_db_instance": {"Password": "MasterUserPassword"},
    "aws_rds_cluster": {"MasterPassword": "MasterUserPassword"},
    "aws_docdb_cluster": {"MasterPassword": "MasterUserPassword"},
    "aws_redshift_cluster": {"MasterPassword": "MasterUserPassword"},
    "aws_security_group_rule": {"Protocol": "IpProtocol", "SecurityGroupId": "GroupId"},
    "aws_vpc_security_group_ingress_rule": {"CidrIpv4": "CidrIp", "SecurityGroupId": "GroupId"},
    "aws_kms_key": {"Policy": "KeyPolicy"},
    "aws_dynamodb_table": {
        "ServerSideEncryption": "SSESpecification",
        "PointInTimeRecovery": "PointInTimeRecoverySpecification",
    },
}
_BLOCKS = frozenset(
    (
        "Environment",
        "TracingConfig",
        "VpcConfig",
        "DeadLetterConfig",
        "AccessLogSetting",
        "ServerSideEncryption",
        "PointInTimeRecovery",
        "CorsConfiguration",
        "DefaultRouteSettings",
        "AccessLogSettings",
        "LoggingConfiguration",
        "TracingConfiguration",
        "EphemeralStorage",
        "Cors",
        "ImageScanningConfiguration",
        "LoggingConfig",
        "SnapStart",
        "ViewerCertificate",
        "DefaultCacheBehavior",
        "PasswordPolicy",
    )
)


def converted(kind: str, values: dict[str, Any], file: str) -> Map:
    """Return attributes as properties of CloudFormation."""
    made = Map(file)
    for key, value in values.items():
        if value is None or value in ([], ""):
            continue
        name = _camel(key)
        plain = _parsed(value) if key in _JSON and isinstance(value, str) else value
        made[name] = _inner(name, plain, 0)
    for old, new in _RENAMED.get(kind, {}).items():
        if old in made:
            made[new] = _inner(new, made.pop(old), 0)
    special = _SPECIAL.get(kind)
    if special is not None:
        special(made, values)
    return made


def _camel(key: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in key.split("_"))


def _inner(name: str, value: Any, depth: int) -> Any:
    if depth > 20:
        return None
    if isinstance(value, list) and name in _BLOCKS and len(value) == 1:
        value = value[0]
    if isinstance(value, dict) and name not in (
        "Variables",
        "PolicyDocument",
        "Policy",
        "AssumeRolePolicyDocument",
        "KeyPolicy",
        "AccessPolicies",
    ):
        if name == "Environment":
            return {"Variables": value.get("variables") or {}}
        return {
            _camel(k): _inner(_camel(k), v, depth + 1) for k, v in value.items() if v is not None
        }
    if isinstance(value, list):
        return [_inner("", each, depth + 1) for each in value]
    return value


def _parsed(value: str) -> Any:
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def _function(made: Map, values: dict[str, Any]) -> None:
    if made.get("ReservedConcurrentExecutions") == -1:
        del made["ReservedConcurrentExecutions"]
    if made.get("ImageUri"):
        made["PackageType"] = "Image"


def _role(made: Map, values: dict[str, Any]) -> None:
    policies = []
    for each in listed(values.get("inline_policy")):
        found = at(each, "policy")
        if found:
            document = _parsed(found) if isinstance(found, str) else found
            policies.append({"PolicyDocument": document})
    made["Policies"] = policies
    made.setdefault("ManagedPolicyArns", [])
    made["RoleName"] = values.get("name")


def _table(made: Map, values: dict[str, Any]) -> None:
    if "SSESpecification" in made:
        made["SSESpecification"] = {
            "SSEEnabled": at(values, "server_side_encryption", 0, "enabled")
        }
    found = at(values, "point_in_time_recovery", 0, "enabled")
    made["PointInTimeRecoverySpecification"] = {"PointInTimeRecoveryEnabled": found}


def _group(made: Map, values: dict[str, Any]) -> None:
    rules = []
    for each in listed(values.get("ingress")):
        for key, name in (("cidr_blocks", "CidrIp"), ("ipv6_cidr_blocks", "CidrIpv6")):
            for block in listed(at(each, key)):
                rules.append(
                    {
                        name: block,
                        "FromPort": at(each, "from_port"),
                        "ToPort": at(each, "to_port"),
                        "IpProtocol": text(at(each, "protocol")),
                    }
                )
    made["SecurityGroupIngress"] = rules


def _group_rule(made: Map, values: dict[str, Any]) -> None:
    """Keep the widest of its blocks; what leads out lets nobody in."""
    inward = values.get("type") == "ingress"
    for key, name, every in (
        ("cidr_blocks", "CidrIp", "0.0.0.0/0"),
        ("ipv6_cidr_blocks", "CidrIpv6", "::/0"),
    ):
        blocks = listed(values.get(key)) if inward else []
        if blocks:
            made[name] = every if every in blocks else blocks[0]


def _cdn(made: Map, values: dict[str, Any]) -> None:
    inner = {k: v for k, v in made.items() if k != "DistributionConfig"}
    if "LoggingConfig" in inner:
        inner["Logging"] = inner["LoggingConfig"]
    inner["WebACLId"] = values.get("web_acl_id")
    made["DistributionConfig"] = inner


def _log_groups(made: Map, values: dict[str, Any]) -> None:
    if made.get("RetentionInDays") == 0:
        del made["RetentionInDays"]


_SPECIAL: dict[str, Callable[[Map, dict[str, Any]], None]] = {
    "aws_lambda_function": _function,
    "aws_iam_role": _role,
    "aws_dynamodb_table": _table,
    "aws_security_group": _group,
    "aws_security_group_rule": _group_rule,
    "aws_cloudfront_distribution": _cdn,
    "aws_cloudwatch_log_group": _log_groups,
}


class Joining:
    """Puts what Terraform declares beside a resource into that resource."""

    def __init__(self, resources: list[Resource]) -> None:
        """Learn the resources by their names."""
        self._named = {each.name: each for each in resources}
        self._by_value = {
            text(each.get("BucketName") or each.get("RoleName")): each for each in resources
        }
        self._settings: dict[tuple[str, ...], list[Any]] = {}
        self._methods: dict[tuple[str, ...], list[Resource]] = {}
        for each in resources:
            if each.type == "AWS::ApiGateway::Stage":
                found = self._settings.setdefault(_stage(each.properties), [])
                each.properties["MethodSettings"] = found
            elif each.type == "AWS::ApiGateway::Method":
                self._methods.setdefault(_method(each.properties), []).append(each)

    def join(self, kind: str, properties: Map) -> None:
        """Put one into its resource, if that is there."""
        if kind in ("aws_iam_role_policy_attachment", "aws_iam_policy_attachment"):
            self._attachment(properties)
        elif kind.startswith("aws_s3_bucket"):
            owner = self._found(properties.get("Bucket"))
            if owner is not None:
                _to_bucket(kind, owner, properties)
        elif kind == "aws_api_gateway_integration":
            for each in self._methods.get(_method(properties), ()):
                each.properties["Integration"] = {"Uri": properties.get("Uri")}
        elif kind == "aws_lambda_function_event_invoke_config":
            owner = self._found(properties.get("FunctionName"))
            if owner is not None:
                owner.properties["EventInvokeConfig"] = _invoked(properties)
        elif kind == "aws_sqs_queue_redrive_policy":
            owner = self._found(properties.get("QueueUrl"))
            if owner is not None:
                owner.properties["RedrivePolicy"] = properties.get("RedrivePolicy")
        elif kind == "aws_cloudwatch_event_target":
            owner = self._found(properties.get("Rule"))
            if owner is not None:
                owner.properties.setdefault("Targets", []).append({"Arn": properties.get("Arn")})
        elif kind == "aws_api_gateway_method_settings":
            stage = self._named.get(referred(properties.get("StageName")))
            key = _stage(properties if stage is None else stage.properties)
            self._settings.get(key, []).extend(listed(properties.get("Settings")))

    def _found(self, value: Any) -> Resource | None:
        return self._named.get(referred(value)) or self._by_value.get(text(value) or "\0")

    def _attachment(self, properties: Map) -> None:
        for role in (*listed(properties.get("Role")), *listed(properties.get("Roles"))):
            owner = self._found(role)
            if owner is not None:
                arns = owner.properties.setdefault("ManagedPolicyArns", [])
                arns.append(properties.get("PolicyArn"))


def _invoked(properties: Map) -> dict[str, Any]:
    failed = at(properties, "DestinationConfig", 0, "OnFailure", 0)
    return {
        "MaximumRetryAttempts": properties.get("MaximumRetryAttempts"),
        "DestinationConfig": {"OnFailure": failed} if failed else {},
    }


def _stage(properties: dict[str, Any]) -> tuple[str, ...]:
    """Return what a stage and the settings of its methods have in common."""
    return tuple(text(properties.get(key)) for key in ("RestApiId", "StageName"))


def _method(properties: dict[str, Any]) -> tuple[str, ...]:
    """Return what a method and its integration have in common."""
    return tuple(text(properties.get(key)) for key in ("ResourceId", "HttpMethod", "RestApiId"))


def _to_bucket(kind: str, bucket: Resource, properties: Map) -> None:
    part = kind.removeprefix("aws_s3_bucket_")
    if part == "public_access_block":
        bucket.properties["PublicAccessBlockConfiguration"] = {
            name: properties.get(name, False)
            for name in (
                "BlockPublicAcls",
                "BlockPublicPolicy",
                "IgnorePublicAcls",
                "RestrictPublicBuckets",
            )
        }
    elif part == "versioning":
        status = at(properties, "VersioningConfiguration", 0, "Status")
        bucket.properties["VersioningConfiguration"] = {"Status": status}
    elif part == "acl":
        names = {"public-read": "PublicRead", "public-read-write": "PublicReadWrite"}
        acl = text(properties.get("Acl"))
        bucket.properties["AccessControl"] = names.get(acl, acl)
    elif part == "server_side_encryption_configuration":
        bucket.properties["BucketEncryption"] = dict(properties)
    elif part == "logging":
        bucket.properties["LoggingConfiguration"] = dict(properties)
    elif part == "website_configuration":
        bucket.properties["WebsiteConfiguration"] = dict(properties)
    elif part == "cors_configuration":
        bucket.properties["CorsConfiguration"] = {"CorsRules": properties.get("CorsRule")}
    elif part == "notification":
        bucket.properties["NotificationConfiguration"] = dict(properties)
