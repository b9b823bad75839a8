"""Settings that stand away from what they are of: of APIs, of containers, of several triggers."""

from __future__ import annotations

import pytest
from tests.unit.audit.test_audit_ordinary import findings, told

_FUNCTIONS = (
    "functions:\n  a:\n    handler: a.handler\n    events:\n"
    "      - httpApi: {path: /a, method: get}\n      - http: {path: /b, method: get}\n"
)


def serverless(provider: str) -> dict[str, str]:
    text = f"service: shop\nprovider:\n  name: aws\n  runtime: python3.13\n{provider}{_FUNCTIONS}"
    return {"serverless.yml": text, "a.py": "def handler(event, context):\n    return 1\n"}


@pytest.mark.parametrize(
    ("provider", "rule", "found"),
    [
        ("", "API-012", 2),
        ("  logs: {httpApi: true}\n", "API-012", 1),
        ("  logs: {restApi: true}\n", "API-012", 1),
        ("  tracing: {apiGateway: true}\n", "API-014", 0),
        ("", "API-014", 1),
        ("  httpApi: {cors: true}\n", "API-010", 1),
        ("  httpApi: {cors: {allowedOrigins: ['*']}}\n", "API-010", 1),
        ("  httpApi: {cors: {allowedOrigins: ['https://shop.example']}}\n", "API-010", 0),
        ("", "API-010", 0),
    ],
)
def test_the_provider_says_how_its_apis_are(provider: str, rule: str, found: int) -> None:
    assert told(serverless(provider), rule) == found


def service(beside: str) -> dict[str, str]:
    text = (
        "apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {name: shop}\n"
        "spec:\n  template:\n    spec:\n      containers:\n"
        "        - image: a.example/shop@sha256:00\n"
        "          securityContext: {runAsNonRoot: true, allowPrivilegeEscalation: false}\n"
        f"        - {{name: side, image: 'a.example/side:1'{beside}}}\n"
    )
    return {"service.yaml": text}


def test_a_container_beside_a_service_is_looked_at() -> None:
    [found] = findings(service(", securityContext: {privileged: true}"), "KN-002")
    assert found.text.startswith("shop (side)")
    assert found.place.line == 10
    closed = ", securityContext: {runAsNonRoot: true, allowPrivilegeEscalation: false}"
    assert told(service(closed), "KN-002") == told(service(closed), "KN-003") == 0
    assert told(service(closed), "CT-003") == 1  # the service alone is called


_SAM = """AWSTemplateFormatVersion: '2010-09-09'
Transform: AWS::Serverless-2016-10-31
Resources:
  F:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.13
      Handler: a.handler
      CodeUri: .
      Events:
"""
_DAILY = "        D: {Type: Schedule, Properties: {Schedule: rate(1 day)}}\n"
_BUS = "        B: {Type: EventBridgeRule, Properties: {Pattern: {source: [shop]}}}\n"


@pytest.mark.parametrize(("events", "found"), [(_DAILY, 0), (_BUS, 1), (_DAILY + _BUS, 1)])
def test_an_event_of_a_bus_is_data_beside_a_schedule(events: str, found: int) -> None:
    code = "import os\n\n\ndef handler(event, context):\n    os.system(event['detail']['name'])\n"
    assert told({"template.yaml": _SAM + events, "a.py": code}, "DF-002") == found
