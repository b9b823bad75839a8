"""Events of functions of the Serverless Framework, as events of SAM."""

from __future__ import annotations

from typing import Any

from casemate.audit.documents import Map, place_of
from casemate.audit.importers.aws.resource import at, listed, text, truth
from casemate.audit.model import Place

_PLAIN = {
    "s3": ("S3", "Bucket", "bucket"),
    "schedule": ("Schedule", "Schedule", "rate"),
    "sns": ("SNS", "Topic", "arn"),
    "sqs": ("SQS", "Queue", "arn"),
    "eventBridge": ("EventBridgeRule", "EventBusName", "eventBus"),
    "cloudwatchEvent": ("CloudWatchEvent", "EventBusName", "event"),
    "cloudwatchLog": ("CloudWatchLogs", "LogGroupName", "logGroup"),
    "iot": ("IoTRule", "Sql", "sql"),
    "alexaSkill": ("AlexaSkill", "SkillId", "appId"),
    "cognitoUserPool": ("Cognito", "UserPool", "pool"),
    "msk": ("MSK", "Stream", "arn"),
    "kafka": ("SelfManagedKafka", "Topics", "topic"),
    "activemq": ("MQ", "Broker", "arn"),
    "rabbitmq": ("MQ", "Broker", "arn"),
}


def events_of(events: Any, provider: dict[str, Any], place: Place) -> Map:
    """Return the events of a function by a name."""
    made = Map(place.file, place.line)
    for number, each in enumerate(listed(events)):
        where = place_of(events, number, place)
        found = {each: True} if isinstance(each, str) else each
        for kind, given in found.items() if isinstance(found, dict) else ():
            name = f"{kind}{number}"
            event = _event(kind, given, provider)
            if event is not None:
                made[name] = event
                made.places[name] = (where.line, where.column)
    return made


def _event(kind: str, given: Any, provider: dict[str, Any]) -> dict[str, Any] | None:
    if kind == "http":
        return {"Type": "Api", "Properties": _http(given)}
    if kind == "httpApi":
        return {"Type": "HttpApi", "Properties": _http_api(given)}
    if kind == "stream":
        arn = given if isinstance(given, str) else text(at(given, "arn"))
        table = "dynamodb" in arn or text(at(given, "type")) == "dynamodb"
        properties = {
            **(given if isinstance(given, dict) else {}),
            "Stream": at(given, "arn") or given,
        }
        return {"Type": "DynamoDB" if table else "Kinesis", "Properties": properties}
    if kind == "websocket":
        return {"Type": "WebSocket", "Properties": {}}
    if kind in _PLAIN:
        type_, key, source = _PLAIN[kind]
        properties = dict(given) if isinstance(given, dict) else {}
        properties[key] = at(given, source) if isinstance(given, dict) else given
        return {"Type": type_, "Properties": properties}
    return {"Type": kind, "Properties": {}}


def _http(given: Any) -> dict[str, Any]:
    if isinstance(given, str):
        method, _, path = given.partition(" ")
        return {"Method": method, "Path": path or "/"}
    auth: dict[str, Any] = {}
    authorizer = at(given, "authorizer")
    if authorizer:
        auth["Authorizer"] = (
            text(
                authorizer
                if isinstance(authorizer, str)
                else at(authorizer, "name") or at(authorizer, "type") or at(authorizer, "arn")
            )
            or "authorizer"
        )
    if truth(at(given, "private")):
        auth["ApiKeyRequired"] = True
    made = {"Method": at(given, "method"), "Path": at(given, "path"), "Auth": auth}
    if at(given, "cors"):
        cors = at(given, "cors")
        made["Cors"] = "*" if cors is True else at(cors, "origin") or at(cors, "origins") or "*"
    return made


def _http_api(given: Any) -> dict[str, Any]:
    if isinstance(given, str):
        method, _, path = given.partition(" ")
        made = {"Method": method, "Path": path or "/{proxy+}"}
        if given == "*":
            made = {"Method": "ANY", "Path": "/{proxy+}"}
        return {**made, "Auth": {}}
    authorizer = at(given, "authorizer")
    auth = {}
    if authorizer:
        auth["Authorizer"] = (
            text(
                authorizer
                if isinstance(authorizer, str)
                else at(authorizer, "name") or at(authorizer, "type") or at(authorizer, "id")
            )
            or "authorizer"
        )
    return {"Method": at(given, "method"), "Path": at(given, "path"), "Auth": auth}
