"""Rules about what functions of AWS Lambda run, for whom, and with which rights."""

from __future__ import annotations

import datetime
from collections.abc import Iterator

from casemate.audit.finding import Severity
from casemate.audit.model import Function, Platform, Reach, Statement
from casemate.audit.rule import Hit, Risk, Rule, Subject
from casemate.audit.rules.common import (
    hit,
    moving_image,
    of_functions,
    of_triggers,
)
from casemate.audit.rules.examples import function, resource
from casemate.audit.rules.runtimes import ENDS

_SOON_DAYS = 180
_LONG_AGO_DAYS = 730
_OWN_ACCOUNTS = frozenset(
    (
        *("017000801446", "580247275435", "901920570463", "184161586896", "094274105915"),
        *("027255383542", "336392948345", "464622532012", "634166935893", "177933569100"),
        *("133256977650", "044395824272", "015030872274", "187925254637", "753240598075"),
    )
)
"""Accounts of AWS and of large vendors that publish layers for everybody."""


def _by_runtime(subject: Subject) -> Iterator[tuple[str, list[Function]]]:
    """Yield runtimes that have an end, with the functions that have them: one change mends all."""
    users: dict[str, list[Function]] = {}
    for f in subject.application.functions:
        if f.runtime in ENDS:
            users.setdefault(f.runtime, []).append(f)
    yield from users.items()


def _ended(subject: Subject) -> Iterator[Hit]:
    today = datetime.date.fromisoformat(subject.today)
    for runtime, functions in _by_runtime(subject):
        past = (today - datetime.date.fromisoformat(ENDS[runtime])).days
        if past >= 0:
            widest = next((f for f in functions if f.reach is Reach.PUBLIC), functions[0])
            long_ago = past > _LONG_AGO_DAYS and widest.reach is Reach.PUBLIC
            yield Hit(
                place=functions[0].place,
                text=f"{len(functions)} function(s), {functions[0].name} first: the runtime {runtime} has had "
                f"no security updates since {ENDS[runtime]}",
                subject=runtime,
                function=widest,
                severity=Severity.HIGH if long_ago else None,
            )


def _ends_soon(subject: Subject) -> Iterator[Hit]:
    today = datetime.date.fromisoformat(subject.today)
    for runtime, functions in _by_runtime(subject):
        left = (datetime.date.fromisoformat(ENDS[runtime]) - today).days
        if 0 < left <= _SOON_DAYS:
            text = f"{len(functions)} function(s), {functions[0].name} first: {runtime} ends on {ENDS[runtime]}"
            yield Hit(place=functions[0].place, text=text, subject=runtime, function=functions[0])


def _slow(f: Function) -> str | None:
    if f.timeout is not None and f.timeout >= 300 and f.reach in (Reach.PUBLIC,):
        return f"everybody can keep it running for {f.timeout:.0f} s"
    return None


def _unlimited(f: Function) -> str | None:
    if f.concurrency is None and f.knows("concurrency") and f.reach is Reach.PUBLIC:
        return "everybody can start as many instances at once as the account allows"
    return None


def _layers(subject: Subject) -> Iterator[Hit]:
    for f in subject.application.functions:
        for arn in f.setting("layers") or ():
            parts = arn.split(":")
            full = len(parts) >= 7 and parts[0] == "arn"
            if full and parts[4].isdigit() and parts[4] not in _OWN_ACCOUNTS:
                text = f"the layer {parts[6]} comes from account {parts[4]}"
                yield hit(f, text, subject=arn)


def _image(f: Function) -> str | None:
    return moving_image(f.setting("image") or "")


_BASIC = (
    "AWSLambdaBasicExecutionRole",
    "AWSXRayDaemonWriteAccess",
    "AWSLambdaVPCAccessExecutionRole",
)


def _shared_role(subject: Subject) -> Iterator[Hit]:
    users: dict[str, list[Function]] = {}
    for f in subject.application.functions:
        if f.platform is Platform.AWS and f.role and f.knows("role"):
            users.setdefault(f.role, []).append(f)
    for role, functions in users.items():
        if len(functions) > 1 and any(
            s.origin not in _BASIC for f in functions for s in f.permissions
        ):
            names = ", ".join(f.name for f in functions[:6])
            yield Hit(
                place=functions[0].place,
                text=f"{len(functions)} functions ({names}) share the role {role}: each has "
                "the rights that any of them needs",
                subject=role,
                function=functions[0],
            )


def _unsigned(f: Function) -> str | None:
    if not f.setting("code_signing") and f.setting("package") == "Zip" and f.reach is Reach.PUBLIC:
        return "unsigned code can be deployed to it"
    return None


def _environment_key(f: Function) -> str | None:
    secretive = [v.name for v in f.environment if any(w in v.name.upper() for w in _SECRETIVE)]
    if secretive and not f.setting("environment_key"):
        return f"{secretive[0][:64]} is in the environment, which has no key of your own"
    return None


_SECRETIVE = ("PASSWORD", "SECRET_KEY", "API_KEY", "PRIVATE_KEY", "ACCESS_TOKEN")


def _permitted(subject: Subject) -> Iterator[Hit]:
    for f in subject.application.functions:
        for trigger in f.triggers:
            if (
                f.platform is Platform.AWS
                and trigger.kind == "invoke"
                and trigger.reach is Reach.PUBLIC
            ):
                yield hit(f, "its policy lets every AWS account call it", trigger.place)


def _anonymous_url(f: Function, trigger: object) -> str | None:
    return (
        "its URL does not authenticate callers"
        if getattr(trigger, "reach", None) is Reach.PUBLIC
        else None
    )


def _privileged(f: Function) -> str | None:
    if f.reach is Reach.PUBLIC and f.permissions and any(map(_everything, f.permissions)):
        return "everybody can call it, and it may do everything in the account"
    return None


def _everything(s: Statement) -> bool:
    return s.allows and "*" in s.actions and "*" in s.resources and not s.conditions


_API = "Type: Api\nProperties: {Path: /thing, Method: get}"
RULES = (
    Rule(
        id="FN-001",
        title="Runtime without security updates",
        risk=Risk.RESPONSIBILITY,
        owasp="SAS-09",
        cwe=1104,
        attack="T1190",
        severity=Severity.MEDIUM,
        why="AWS patches a runtime until its end of support. After that, a vulnerability in "
        "the interpreter or in a bundled library stays open, and one day the function "
        "can no longer be updated.",
        fix="Set a supported runtime, such as python3.13 or nodejs22.x, and run the tests.",
        check=_ended,
        vulnerable=function("Runtime: python3.8"),
        fixed=function("Runtime: python3.13"),
    ),
    Rule(
        id="FN-002",
        title="Runtime whose support ends within half a year",
        risk=Risk.RESPONSIBILITY,
        owasp="SAS-09",
        cwe=1104,
        severity=Severity.LOW,
        why="A runtime change that waits for the last day is made in a hurry, or not at all.",
        fix="Plan the change to a later runtime now.",
        check=_ends_soon,
        vulnerable=function("Runtime: nodejs22.x"),
        fixed=function("Runtime: python3.13"),
    ),
    Rule(
        id="FN-003",
        title="Everybody can keep a function running for minutes",
        risk=Risk.RESPONSIBILITY,
        owasp="SAS-06",
        cwe=770,
        attack="T1499.003",
        severity=Severity.LOW,
        why="You pay for each second. An attacker who finds a slow input pays nothing and "
        "makes you pay: denial of wallet. Behind API Gateway nobody waits longer than 29 "
        "seconds anyway.",
        fix="Set Timeout to what a call needs, for HTTP at most 29 seconds; move long work to a queue.",
        check=of_functions(_slow),
        vulnerable=function("Timeout: 900", event=_API),
        fixed=function("Timeout: 10", event=_API),
    ),
    Rule(
        id="FN-004",
        title="No bound on concurrent executions",
        risk=Risk.RESPONSIBILITY,
        owasp="SAS-06",
        cwe=770,
        attack="T1499.003",
        severity=Severity.LOW,
        why="A flood of calls uses up the concurrency of the whole account, so other "
        "functions are refused, and you pay for each call.",
        fix="Set ReservedConcurrentExecutions to the most that the function needs, and "
        "throttle the API.",
        check=of_functions(_unlimited),
        vulnerable=function(event=_API),
        fixed=function("ReservedConcurrentExecutions: 20", event=_API),
    ),
    Rule(
        id="FN-007",
        title="Layer of another account",
        risk=Risk.DEPENDENCIES,
        owasp="SAS-09",
        cwe=829,
        attack="T1195.002",
        severity=Severity.LOW,
        by_reach=True,
        why="A layer is code that runs with all rights and secrets of the function. The "
        "owner of that account decides what is in it, and nobody scans it for you.",
        fix="Build the layer in your own account from sources that you have reviewed, or "
        "bundle its contents.",
        check=_layers,
        vulnerable=function("Layers: ['arn:aws:lambda:eu-west-1:123456789012:layer:handy:3']"),
        fixed=function(
            "Layers: [!Ref Own]",
            "Own:\n  Type: AWS::Serverless::LayerVersion\n  Properties: {ContentUri: layer/}",
        ),
    ),
    Rule(
        id="FN-008",
        title="Image that can change without notice",
        risk=Risk.DEPENDENCIES,
        owasp="SAS-09",
        cwe=494,
        attack="T1195.002",
        severity=Severity.MEDIUM,
        why="A tag such as `latest` names whatever was pushed last, by anybody. The next "
        "deployment may run something other than what was tested.",
        fix="Name the image by its digest: REPOSITORY@sha256:....",
        check=of_functions(_image),
        vulnerable=resource(
            "AWS::Serverless::Function",
            "PackageType: Image\nImageUri: 123456789012.dkr.ecr.eu-west-1.amazonaws.com/thing:latest",
        ),
        fixed=resource(
            "AWS::Serverless::Function",
            "PackageType: Image\nImageUri: 123456789012.dkr.ecr.eu-west-1.amazonaws.com/thing@sha256:"
            + "0" * 64,
        ),
    ),
    Rule(
        id="FN-009",
        title="One role for several functions",
        risk=Risk.PERMISSIONS,
        owasp="SAS-05",
        cwe=250,
        attack="T1078.004",
        severity=Severity.LOW,
        why="Whoever takes over the weakest of them has the rights that the strongest needs.",
        fix="Give each function a role of its own with only the rights that it needs. In the "
        "Serverless Framework, use the plugin serverless-iam-roles-per-function.",
        check=_shared_role,
        vulnerable=function(
            "Role: !GetAtt Shared.Arn",
            "Other:\n  Type: AWS::Serverless::Function\n  Properties: {Handler: a.b, Runtime: python3.13, Role: !GetAtt Shared.Arn, InlineCode: ''}\n"
            "Shared:\n  Type: AWS::IAM::Role\n  Properties: {ManagedPolicyArns: ['arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess']}",
        ),
        fixed=function("Policies: [AWSLambdaBasicExecutionRole]"),
    ),
    Rule(
        id="FN-014",
        title="Code is not signed",
        risk=Risk.DEPENDENCIES,
        owasp="SAS-06",
        cwe=345,
        attack="T1525",
        severity=Severity.INFO,
        why="Whoever may call UpdateFunctionCode can replace the function. With code "
        "signing, only code that your pipeline signed is accepted.",
        fix="Set CodeSigningConfigArn to a configuration that enforces signatures.",
        check=of_functions(_unsigned),
        vulnerable=function(event=_API),
        fixed=function("CodeSigningConfigArn: !Ref Signing", event=_API),
    ),
    Rule(
        id="FN-015",
        title="Sensitive variables without a key of your own",
        risk=Risk.PERMISSIONS,
        owasp="SAS-03",
        cwe=311,
        attack="T1552.005",
        severity=Severity.LOW,
        why="Everybody who may read the function's configuration reads its environment in "
        "clear text.",
        fix="Keep the value in Secrets Manager or Parameter Store and read it at run time; set KmsKeyArn.",
        check=of_functions(_environment_key),
        vulnerable=function("Environment: {Variables: {DB_PASSWORD: !Ref Given}}"),
        fixed=function(
            "KmsKeyArn: !GetAtt Key.Arn\nEnvironment: {Variables: {DB_PASSWORD: !Ref Given}}"
        ),
    ),
    Rule(
        id="FN-018",
        title="Any AWS account may call a function",
        risk=Risk.PERMISSIONS,
        owasp="SAS-05",
        cwe=284,
        attack="T1190",
        severity=Severity.HIGH,
        why="A permission for the principal `*` lets everybody with an AWS account call it.",
        fix="Name the service or the account in Principal, with SourceArn or SourceAccount.",
        check=_permitted,
        vulnerable=function(
            "",
            "Open:\n  Type: AWS::Lambda::Permission\n  Properties: {Action: 'lambda:InvokeFunction', FunctionName: !Ref Thing, Principal: '*'}",
        ),
        fixed=function(
            "",
            "Open:\n  Type: AWS::Lambda::Permission\n  Properties: {Action: 'lambda:InvokeFunction', FunctionName: !Ref Thing, Principal: s3.amazonaws.com, SourceAccount: !Ref 'AWS::AccountId'}",
        ),
    ),
    Rule(
        id="FN-019",
        title="Function URL without authentication",
        risk=Risk.PERMISSIONS,
        owasp="SAS-02",
        cwe=306,
        attack="T1190",
        severity=Severity.MEDIUM,
        why="With AuthType NONE everybody can call it, without API Gateway's throttling, "
        "firewall or authorizers in front.",
        fix="Set AuthType: AWS_IAM, or check a signature in the first lines of the handler and record why.",
        check=of_triggers(_anonymous_url, "url"),
        vulnerable=function("FunctionUrlConfig: {AuthType: NONE}"),
        fixed=function("FunctionUrlConfig: {AuthType: AWS_IAM}"),
    ),
    Rule(
        id="FN-021",
        title="Public function with every right",
        risk=Risk.PERMISSIONS,
        owasp="SAS-05",
        cwe=250,
        attack="T1078.004",
        severity=Severity.CRITICAL,
        why="One bug in its code exposes the whole account.",
        fix="Grant only the actions and resources that the code uses.",
        check=of_functions(_privileged),
        vulnerable=function("Policies: [AdministratorAccess]", event=_API),
        fixed=function("Policies: [AWSLambdaBasicExecutionRole]", event=_API),
    ),
)
