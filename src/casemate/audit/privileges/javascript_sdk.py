"""The SDK for AWS in JavaScript: which service and operation a name of it stands for.

Version 3 has a package for each service, with a command for each operation, paginators and
waiters, and a class that has all operations as methods; version 2 has a class for each service.
"""

from __future__ import annotations

from functools import cache

from casemate.audit.privileges import services

_NAMES = {
    "secrets-manager": "secretsmanager",
    "sfn": "stepfunctions",
    "cloudwatch-logs": "logs",
    "cloudwatchlogs": "logs",
    "cloudwatch-events": "events",
    "cloudwatchevents": "events",
    "eventbridge": "events",
    "cognito-identity-provider": "cognito-idp",
    "cognitoidentityserviceprovider": "cognito-idp",
    "cognitoidentity": "cognito-identity",
    "iot-data-plane": "iot-data",
    "iotdata": "iot-data",
    "rdsdataservice": "rds-data",
    "redshift-data": "redshift-data",
    "redshiftdata": "redshift-data",
    "elastic-load-balancing-v2": "elbv2",
    "elbv2": "elbv2",
    "elasticache": "elasticache",
    "auto-scaling": "autoscaling",
    "route-53": "route53",
    "transcribe": "transcribe",
    "transcribeservice": "transcribe",
    "translate": "translate",
    "opensearch": "opensearch",
    "lex-runtime-service": "lex-runtime",
    "lexruntime": "lex-runtime",
    "bedrockruntime": "bedrock-runtime",
    "database-migration-service": "dms",
    "cost-explorer": "ce",
    "costexplorer": "ce",
    "applicationautoscaling": "application-autoscaling",
    "service-catalog": "servicecatalog",
    "resource-groups-tagging-api": "resourcegroupstaggingapi",
    "timestreamwrite": "timestream-write",
    "timestreamquery": "timestream-query",
    "dynamodbstreams": "dynamodbstreams",
    "dynamodb-streams": "dynamodbstreams",
    "ssoadmin": "sso-admin",
    "simpledb": "sdb",
    "marketplacemetering": "meteringmarketplace",
    "marketplace-metering": "meteringmarketplace",
    "wafv2": "wafv2",
    "elastictranscoder": "elastictranscoder",
    "elastic-transcoder": "elastictranscoder",
}
"""By what the packages (without `client-`) and the classes of version 2 are called."""

DOCUMENTS = {
    "get": "GetItem",
    "put": "PutItem",
    "update": "UpdateItem",
    "delete": "DeleteItem",
    "query": "Query",
    "scan": "Scan",
    "batchget": "BatchGetItem",
    "batchwrite": "BatchWriteItem",
    "transactget": "TransactGetItems",
    "transactwrite": "TransactWriteItems",
    "executestatement": "ExecuteStatement",
    "batchexecutestatement": "BatchExecuteStatement",
    "executetransaction": "ExecuteTransaction",
    "executetransact": "ExecuteTransaction",
}
"""Operations by what clients for documents call them."""
NO_CALLS = frozenset(
    (
        *("send", "destroy", "promise", "config", "middlewareStack", "from", "createSet", "on"),
        *("eachPage", "abort", "then", "catch", "update", "setPromisesDependency", "unmarshall"),
        *("input", "output", "marshall", "add", "addRelativeTo", "remove", "createReadStream"),
        *("httpUploadProgress", "done", "getSignedUrl", "serviceId", "makeUnauthenticatedRequest"),
        *("setupRequestListeners", "defineService", "loadFromPath", "use", "finally", "getPromise"),
    )
)
"""Methods of clients and of what they return that call no operation by their name."""


@cache
def of_package(package: str) -> str | None:
    """Return the service of `@aws-sdk/client-x`, `aws-sdk/clients/x` or a class of version 2."""
    plain = package.lower()
    for each in (_NAMES.get(plain), plain, plain.replace("-", "")):
        if each is not None and services.service(each) is not None:
            return each
    return None


def operation_of(service: str, name: str, *, documents: bool = False) -> str | None:
    """Return the operation that a method or a command is, or None."""
    plain = services.plain(name)
    if documents and plain in DOCUMENTS:
        return DOCUMENTS[plain]
    if service == "s3" and plain == "upload":
        return "UploadFile"
    found = services.service(service)
    return found.operation(name) if found is not None else None


def waited_for(service: str, waiter: str) -> str | None:
    """Return the operation that a waiter calls."""
    found = services.service(service)
    return found.waiters.get(services.plain(waiter)) if found is not None else None
