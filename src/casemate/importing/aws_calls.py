"""What calls of boto3 do, in the words of Casemate: one row each.

Methods of resources (`Table.put_item`) are those of clients whose resource is known already.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Call:
    """What one method does, and what is called here instead."""

    kind: str
    """Of the resource: `table`, `bucket`, `queue`, `topic`, `secret`, `function`."""
    argument: str
    """By which the resource is named."""
    needs: dict[str, str]
    """What AWS has to allow for each action that is granted here."""
    instead: str
    """With `{}` for the resource's name, quoted."""


def _table(instead: str, **needs: str) -> Call:
    named = {action: f"dynamodb:{name}" for action, name in needs.items()}
    return Call("table", "TableName", named, f"context.table({{}}).{instead}")


def _bucket(instead: str, **needs: str) -> Call:
    named = {action: f"s3:{name}" for action, name in needs.items()}
    return Call("bucket", "Bucket", named, f"context.bucket({{}}).{instead}")


_GET = _bucket("get(key)", read="GetObject")
_PUT = _bucket("put(key, content)", write="PutObject")
_LIST = _bucket("list(prefix)", list="ListBucket")
_DELETE = _bucket("delete(key)", delete="DeleteObject")
_SEND = Call("queue", "QueueUrl", {"send": "sqs:SendMessage"}, "context.queue({}).send(message)")
_PUBLISH = Call(
    "topic", "TopicArn", {"publish": "sns:Publish"}, "context.topic({}).publish(message)"
)
_QUERY = _table("query(key)", query="Query")
_SCAN = _table("query()", query="Scan")
_PARAMETER = Call("secret", "Name", {"read": "ssm:GetParameter"}, "context.secret({})")

BATCH = "dynamodb batch"
"""What `batch_writer` of a table makes: the same calls, which are allowed as one of their own."""

CALLS: dict[tuple[str, str], Call] = {
    ("dynamodb", "get_item"): _table("get(key)", get="GetItem"),
    ("dynamodb", "put_item"): _table("put(item)", put="PutItem"),
    ("dynamodb", "delete_item"): _table("delete(key)", delete="DeleteItem"),
    ("dynamodb", "update_item"): _table(
        "get(key), then put(item, if_revision=item.revision)", get="UpdateItem", put="UpdateItem"
    ),
    ("dynamodb", "query"): _QUERY,
    ("dynamodb", "scan"): _SCAN,
    (BATCH, "put_item"): _table("put(item)", put="BatchWriteItem"),
    (BATCH, "delete_item"): _table("delete(key)", delete="BatchWriteItem"),
    ("s3", "get_object"): _GET,
    ("s3", "download_file"): _bucket("open(key)", read="GetObject"),
    ("s3", "download_fileobj"): _bucket("open(key)", read="GetObject"),
    ("s3", "head_object"): _bucket("head(key)", read="GetObject"),
    ("s3", "put_object"): _PUT,
    ("s3", "upload_file"): _bucket("create(key)", write="PutObject"),
    ("s3", "upload_fileobj"): _bucket("create(key)", write="PutObject"),
    ("s3", "delete_object"): _DELETE,
    ("s3", "delete_objects"): _bucket("delete(key), one by one", delete="DeleteObject"),
    ("s3", "list_objects"): _LIST,
    ("s3", "list_objects_v2"): _LIST,
    ("s3", "copy_object"): _bucket("open(key), then create(key)", write="PutObject"),
    ("sqs", "send_message"): _SEND,
    ("sqs", "send_message_batch"): _SEND,
    ("sqs", "send_messages"): _SEND,
    ("sns", "publish"): _PUBLISH,
    ("sns", "publish_batch"): _PUBLISH,
    ("lambda", "invoke"): Call(
        "function", "FunctionName", {"invoke": "lambda:InvokeFunction"}, "context.invoke({}, event)"
    ),
    ("secretsmanager", "get_secret_value"): Call(
        "secret", "SecretId", {"read": "secretsmanager:GetSecretValue"}, "context.secret({})"
    ),
    ("ssm", "get_parameter"): _PARAMETER,
}
"""By service and method. All others have no counterpart."""

OBJECTS: dict[tuple[str, str], tuple[str, str]] = {
    ("dynamodb", "Table"): ("table", "name"),
    ("s3", "Bucket"): ("bucket", "name"),
    ("s3", "Object"): ("bucket", "bucket_name"),
    ("sqs", "Queue"): ("queue", "url"),
    ("sqs", "get_queue_by_name"): ("queue", "QueueName"),
    ("sns", "Topic"): ("topic", "arn"),
}
"""Objects of boto3's resources, by service and method that makes them: kind, and what names one."""

OF_OBJECTS: dict[tuple[str, str], str] = {
    ("s3", "get"): "get_object",
    ("s3", "put"): "put_object",
    ("s3", "delete"): "delete_object",
    ("s3", "load"): "head_object",
    ("s3", "copy_from"): "copy_object",
    ("s3", "copy"): "copy_object",
    ("s3", "objects.all"): "list_objects_v2",
    ("s3", "objects.filter"): "list_objects_v2",
}
"""Methods of such objects that clients call otherwise."""

TELLING = frozenset(method for _, method in CALLS if "_" in method) | {
    *("transact_write_items", "transact_get_items", "batch_get_item", "batch_write_item"),
    *("generate_presigned_url", "receive_message", "delete_message", "put_events"),
}
"""Methods that nothing but boto3 has: told where it is not known what they are called on."""

HTTP_METHODS = frozenset(("get", "post", "put", "patch", "delete", "head", "options", "stream"))
HTTP_MODULES = ("requests", "httpx", "aiohttp", "urllib3", "httpx2")
HTTP_CLIENTS = frozenset(
    (
        *("requests.Session", "requests.session", "httpx.Client", "httpx.AsyncClient"),
        *("aiohttp.ClientSession", "urllib3.PoolManager", "httpx2.Client", "httpx2.AsyncClient"),
    )
)
"""What makes an object with the methods above."""
OPENERS = frozenset(
    ("urllib.request.urlopen", "urllib.request.Request", "urllib.request.urlretrieve")
)
CONNECTIONS = {"http.client.HTTPSConnection": 443, "http.client.HTTPConnection": 80}
