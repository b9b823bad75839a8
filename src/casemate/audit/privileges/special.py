"""Which actions an operation needs where they are not called as it is, and what names a resource.

From AWS's Service Authorization Reference and the documentation of the operations.
"""

from __future__ import annotations

from typing import NamedTuple


class Actions(NamedTuple):
    """What an operation needs, and what it may need besides, by its arguments or settings."""

    needed: tuple[str, ...]
    perhaps: tuple[str, ...] = ()


def _s3(*needed: str, perhaps: tuple[str, ...] = ()) -> Actions:
    return Actions(tuple(f"s3:{each}" for each in needed), tuple(f"s3:{each}" for each in perhaps))


_READ = ("GetObjectVersion", "GetObjectAttributes", "GetObjectTagging")
_WRITE = ("PutObjectAcl", "PutObjectTagging", "PutObjectRetention", "PutObjectLegalHold")
_PARTS = ("AbortMultipartUpload", "ListMultipartUploadParts")
_DYNAMO = tuple(
    f"dynamodb:{each}"
    for each in ("PartiQLSelect", "PartiQLInsert", "PartiQLUpdate", "PartiQLDelete")
)

OPERATIONS: dict[str, Actions] = {
    # Who may list a bucket is told that an object is not there, who may not that it is forbidden.
    "s3:GetObject": _s3("GetObject", perhaps=("GetObjectVersion", "ListBucket")),
    "s3:HeadObject": _s3("GetObject", perhaps=("GetObjectVersion", "ListBucket")),
    "s3:PutObject": _s3("PutObject", perhaps=_WRITE),
    "s3:CopyObject": _s3("GetObject", "PutObject", perhaps=(*_READ, *_WRITE)),
    "s3:DeleteObject": _s3("DeleteObject", perhaps=("DeleteObjectVersion",)),
    "s3:DeleteObjects": _s3("DeleteObject", perhaps=("DeleteObjectVersion",)),
    "s3:ListObjects": _s3("ListBucket"),
    "s3:ListObjectsV2": _s3("ListBucket"),
    "s3:ListObjectVersions": _s3("ListBucketVersions"),
    "s3:ListBuckets": _s3("ListAllMyBuckets"),
    "s3:HeadBucket": _s3("ListBucket"),
    "s3:ListMultipartUploads": _s3("ListBucketMultipartUploads"),
    "s3:ListParts": _s3("ListMultipartUploadParts"),
    "s3:CreateMultipartUpload": _s3("PutObject", perhaps=(*_WRITE, *_PARTS)),
    "s3:UploadPart": _s3("PutObject"),
    "s3:UploadPartCopy": _s3("PutObject", "GetObject", perhaps=_READ),
    "s3:CompleteMultipartUpload": _s3("PutObject"),
    "s3:SelectObjectContent": _s3("GetObject"),
    "s3:WriteGetObjectResponse": Actions(("s3-object-lambda:WriteGetObjectResponse",)),
    "s3:GetBucketEncryption": _s3("GetEncryptionConfiguration"),
    "s3:PutBucketEncryption": _s3("PutEncryptionConfiguration"),
    "s3:DeleteBucketEncryption": _s3("PutEncryptionConfiguration"),
    "s3:GetBucketLifecycle": _s3("GetLifecycleConfiguration"),
    "s3:GetBucketLifecycleConfiguration": _s3("GetLifecycleConfiguration"),
    "s3:PutBucketLifecycle": _s3("PutLifecycleConfiguration"),
    "s3:PutBucketLifecycleConfiguration": _s3("PutLifecycleConfiguration"),
    "s3:DeleteBucketLifecycle": _s3("PutLifecycleConfiguration"),
    "s3:GetBucketNotificationConfiguration": _s3("GetBucketNotification"),
    "s3:PutBucketNotificationConfiguration": _s3("PutBucketNotification"),
    "s3:GetBucketReplication": _s3("GetReplicationConfiguration"),
    "s3:PutBucketReplication": _s3("PutReplicationConfiguration"),
    "s3:DeleteBucketReplication": _s3("PutReplicationConfiguration"),
    "s3:DeleteBucketCors": _s3("PutBucketCORS"),
    "s3:DeleteBucketTagging": _s3("PutBucketTagging"),
    "s3:DeleteBucketOwnershipControls": _s3("PutBucketOwnershipControls"),
    "s3:GetPublicAccessBlock": _s3("GetBucketPublicAccessBlock"),
    "s3:PutPublicAccessBlock": _s3("PutBucketPublicAccessBlock"),
    "s3:DeletePublicAccessBlock": _s3("PutBucketPublicAccessBlock"),
    "s3:GetObjectLockConfiguration": _s3("GetBucketObjectLockConfiguration"),
    "s3:PutObjectLockConfiguration": _s3("PutBucketObjectLockConfiguration"),
    "s3:UploadFile": _s3("PutObject", "AbortMultipartUpload", perhaps=(*_WRITE, *_PARTS)),
    "s3:UploadFileobj": _s3("PutObject", "AbortMultipartUpload", perhaps=(*_WRITE, *_PARTS)),
    "s3:DownloadFile": _s3("GetObject", perhaps=("GetObjectVersion",)),
    "s3:DownloadFileobj": _s3("GetObject", perhaps=("GetObjectVersion",)),
    "s3:Copy": _s3(
        *("GetObject", "PutObject", "AbortMultipartUpload"), perhaps=(*_READ, *_WRITE, *_PARTS)
    ),
    "s3:GeneratePresignedPost": _s3("PutObject", perhaps=_WRITE),
    "dynamodb:TransactGetItems": Actions(("dynamodb:GetItem",)),
    "dynamodb:TransactWriteItems": Actions(
        (),
        (
            *("dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"),
            "dynamodb:ConditionCheckItem",
        ),
    ),
    "dynamodb:ExecuteStatement": Actions((), _DYNAMO),
    "dynamodb:BatchExecuteStatement": Actions((), _DYNAMO),
    "dynamodb:ExecuteTransaction": Actions((), _DYNAMO),
    "dynamodb:BatchWriter": Actions(("dynamodb:BatchWriteItem",)),
    "dynamodb:UpdateItem": Actions(("dynamodb:UpdateItem",)),
    "sqs:SendMessageBatch": Actions(("sqs:SendMessage",)),
    "sqs:DeleteMessageBatch": Actions(("sqs:DeleteMessage",)),
    "sqs:ChangeMessageVisibilityBatch": Actions(("sqs:ChangeMessageVisibility",)),
    "sns:PublishBatch": Actions(("sns:Publish",)),
    "lambda:Invoke": Actions(("lambda:InvokeFunction",)),
    "lambda:InvokeAsync": Actions(("lambda:InvokeFunction",)),
    "lambda:InvokeWithResponseStream": Actions(("lambda:InvokeFunction",)),
    "lambda:CreateFunction": Actions(("lambda:CreateFunction", "iam:PassRole")),
    "lambda:UpdateFunctionConfiguration": Actions(
        ("lambda:UpdateFunctionConfiguration",), ("iam:PassRole",)
    ),
    "kms:ReEncrypt": Actions(("kms:ReEncryptFrom", "kms:ReEncryptTo")),
    "execute-api:PostToConnection": Actions(("execute-api:ManageConnections",)),
    "execute-api:GetConnection": Actions(("execute-api:ManageConnections",)),
    "execute-api:DeleteConnection": Actions(("execute-api:ManageConnections",)),
    "bedrock:Converse": Actions(("bedrock:InvokeModel",)),
    "bedrock:ConverseStream": Actions(("bedrock:InvokeModelWithResponseStream",)),
    "bedrock:InvokeModelWithBidirectionalStream": Actions(
        ("bedrock:InvokeModelWithResponseStream",)
    ),
    "bedrock:StartAsyncInvoke": Actions(("bedrock:InvokeModel",)),
    "rds:GenerateDbAuthToken": Actions(("rds-db:connect",)),
    "ecs:RunTask": Actions(("ecs:RunTask", "iam:PassRole")),
    "ecs:StartTask": Actions(("ecs:StartTask", "iam:PassRole")),
    "ecs:RegisterTaskDefinition": Actions(("ecs:RegisterTaskDefinition",), ("iam:PassRole",)),
    "states:CreateStateMachine": Actions(("states:CreateStateMachine", "iam:PassRole")),
    "scheduler:CreateSchedule": Actions(("scheduler:CreateSchedule", "iam:PassRole")),
    "scheduler:UpdateSchedule": Actions(("scheduler:UpdateSchedule", "iam:PassRole")),
    "events:PutTargets": Actions(("events:PutTargets",), ("iam:PassRole",)),
    "ec2:RunInstances": Actions(("ec2:RunInstances",), ("iam:PassRole", "ec2:CreateTags")),
    "transcribe:StartTranscriptionJob": Actions(
        ("transcribe:StartTranscriptionJob",),
        ("iam:PassRole", "s3:GetObject", "s3:PutObject", "s3:ListBucket"),
    ),
    "rekognition:*": Actions((), ("s3:GetObject",)),
    "textract:*": Actions((), ("s3:GetObject", "s3:PutObject", "iam:PassRole")),
    "athena:*": Actions(
        (),
        (
            *("glue:GetTable", "glue:GetTables", "glue:GetDatabase", "glue:GetDatabases"),
            *("glue:GetPartition", "glue:GetPartitions", "glue:BatchGetPartition"),
            *("s3:GetObject", "s3:PutObject", "s3:ListBucket", "s3:GetBucketLocation"),
            *("s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"),
            *("s3:ListBucketMultipartUploads", "lakeformation:GetDataAccess"),
        ),
    ),
    "rds-data:*": Actions((), ("secretsmanager:GetSecretValue",)),
    "redshift-data:*": Actions(
        (),
        (
            *("secretsmanager:GetSecretValue", "redshift:GetClusterCredentials"),
            *("redshift-serverless:GetCredentials", "redshift:GetClusterCredentialsWithIAM"),
        ),
    ),
    "ses:*": Actions(()),
    "sesv2:*": Actions((), ("ses:SendRawEmail", "ses:SendEmail")),
    "dax:*": Actions((), ("dynamodb:GetItem",)),
}
"""By the action that an operation would be; `SERVICE:*` is for each operation of a service. What
takes the role of another service with it (`iam:PassRole`) is told, too."""

WITHOUT_RIGHTS = frozenset(("sts:GetCallerIdentity", "sts:GetSessionToken", "sts:GetAccessKeyInfo"))
"""Every role may do these, whatever it is allowed: granting them is harmless, and no surplus."""

FREE_OF_RIGHTS = frozenset(
    f"cognito-idp:{each}"
    for each in (
        *("SignUp", "ConfirmSignUp", "InitiateAuth", "RespondToAuthChallenge", "ForgotPassword"),
        *("ConfirmForgotPassword", "ResendConfirmationCode", "GetUser", "ChangePassword"),
        *("UpdateUserAttributes", "GlobalSignOut", "RevokeToken", "DeleteUser"),
        *("VerifyUserAttribute", "GetUserAttributeVerificationCode", "AssociateSoftwareToken"),
        *("VerifySoftwareToken", "SetUserMFAPreference", "ListDevices"),
    )
) | frozenset(("cognito-identity:GetId", "cognito-identity:GetCredentialsForIdentity"))
"""Called with a user's token, or by everybody: no role needs these."""

NO_CALLS = frozenset(
    each
    for each in (
        *(
            "close",
            "can_paginate",
            "exceptions",
            "meta",
            "waiter_names",
            "get_available_subresources",
        ),
        *(
            "generate_presigned_url_v2",
            "events",
            "__enter__",
            "__exit__",
            "__aenter__",
            "__aexit__",
        ),
        *("region_name", "profile_name", "available_profiles", "get_available_services"),
        *("get_available_regions", "get_partition_for_region", "set_config_variable", "serializer"),
        *("service_model", "config", "client", "partition", "endpoint_url", "set_stream_logger"),
        *(
            "get_available_resources",
            "resource_model",
            "identifiers",
            "data",
            "register",
            "unregister",
        ),
        *("emit", "name", "__class__", "__dict__", "__name__", "__doc__", "from_any"),
    )
)
"""Attributes of sessions, clients and resources that call no service."""

RESOURCES: dict[str, tuple[tuple[str, ...], str]] = {
    "dynamodb": (("TableName",), "arn:aws:dynamodb:${AWS::Region}:${AWS::AccountId}:table/{}"),
    "s3": (("Bucket",), "arn:aws:s3:::{}"),
    "sqs": (("QueueUrl", "QueueName"), "arn:aws:sqs:${AWS::Region}:${AWS::AccountId}:{}"),
    "sns": (("TopicArn", "TargetArn"), "arn:aws:sns:${AWS::Region}:${AWS::AccountId}:{}"),
    "lambda": (
        ("FunctionName",),
        "arn:aws:lambda:${AWS::Region}:${AWS::AccountId}:function:{}",
    ),
    "secretsmanager": (
        ("SecretId",),
        "arn:aws:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret:{}-??????",
    ),
    "ssm": (
        ("Name", "Names", "Path"),
        "arn:aws:ssm:${AWS::Region}:${AWS::AccountId}:parameter/{}",
    ),
    "kms": (("KeyId",), "arn:aws:kms:${AWS::Region}:${AWS::AccountId}:key/{}"),
    "states": (
        ("stateMachineArn",),
        "arn:aws:states:${AWS::Region}:${AWS::AccountId}:stateMachine:{}",
    ),
    "kinesis": (
        ("StreamName", "StreamARN"),
        "arn:aws:kinesis:${AWS::Region}:${AWS::AccountId}:stream/{}",
    ),
    "firehose": (
        ("DeliveryStreamName",),
        "arn:aws:firehose:${AWS::Region}:${AWS::AccountId}:deliverystream/{}",
    ),
    "cognito-idp": (
        ("UserPoolId",),
        "arn:aws:cognito-idp:${AWS::Region}:${AWS::AccountId}:userpool/{}",
    ),
}
"""Which arguments name the resource of a call, and how its ARN is made."""

OF_OBJECTS = frozenset(
    f"s3:{each}".lower()
    for each in (
        *("GetObject", "PutObject", "DeleteObject", "AbortMultipartUpload", "PutObjectAcl"),
        *("GetObjectVersion", "DeleteObjectVersion", "ListMultipartUploadParts", "RestoreObject"),
        *("GetObjectTagging", "PutObjectTagging", "GetObjectAcl", "DeleteObjectTagging"),
        *("GetObjectAttributes", "PutObjectRetention", "PutObjectLegalHold"),
    )
)
"""Actions on objects: their ARN is that of the bucket with `/*`."""

WITHOUT_RESOURCE = frozenset(
    each.lower()
    for each in (
        *("s3:ListAllMyBuckets", "dynamodb:ListTables", "sqs:ListQueues", "sns:ListTopics"),
        *("lambda:ListFunctions", "ssm:DescribeParameters", "kms:ListKeys", "kms:ListAliases"),
        *("kms:GenerateRandom", "kms:CreateKey", "secretsmanager:ListSecrets", "lambda:ListLayers"),
        *("secretsmanager:GetRandomPassword", "states:ListStateMachines", "kinesis:ListStreams"),
        *(
            "cognito-idp:ListUserPools",
            "lambda:ListEventSourceMappings",
            "cloudwatch:PutMetricData",
        ),
        *("secretsmanager:BatchGetSecretValue", "dynamodb:ListBackups", "dynamodb:ListStreams"),
    )
)
"""Actions that can only be allowed on everything."""
