"""What calls of boto3 do, in the words of Casemate: one row each.

Which operations code calls, and on what, `audit.privileges` reads.
"""

from __future__ import annotations

from dataclasses import dataclass

from casemate.audit.privileges import plain


@dataclass(frozen=True)
class Call:
    """What one method does, and what is called here instead."""

    kind: str
    """Of the resource: `table`, `bucket`, `queue`, `topic`, `secret`, `function`."""
    needs: dict[str, str]
    """What AWS has to allow for each action that is granted here."""
    instead: str
    """With `{}` for the resource's name, quoted."""


def _table(instead: str, **needs: str) -> Call:
    named = {action: f"dynamodb:{name}" for action, name in needs.items()}
    return Call("table", named, f"context.table({{}}).{instead}")


def _bucket(instead: str, **needs: str) -> Call:
    named = {action: f"s3:{name}" for action, name in needs.items()}
    return Call("bucket", named, f"context.bucket({{}}).{instead}")


_GET = _bucket("get(key)", read="GetObject")
_PUT = _bucket("put(key, content)", write="PutObject")
_LIST = _bucket("list(prefix)", list="ListBucket")
_DELETE = _bucket("delete(key)", delete="DeleteObject")
_COPY = _bucket("open(key), then create(key)", write="PutObject")
_SEND = Call("queue", {"send": "sqs:SendMessage"}, "context.queue({}).send(message)")
_PUBLISH = Call("topic", {"publish": "sns:Publish"}, "context.topic({}).publish(message)")
_QUERY = _table("query(key), with index=NAME where IndexName was", query="Query")
_SCAN = _table("query()", query="Scan")
_PARAMETER = Call("secret", {"read": "ssm:GetParameter"}, "context.secret({})")

_ROWS: dict[tuple[str, str], Call] = {
    ("dynamodb", "get_item"): _table(
        "get(key), which raises NotFoundError where get_item gives no Item", get="GetItem"
    ),
    ("dynamodb", "put_item"): _table("put(item)", put="PutItem"),
    ("dynamodb", "delete_item"): _table("delete(key)", delete="DeleteItem"),
    ("dynamodb", "update_item"): _table(
        "get(key), then put(item, if_revision=item.revision)", get="UpdateItem", put="UpdateItem"
    ),
    ("dynamodb", "query"): _QUERY,
    ("dynamodb", "scan"): _SCAN,
    ("dynamodb", "batch_writer.put_item"): _table("put(item)", put="BatchWriteItem"),
    ("dynamodb", "batch_writer.delete_item"): _table("delete(key)", delete="BatchWriteItem"),
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
    ("s3", "copy_object"): _COPY,
    ("s3", "copy"): _COPY,
    ("sqs", "send_message"): _SEND,
    ("sqs", "send_message_batch"): _SEND,
    ("sns", "publish"): _PUBLISH,
    ("sns", "publish_batch"): _PUBLISH,
    ("lambda", "invoke"): Call(
        "function", {"invoke": "lambda:InvokeFunction"}, "context.invoke({}, event)"
    ),
    ("secretsmanager", "get_secret_value"): Call(
        "secret", {"read": "secretsmanager:GetSecretValue"}, "context.secret({})"
    ),
    ("ssm", "get_parameter"): _PARAMETER,
}
"""By service and method. All others have no counterpart."""

CALLS = {
    (service, plain(name)): (name.rpartition(".")[2], call)
    for (service, name), call in _ROWS.items()
}
"""By service and operation, with the method's name."""

SERVICES = frozenset(service for service, _ in _ROWS)

FREE = frozenset(("getqueueurl", "batchwriter"))
"""Operations that ask for what is not there here, and are told where it is used."""

TELLING = frozenset(name for _, name in _ROWS if "_" in name and "." not in name) | {
    "send_messages",
    *("transact_write_items", "transact_get_items", "batch_get_item", "batch_write_item"),
    *("generate_presigned_url", "receive_message", "delete_message", "put_events"),
}
"""Methods that nothing but boto3 has: told where it is not known what they are called on."""
