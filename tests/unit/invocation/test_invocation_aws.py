"""Events in AWS's shapes: against AWS Lambda Powertools' models and the AWS SAM CLI's samples."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import apig_wsgi
import flask
import msgspec
import pytest
from aws_lambda_powertools.utilities import data_classes
from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)
from aws_lambda_powertools.utilities.parser import models
from fastapi import FastAPI
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from mangum import Mangum

from casemate.invocation.aws import aws_event
from casemate.invocation.aws.dynamodb import typed
from casemate.model.event import Event
from casemate.model.function import EventFormat
from casemate.model.trigger import TriggerKind
from casemate.runner.answers import answer
from casemate.runner.event import AWS

SAMPLES = Path(__file__).parents[2] / "samples" / "aws"
AT = 1_772_366_400.25


def sample(name: str) -> dict[str, Any]:
    return json.loads((SAMPLES / f"{name}.json").read_text())


def event(kind: TriggerKind, data: object = None, **rest: Any) -> Event:
    given = {
        "id": "0f3a",
        "source": "/projects/shop/things/x",
        "type": f"casemate.{kind.value}.message",
        "time": AT,
        "trigger": f"{kind.value}-1",
        **rest,
    }
    return Event(kind=kind, data=msgspec.Raw(msgspec.json.encode(data)), **given)


def rendered(*events: Event, batch: bool = False) -> Any:
    """Return what a handler gets: through JSON, as it is sent."""
    return json.loads(msgspec.json.encode(aws_event(events, "inv_1", batch=batch)))


def queue(data: object = "Hello from SQS!", **detail: object) -> Event:
    known = {"queue": "MyQueue", "attempt": 1, "sent_at": AT, "key": ""}
    return event(TriggerKind.QUEUE, data, detail={**known, **detail})


def topic(data: object = "example message") -> Event:
    return event(TriggerKind.TOPIC, data, detail={"topic": "ExampleTopic"}, subject="about")


def bucket(word: str = "created", key: str = "test/key") -> Event:
    detail = {
        "bucket": "example-bucket",
        "key": key,
        "revision": 3,
        "size": 1024,
        "content_type": "text/plain",
        "sha256": "ab" * 32,
    }
    return event(TriggerKind.BUCKET, detail, type=f"casemate.bucket.{word}", detail=detail)


def table(word: str, old: object, new: object, **keys: object) -> Event:
    detail = {"table": "ExampleTableWithStream", "keys": keys or {"Id": 101}, "revision": 1}
    kind = f"casemate.table.{word}"
    return event(TriggerKind.TABLE, {"old": old, "new": new}, type=kind, detail=detail)


def request(**changes: object) -> Event:
    detail = {
        "method": "POST",
        "path": "/path/to/resource",
        "route": "/path/{rest...}",
        "path_parameters": {"rest": "to/resource", "parameter1": "value1"},
        "query": {"parameter1": ["value1", "value2"], "parameter2": ["value"]},
        "headers": {
            "header1": "value1",
            "header2": "value1, value2",
            "cookie": "cookie1; cookie2",
            "host": "id.example.com",
            "user-agent": "agent",
        },
        "body": base64.b64encode(b'{"test":"body"}').decode(),
        "is_base64": True,
        "remote_address": "192.168.0.1",
    }
    return event(TriggerKind.HTTP, None, detail={**detail, **changes})


def schedule() -> Event:
    detail = {"name": "ExampleRule", "scheduled_at": AT, "missed": 0}
    return event(
        TriggerKind.SCHEDULE,
        None,
        source="/projects/shop/schedules/f/ExampleRule",
        type="casemate.schedule.tick",
        trigger="ExampleRule",
        detail=detail,
    )


MODELS: list[tuple[str, Callable[[], Event], type, str]] = [
    ("sqs-receive-message", queue, models.SqsModel, "sqs"),
    ("sns-notification", topic, models.SnsModel, "sns"),
    ("s3-put", bucket, models.S3Model, "s3"),
    ("s3-delete", lambda: bucket("deleted"), models.S3Model, "s3"),
    (
        "dynamodb-update",
        lambda: table("inserted", None, {"Id": 101, "Message": "New item!"}),
        models.DynamoDBStreamModel,
        "dynamodb",
    ),
    ("apigateway-http-api-proxy", request, models.APIGatewayProxyEventV2Model, "http"),
    ("cloudwatch-scheduled-event", schedule, models.EventBridgeModel, "eventbridge"),
]


@pytest.mark.parametrize(("name", "made", "model", "_"), MODELS, ids=[m[0] for m in MODELS])
def test_powertools_models_accept_ours_as_they_accept_the_samples(
    name: str, made: Callable[[], Event], model: Any, _: str
) -> None:
    given = sample(name)
    if name == "cloudwatch-scheduled-event":
        given["version"] = "0"  # which the sample lacks and every real one has
    if name == "sns-notification":
        for link in ("UnsubscribeUrl", "SigningCertUrl"):
            given["Records"][0]["Sns"][link] = "https://sns.example.com/"  # "EXAMPLE" is none
    model.model_validate(given)
    model.model_validate(rendered(made()))


ONLY_AWS = {
    "requestContext.authentication",
    "requestContext.authorizer",
    "stageVariables",
    "headers",
    "Records[].messageAttributes",
    "Records[].Sns.MessageAttributes",
}
"""What has no counterpart, or is the caller's own."""


def places(value: Any, path: str = "") -> set[str]:
    """Return where a document has something: dotted keys, `[]` for items, types at the end."""
    if path.removeprefix(".") in ONLY_AWS:
        return set()
    if isinstance(value, dict):
        inner = (places(item, f"{path}.{key}") for key, item in value.items())
        return set().union(*inner) if value else {path.removeprefix(".")}
    if isinstance(value, list):
        return set().union(*(places(item, f"{path}[]") for item in value))
    kind = "number" if isinstance(value, (int, float)) else type(value).__name__
    return {f"{path.removeprefix('.')}: {kind}"}


@pytest.mark.parametrize(("name", "made", "_", "shape"), MODELS, ids=[m[0] for m in MODELS])
def test_whatever_a_sample_has_ours_has_too(
    name: str, made: Callable[[], Event], _: Any, shape: str
) -> None:
    given = sample(name)
    if shape == "dynamodb":
        given["Records"] = given["Records"][:1]
    assert places(given) - places(rendered(made())) == set()


# -- handlers written for AWS, run with samples and with ours ------------------------------------


def sqs_handler(event: dict[str, Any], _: object) -> object:
    return [r.body for r in data_classes.SQSEvent(event).records]


def sns_handler(event: dict[str, Any], _: object) -> object:
    return [r.sns.message for r in data_classes.SNSEvent(event).records]


def s3_handler(event: dict[str, Any], _: object) -> object:
    seen = data_classes.S3Event(event)
    return [seen.bucket_name, seen.object_key, next(seen.records).event_name]


def dynamodb_handler(event: dict[str, Any], _: object) -> object:
    (record,) = list(data_classes.DynamoDBStreamEvent(event).records)[:1]
    return [record.event_name.name, record.dynamodb.keys, record.dynamodb.new_image]


def http_handler(event: dict[str, Any], _: object) -> object:
    seen = data_classes.APIGatewayProxyEventV2(event)
    return [
        seen.raw_path,
        sorted(parse_qsl(seen.raw_query_string)),
        seen.query_string_parameters,
        seen.cookies,
        seen.request_context.http.method,
        seen.headers["header2"].replace(", ", ","),
        json.loads(seen.decoded_body),
    ]


def eventbridge_handler(event: dict[str, Any], _: object) -> object:
    seen = data_classes.EventBridgeEvent(event)
    return [seen.source, seen.detail_type, seen.detail, seen.resources[0].rpartition("/")[2]]


HANDLERS = {
    "sqs": sqs_handler,
    "sns": sns_handler,
    "s3": s3_handler,
    "dynamodb": dynamodb_handler,
    "http": http_handler,
    "eventbridge": eventbridge_handler,
}


@pytest.mark.parametrize(("name", "made", "_", "shape"), MODELS, ids=[m[0] for m in MODELS])
def test_a_handler_sees_the_same_in_both(
    name: str, made: Callable[[], Event], _: Any, shape: str
) -> None:
    handler = HANDLERS[shape]
    given = sample(name)
    if shape == "s3":
        given["Records"][0]["s3"]["object"]["key"] = "test/key"  # which the sample escapes wrongly
    expected = handler(given, None)
    found = handler(rendered(made()), None)
    assert found == expected


def test_the_batch_processor_of_powertools_reports_ids_that_we_know() -> None:
    good, bad = queue({"ok": True}), msgspec.structs.replace(queue({"ok": False}), id="bad")

    def record_handler(record: Any) -> None:
        if not json.loads(record["body"])["ok"]:
            raise ValueError("no")

    report = process_partial_response(
        rendered(good, bad, batch=True), record_handler, BatchProcessor(EventType.SQS), None
    )
    assert report == {"batchItemFailures": [{"itemIdentifier": "bad"}]}


def test_the_batch_processor_reports_changes_of_tables_by_their_ids() -> None:
    changes = [
        msgspec.structs.replace(table("inserted", None, {"Id": n}, Id=n), id=f"e{n}")
        for n in range(2)
    ]

    def record_handler(record: Any) -> None:
        if record["dynamodb"]["Keys"]["Id"]["N"] == "1":
            raise ValueError("no")

    report = process_partial_response(
        rendered(*changes, batch=True),
        record_handler,
        BatchProcessor(EventType.DynamoDBStreams),
        None,
    )
    assert report == {"batchItemFailures": [{"itemIdentifier": "e1"}]}


# -- what is not in the samples ------------------------------------------------------------------


def test_messages_that_are_no_text_come_as_json() -> None:
    assert rendered(queue({"a": [1, None]}))["Records"][0]["body"] == '{"a":[1,null]}'
    assert rendered(topic([1]))["Records"][0]["Sns"]["Message"] == "[1]"


def test_a_message_with_a_key_has_a_group_and_its_attempts() -> None:
    attributes = rendered(queue("x", key="order-1", attempt=3))["Records"][0]["attributes"]
    assert attributes["MessageGroupId"] == "order-1"
    assert attributes["ApproximateReceiveCount"] == "3"


def test_attributes_of_messages_are_those_of_sqs_and_sns() -> None:
    given = queue("x", attributes={"kind": "new"})
    record = rendered(given)["Records"][0]
    found = data_classes.SQSEvent({"Records": [record]}).records
    [attributes] = [r.message_attributes for r in found]
    assert (attributes["kind"].string_value, attributes["kind"].data_type) == ("new", "String")
    told = msgspec.structs.replace(
        topic(), detail={"topic": "ExampleTopic", "attributes": {"kind": "new"}}
    )
    notification = rendered(told)["Records"][0]["Sns"]
    assert notification["MessageAttributes"] == {"kind": {"Type": "String", "Value": "new"}}
    assert rendered(queue("x"))["Records"][0]["messageAttributes"] == {}


def test_keys_of_objects_are_encoded_as_s3_does_it() -> None:
    record = rendered(bucket(key="in/a b+ü.txt"))["Records"][0]
    assert record["s3"]["object"]["key"] == "in/a+b%2B%C3%BC.txt"
    assert data_classes.S3Event({"Records": [record]}).object_key == "in/a b+ü.txt"


def test_what_an_s3_server_sent_is_handed_over_as_it_came() -> None:
    sent = sample("s3-put")["Records"][0]
    told = event(TriggerKind.S3, sent, source="minio", type="s3:ObjectCreated:Put")
    assert rendered(told) == {"Records": [sent]}


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("inserted", "INSERT"),
        ("updated", "MODIFY"),
        ("deleted", "REMOVE"),
        ("expired", "REMOVE"),
    ],
)
def test_changes_of_tables(word: str, name: str) -> None:
    old = None if word == "inserted" else {"Id": 1, "n": 1.5}
    new = {"Id": 1, "n": 2} if word in ("inserted", "updated") else None
    shown = rendered(table(word, old, new, Id=1))
    models.DynamoDBStreamModel.model_validate(shown)
    (record,) = shown["Records"]
    assert record["eventName"] == name
    assert ("userIdentity" in record) == (word == "expired")
    assert ("OldImage" in record["dynamodb"]) == (old is not None)
    assert ("NewImage" in record["dynamodb"]) == (new is not None)
    assert record["dynamodb"]["Keys"] == {"Id": {"N": "1"}}


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(-1e30, 1e30).filter(lambda x: x == 0 or abs(x) > 1e-30)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=10,
)


@given(JSON)
def test_typed_values_are_those_of_dynamodb(value: object) -> None:
    from aws_lambda_powertools.shared.dynamodb_deserializer import TypeDeserializer

    def plain(found: object) -> object:
        if isinstance(found, Decimal):
            return float(found)
        if isinstance(found, list):
            return [plain(one) for one in found]
        if isinstance(found, dict):
            return {name: plain(one) for name, one in found.items()}
        return found

    def floats(found: object) -> object:
        if isinstance(found, bool):
            return found
        if isinstance(found, (int, float)):
            return pytest.approx(float(found))
        if isinstance(found, list):
            return [floats(one) for one in found]
        if isinstance(found, dict):
            return {name: floats(one) for name, one in found.items()}
        return found

    assert plain(TypeDeserializer().deserialize(typed(value))) == floats(value)


def test_a_request_without_a_body_cookies_or_query() -> None:
    shown = rendered(
        request(
            body=None,
            is_base64=False,
            query={},
            headers={"host": "localhost:8787"},
            path_parameters={},
        )
    )
    models.APIGatewayProxyEventV2Model.model_validate(shown)
    assert not {"body", "cookies", "queryStringParameters", "pathParameters"} & set(shown)
    assert shown["rawQueryString"] == ""


@pytest.mark.parametrize(
    "kind",
    [
        TriggerKind.REPOSITORY,
        TriggerKind.RESULT,
        TriggerKind.VALKEY,
        TriggerKind.POSTGRES,
        TriggerKind.RABBITMQ,
        TriggerKind.MQTT,
        TriggerKind.NATS,
    ],
)
@pytest.mark.parametrize("data", [None, 7, "x", [1], {"a": 1}])
def test_all_else_is_of_eventbridge(kind: TriggerKind, data: object) -> None:
    shown = rendered(event(kind, data, source="mqtt://broker.example.com:8883/a"))
    models.EventBridgeModel.model_validate(shown)
    assert shown["detail"] == (
        data if isinstance(data, dict) else {} if data is None else {"data": data}
    )
    many = rendered(event(kind, data), event(kind, data), batch=True)
    assert [one["detail"] for one in many] == [shown["detail"]] * 2


def test_a_direct_call_is_the_payload() -> None:
    assert rendered(event(TriggerKind.INVOKE, {"a": 1})) == {"a": 1}


# -- the other two shapes of requests ------------------------------------------------------------


def asked(event_format: EventFormat, **changes: object) -> Any:
    event = request(**changes)
    return json.loads(
        msgspec.json.encode(aws_event((event,), "inv_1", batch=False, event_format=event_format))
    )


def test_a_request_in_payload_format_1() -> None:
    shown = asked(EventFormat.AWS_REST)
    models.APIGatewayProxyEventModel.model_validate(shown)
    event = data_classes.APIGatewayProxyEvent(shown)
    assert (event.http_method, event.path, event.version) == ("POST", "/path/to/resource", "1.0")
    assert event.resource == "/path/{rest+}" == shown["requestContext"]["resourcePath"]
    assert event.decoded_body == '{"test":"body"}'
    assert event.path_parameters == {"rest": "to/resource", "parameter1": "value1"}
    assert event.query_string_parameters == {"parameter1": "value2", "parameter2": "value"}
    assert event.multi_value_query_string_parameters == {
        "parameter1": ["value1", "value2"],
        "parameter2": ["value"],
    }
    assert shown["headers"]["User-Agent"] == "agent"
    assert shown["multiValueHeaders"]["Cookie"] == ["cookie1; cookie2"]
    assert event.request_context.identity.source_ip == "192.168.0.1"
    bare = asked(EventFormat.AWS_REST, query={}, headers={}, body=None, path_parameters={})
    for empty in ("headers", "queryStringParameters", "pathParameters", "body"):
        assert bare[empty] is None


def test_a_request_of_a_load_balancer() -> None:
    shown = asked(EventFormat.AWS_ALB, query={"q": ["a b", "ü&"], "n": [""]})
    models.AlbModel.model_validate(shown)
    event = data_classes.ALBEvent(shown)
    assert (event.http_method, event.path) == ("POST", "/path/to/resource")
    assert shown["queryStringParameters"] == {"q": "%C3%BC%26", "n": ""}
    assert event.decoded_body == '{"test":"body"}'
    assert shown["requestContext"]["elb"]["targetGroupArn"].startswith("arn:aws:")
    assert asked(EventFormat.AWS_ALB, body=None, is_base64=False)["body"] == ""


@pytest.mark.parametrize("event_format", [EventFormat.AWS_REST, EventFormat.AWS_ALB])
def test_all_that_is_no_request_is_the_same_in_each(event_format: EventFormat) -> None:
    for made in (queue, topic, bucket, schedule):
        one = made()
        assert aws_event((one,), "i", batch=False, event_format=event_format) == aws_event(
            (one,), "i", batch=False
        )


HTTP_FORMATS = [EventFormat.AWS, EventFormat.AWS_REST, EventFormat.AWS_ALB]
FORM = {
    "headers": {"host": "shop.example.com", "content-type": "application/json"},
    "body": '{"n": 2}',
    "is_base64": False,
    "query": {"x": ["1", "2 3"]},
    "path": "/sum/ü",
}


class LambdaContext:
    aws_request_id = "r"
    function_name = "f"


@pytest.mark.parametrize("event_format", HTTP_FORMATS)
def test_a_flask_application_answers(event_format: EventFormat) -> None:
    app = Flask("shop")

    @app.post("/sum/<name>")
    def total(name: str) -> Any:
        response = flask.jsonify(
            name=name, n=flask.request.get_json()["n"], x=flask.request.args["x"]
        )
        response.status_code = 201
        response.set_cookie("a", "1")
        return response

    handler = apig_wsgi.make_lambda_handler(app)
    head, body = answer(handler(asked(event_format, **FORM), LambdaContext()), http=True, shape=AWS)
    assert head["status"] == 201
    # API Gateway 1.0 and a load balancer hand over the last of several values.
    assert json.loads(body)["name"] == "ü"
    assert json.loads(body)["n"] == 2
    assert any(name.lower() == "set-cookie" for name, _ in head["headers"])


@pytest.mark.parametrize("event_format", HTTP_FORMATS)
def test_a_fastapi_application_answers(event_format: EventFormat) -> None:
    app = FastAPI()

    @app.post("/sum/{name}", status_code=201)
    def total(name: str, body: dict[str, int]) -> dict[str, object]:
        return {"name": name, "n": body["n"]}

    handler = Mangum(app, lifespan="off")
    head, body = answer(handler(asked(event_format, **FORM), LambdaContext()), http=True, shape=AWS)
    assert head["status"] == 201
    assert json.loads(body) == {"name": "ü", "n": 2}
