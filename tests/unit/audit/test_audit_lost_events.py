"""Events that are lost or given twice are told, on each platform; those that are kept are not."""

from __future__ import annotations

import json

import pytest
from tests.unit.audit.test_audit_ordinary import told

from casemate.audit.auditing import applications_of
from casemate.audit.code.reading import Code
from casemate.audit.rule import Subject
from casemate.audit.rules.all import RULES
from casemate.audit.rules.examples import Files, function, resource, service
from casemate.audit.workspace import Workspace

_QUEUE = "Jobs:\n  Type: AWS::SQS::Queue\n  Properties: {%s}"
_READ = "Type: SQS\nProperties: {Queue: !GetAtt Jobs.Arn}"


@pytest.mark.parametrize(
    ("timeout", "queue", "found"),
    [
        ("Timeout: 60", "VisibilityTimeout: 59", 1),
        ("Timeout: 60", "VisibilityTimeout: 60", 0),
        ("Timeout: 60", "DelaySeconds: 1", 1),
        ("Timeout: 30", "DelaySeconds: 1", 0),
        ("Timeout: !Ref Given", "VisibilityTimeout: 1", 0),
        ("Timeout: 60", "VisibilityTimeout: !Ref Given", 0),
    ],
)
def test_a_message_that_is_given_again_too_soon(timeout: str, queue: str, found: int) -> None:
    more = _QUEUE % queue + "\nGiven:\n  Type: AWS::SSM::Parameter\n  Properties: {Type: String}\n"
    assert told(function(timeout, more, event=_READ), "DATA-033") == found


@pytest.mark.parametrize(
    ("properties", "found"),
    [
        ("StartingPosition: LATEST", 1),
        ("StartingPosition: LATEST, DestinationConfig: {OnFailure: {Destination: !Ref D}}", 0),
    ],
)
def test_records_of_streams(properties: str, found: int) -> None:
    stream = "Stream: arn:aws:kinesis:eu-west-1:123456789012:stream/a"
    event = f"Type: Kinesis\nProperties: {{{stream}, {properties}}}"
    assert told(function(event=event), "FN-020") == found


@pytest.mark.parametrize(
    ("properties", "found"),
    [("LogGroupName: /http", 1), ("LogGroupName: /http\nRetentionInDays: 30", 0)],
)
def test_logs_that_are_kept_for_ever(properties: str, found: int) -> None:
    assert told(resource("AWS::Logs::LogGroup", properties), "FN-011") == found


_SERVICE = """service: a
provider: {name: aws, runtime: python3.13%s}
functions:
  get: {handler: app.get%s}
"""


@pytest.mark.parametrize(
    ("provider", "function", "found"),
    [
        ("", "", {"FN-011", "FN-013"}),
        (", logRetentionInDays: 30", "", {"FN-013"}),
        (", logRetentionInDays: 30", ", logRetentionInDays: 3", {"FN-012", "FN-013"}),
        ("", ", disableLogs: true", {"FN-010"}),
        (", logs: {lambda: {logGroup: /all}}", ", disableLogs: true", set()),
    ],
)
def test_groups_of_logs_that_the_serverless_framework_makes(provider, function, found) -> None:
    files = {"serverless.yml": _SERVICE % (provider, function)}
    assert {r for r in ("FN-010", "FN-011", "FN-012", "FN-013") if told(files, r)} == found


def delivered(kind: str, spec: str, more: str = "") -> Files:
    group = "messaging" if kind == "Subscription" else "eventing"
    text = f"apiVersion: {group}.knative.dev/v1\nkind: {kind}\nmetadata: {{name: a}}\nspec:\n{spec}"
    return {"service.yaml": service()["service.yaml"] + "---\n" + text + more}


_SINK = "  delivery: {deadLetterSink: {ref: {kind: Service, name: parked}}}\n"
_BROKER = (
    "---\napiVersion: eventing.knative.dev/v1\nkind: Broker\nmetadata: {name: default}\nspec:\n"
)


@pytest.mark.parametrize(
    ("files", "found"),
    [
        (delivered("Trigger", "  broker: default\n"), 1),
        (delivered("Trigger", "  broker: default\n" + _SINK), 0),
        (delivered("Trigger", "  broker: default\n", _BROKER + _SINK), 0),
        (delivered("Trigger", "  broker: other\n", _BROKER + _SINK), 1),
        (delivered("Trigger", "  broker: default\n" + _SINK, _BROKER + "  config: {}\n"), 1),
        (delivered("Subscription", "  channel: {name: b}\n"), 1),
        (delivered("Subscription", "  channel: {name: b}\n" + _SINK), 0),
    ],
)
def test_deliveries_of_knative(files: Files, found: int) -> None:
    assert told(files, "KN-007") == found


def told_in_all(files: Files, rule: str) -> int:
    workspace = Workspace.of(dict(files))
    code = Code(workspace)
    [check] = [each.check for each in RULES if each.id == rule]
    return sum(len(list(check(Subject(a, workspace, code)))) for a in applications_of(workspace))


_KEPT = "delivery: {deadLetterSink: {ref: {kind: Service, name: parked}}}"


@pytest.mark.parametrize(
    ("config", "found"),
    [
        (f"clusterDefault: {{brokerClass: MT, {_KEPT}}}", 0),
        ("clusterDefault: {brokerClass: MT}", 2),
        (f"clusterDefault: {{{_KEPT}}}\nnamespaceDefaults: {{shop: {{brokerClass: MT}}}}", 2),
        (f"namespaceDefaults: {{shop: {{{_KEPT}}}}}", 0),
        (f"namespaceDefaults: {{other: {{{_KEPT}}}}}", 2),
        ("[", 2),
    ],
)
@pytest.mark.parametrize("by_operator", [False, True])
def test_defaults_of_brokers_in_the_same_folder(config: str, found: int, by_operator) -> None:
    files = delivered("Trigger", "  broker: default\n", _BROKER + "  config: {}\n")
    files = {k: v.replace("{name: a}", "{name: a, namespace: shop}") for k, v in files.items()}
    files = {
        k: v.replace("metadata: {name: default}", "metadata: {name: default, namespace: shop}")
        for k, v in files.items()
    }
    data = {"default-br-config": config}
    if by_operator:
        head = {"apiVersion": "operator.knative.dev/v1beta1", "kind": "KnativeEventing"}
        data = {"spec": {"config": {"br-defaults": data}}}
    else:
        head = {"apiVersion": "v1", "kind": "ConfigMap"}
        data = {"data": data}
    files["defaults.json"] = json.dumps(head | {"metadata": {"name": "a"}} | data)
    assert told_in_all(files, "KN-007") == found
    moved = {f"other/{k}" if k == "defaults.json" else k: v for k, v in files.items()}
    assert told_in_all(moved, "KN-007") == 2


def test_a_broker_in_another_file_of_the_folder() -> None:
    files = delivered("Trigger", "  broker: default\n")
    assert told_in_all(files | {"broker.yaml": _BROKER + _SINK}, "KN-007") == 0
    assert told_in_all(files | {"broker.yaml": _BROKER + "  config: {}\n"}, "KN-007") == 2


def test_code_beside_a_broker_is_audited() -> None:
    code = "import os\nfrom flask import Flask, request\napp = Flask(__name__)\n"
    code += "@app.get('/')\ndef a():\n    os.system(request.args['a'])\n"
    assert told_in_all({"broker.yaml": _BROKER + "  config: {}\n", "app.py": code}, "DF-002") == 1


@pytest.mark.parametrize(
    ("options", "found"),
    [("--trigger-topic=a", 1), ("--trigger-topic=a --retry", 0), ("--trigger-http", 0)],
)
def test_events_of_google_cloud(options: str, found: int) -> None:
    kind = "http" if "http" in options else "cloud_event"
    code = (
        "import functions_framework\n\n\n"
        f"@functions_framework.{kind}\ndef take(given):\n    return 'x'\n"
    )
    deploy = f"gcloud functions deploy take --runtime=python313 --entry-point=take {options}\n"
    assert told({"main.py": code, "deploy.sh": deploy}, "FN-006") == found
