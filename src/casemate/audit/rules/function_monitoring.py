"""Rules about what is seen and kept of functions of AWS Lambda: logs, traces, alarms, failed events."""

from __future__ import annotations

from collections.abc import Iterator

from casemate.audit.finding import Severity
from casemate.audit.importers.aws.resource import at
from casemate.audit.model import Function, Platform
from casemate.audit.rule import Hit, Risk, Rule, Subject
from casemate.audit.rules.common import (
    EVENTS,
    OUTSIDE,
    hit,
    of_assets,
    of_functions,
)
from casemate.audit.rules.examples import function, resource


def _untraced(f: Function) -> str | None:
    mode = f.setting("tracing")
    return "it leaves no traces" if mode in ("", "PassThrough") and f.knows("tracing") else None


def _lost(f: Function) -> str | None:
    if not f.setting("dead_letters") and any(t.kind in EVENTS for t in f.triggers):
        return "events that keep failing are lost without a sign"
    return None


def _no_group(f: Function) -> str | None:
    if not f.logging.declared and not f.logging.group:
        return "its logs go to an undeclared group: they are kept for ever, unencrypted"
    return None


def _kept_for_ever(f: Function) -> str | None:
    if f.logging.declared and f.logging.retention_days == 0:
        return "its logs are kept for ever"
    return None


def _kept_short(f: Function) -> str | None:
    days = f.logging.retention_days
    if f.logging.declared and days is not None and 0 < days < 7:
        return f"its logs are kept for {days} days: attacks are usually noticed later"
    return None


def _logs_open(f: Function) -> str | None:
    if f.logging.declared and f.logging.encrypted is False:
        return "its logs are not encrypted with a key of your own"
    return None


def _alarms(subject: Subject) -> Iterator[Hit]:
    application = subject.application
    outside = [f for f in application.functions if f.reach in OUTSIDE]
    alarmed = any(True for _ in application.of_kind("alarm"))
    if application.platform is Platform.AWS and outside and not alarmed:
        count = len(application.functions)
        text = f"no alarm watches errors or throttling of {count} function(s)"
        yield Hit(place=application.place, text=text, subject="alarms")


def _stream_end(asset: object) -> str | None:
    settings = getattr(asset, "settings", {})
    source = settings.get("source", "")
    if (
        any(part in source for part in (":dynamodb:", ":kinesis:", ".StreamArn"))
        and not settings["on_failure"]
    ):
        return "records that fail stop the stream or are lost: they have no destination"
    return None


def _streams(subject: Subject) -> Iterator[Hit]:
    """Find streams whose failed records go nowhere: mappings, and events of SAM."""
    yield from of_assets("mapping", _stream_end)(subject)
    for f in subject.application.functions:
        for t in f.triggers if f.platform is Platform.AWS else ():
            stream = t.kind in ("stream", "table") and "Stream" in t.settings
            kept = at(t.settings.get("DestinationConfig"), "OnFailure")
            kept = kept or at(t.settings.get("destinations"), "onFailure")
            if stream and kept is None:
                text = "records that fail stop the stream or are lost: they have no destination"
                yield hit(f, text, t.place, f"{f.name} {t.source}")


def _groups(subject: Subject) -> Iterator[Hit]:
    """Find groups of logs without an end: those of functions, and of APIs and the like."""
    yield from of_functions(_kept_for_ever)(subject)
    owned = {f.logging.group for f in subject.application.functions}
    for a in subject.application.of_kind("log-group"):
        group = a.settings.get("group", "")
        if a.settings.get("days_said", True) or group in owned or "/aws/lambda/" in group:
            continue
        yield Hit(place=a.place, text=f"{a.name}: its logs are kept for ever", subject=a.name)


def _retried(subject: Subject) -> Iterator[Hit]:
    """Find events that are lost: of Lambda, and those that Google Cloud tries once."""
    yield from of_functions(_lost)(subject)
    for f in subject.application.functions:
        if f.platform is Platform.GOOGLE and f.setting("retried") is False:
            yield hit(f, "an event that fails once is lost without a sign", f.triggers[0].place)


_API = "Type: Api\nProperties: {Path: /thing, Method: get}"
_GROUP = """\
Logs:
  Type: AWS::Logs::LogGroup
  Properties:
    LogGroupName: !Sub /aws/lambda/${Thing}
    %s
"""

RULES = (
    Rule(
        id="FN-005",
        title="No traces",
        risk=Risk.MONITORING,
        owasp="SAS-10",
        cwe=778,
        severity=Severity.INFO,
        why="Without traces nobody can tell which calls to which service belong to an attack.",
        fix="Set Tracing: Active (TracingConfig: {Mode: Active} in CloudFormation).",
        check=of_functions(_untraced),
        vulnerable=function("Tracing: PassThrough"),
        fixed=function("Tracing: Active"),
    ),
    Rule(
        id="FN-006",
        title="Failed events are lost",
        risk=Risk.ERRORS,
        owasp="SAS-10",
        cwe=223,
        severity=Severity.LOW,
        why="Lambda tries an event three times and then drops it. Events that fail because "
        "of an attacker, or because of a bug of yours, are gone.",
        fix="Name a DeadLetterQueue or an OnFailure destination, and set an alarm on what "
        "arrives there. On Google Cloud, deploy with --retry.",
        check=_retried,
        vulnerable=function(event="Type: Schedule\nProperties: {Schedule: rate(1 hour)}"),
        fixed=function(
            "DeadLetterQueue: {Type: SQS, TargetArn: !GetAtt Dead.Arn}",
            "Dead:\n  Type: AWS::SQS::Queue",
            event="Type: Schedule\nProperties: {Schedule: rate(1 hour)}",
        ),
    ),
    Rule(
        id="FN-010",
        title="Log group that is not declared",
        risk=Risk.MONITORING,
        owasp="SAS-10",
        cwe=778,
        severity=Severity.INFO,
        why="Lambda creates the group at the first call. It is kept for ever, belongs to no "
        "stack, and nobody decided who may read it.",
        fix="Declare an AWS::Logs::LogGroup for the function with RetentionInDays.",
        check=of_functions(_no_group),
        vulnerable=function(),
        fixed=function("", _GROUP % "RetentionInDays: 90"),
    ),
    Rule(
        id="FN-011",
        title="Logs are kept for ever",
        risk=Risk.MONITORING,
        owasp="SAS-03",
        cwe=359,
        severity=Severity.LOW,
        why="Logs contain personal data. All of it is there for anybody who breaks in years later.",
        fix="Set RetentionInDays to what investigations and the law require, such as 90.",
        check=_groups,
        vulnerable=function("", _GROUP % "LogGroupClass: STANDARD"),
        fixed=function("", _GROUP % "RetentionInDays: 90"),
    ),
    Rule(
        id="FN-012",
        title="Logs are deleted within a week",
        risk=Risk.MONITORING,
        owasp="SAS-10",
        cwe=778,
        severity=Severity.LOW,
        why="Break-ins are found after weeks. By then nobody can reconstruct what happened.",
        fix="Keep logs for 30 days or more.",
        check=of_functions(_kept_short),
        vulnerable=function("", _GROUP % "RetentionInDays: 3"),
        fixed=function("", _GROUP % "RetentionInDays: 90"),
    ),
    Rule(
        id="FN-013",
        title="Logs without a key of your own",
        risk=Risk.MONITORING,
        owasp="SAS-03",
        cwe=311,
        severity=Severity.INFO,
        why="With AWS's key, everybody who may read logs in the account can read them. With "
        "a key of your own, each reader needs that key as well.",
        fix="Set KmsKeyId on the log group.",
        check=of_functions(_logs_open),
        vulnerable=function("", _GROUP % "RetentionInDays: 90"),
        fixed=function("", _GROUP % "KmsKeyId: !Ref Key\n    RetentionInDays: 90"),
    ),
    Rule(
        id="FN-016",
        title="No alarm at all",
        risk=Risk.MONITORING,
        owasp="SAS-10",
        cwe=778,
        severity=Severity.LOW,
        why="An attack that makes functions fail, or run without end, is noticed only on the bill.",
        fix="Add an AWS::CloudWatch::Alarm on Errors and Throttles of AWS/Lambda with an action.",
        check=_alarms,
        vulnerable=function(event=_API),
        fixed=function(
            "",
            "Alarm:\n  Type: AWS::CloudWatch::Alarm\n  Properties: {Namespace: AWS/Lambda, MetricName: Errors, AlarmActions: [!Ref Topic]}",
            event=_API,
        ),
    ),
    Rule(
        id="FN-017",
        title="Alarm that notifies nobody",
        risk=Risk.MONITORING,
        owasp="SAS-10",
        cwe=223,
        severity=Severity.LOW,
        why="An alarm without an action is only a colour on a page that nobody looks at.",
        fix="Set AlarmActions to a topic that somebody reads.",
        check=of_assets(
            "alarm",
            lambda a: (
                None
                if a.settings["actions"] or a.type.endswith("CompositeAlarm")
                else "it has no action"
            ),
        ),
        vulnerable=resource("AWS::CloudWatch::Alarm", "Namespace: AWS/Lambda\nMetricName: Errors"),
        fixed=resource(
            "AWS::CloudWatch::Alarm",
            "Namespace: AWS/Lambda\nMetricName: Errors\nAlarmActions: [!Ref Topic]",
        ),
    ),
    Rule(
        id="FN-020",
        title="Stream without a destination for failures",
        risk=Risk.ERRORS,
        owasp="SAS-10",
        cwe=755,
        severity=Severity.LOW,
        why="One record that the handler cannot process blocks its shard until the record is "
        "too old. An attacker needs only one.",
        fix="Set DestinationConfig.OnFailure, MaximumRetryAttempts and BisectBatchOnFunctionError.",
        check=_streams,
        vulnerable=function(
            "",
            "Read:\n  Type: AWS::Lambda::EventSourceMapping\n  Properties: {FunctionName: !Ref Thing, EventSourceArn: !GetAtt Table.StreamArn}",
        ),
        fixed=function(
            "",
            "Read:\n  Type: AWS::Lambda::EventSourceMapping\n  Properties: {FunctionName: !Ref Thing, EventSourceArn: !GetAtt Table.StreamArn, DestinationConfig: {OnFailure: {Destination: !GetAtt Dead.Arn}}}",
        ),
    ),
)
