"""What stands in a template and has no counterpart: told with its place and the next step."""

from __future__ import annotations

from casemate.audit.model import Application, Function
from casemate.audit.workspace import Workspace
from casemate.importing.outcome import Notes

_TAKEN = frozenset(
    (
        *(
            "AWS::Serverless::Function",
            "AWS::Lambda::Function",
            "AWS::IAM::Role",
            "AWS::IAM::Policy",
        ),
        *("AWS::IAM::ManagedPolicy", "AWS::IAM::RolePolicy", "AWS::Lambda::Permission"),
        *("AWS::Lambda::Url", "AWS::Lambda::Alias", "AWS::Lambda::Version"),
        *("AWS::Lambda::EventSourceMapping", "AWS::SNS::Subscription", "AWS::Events::Rule"),
        *("AWS::Scheduler::Schedule", "AWS::S3::Bucket", "AWS::S3::BucketPolicy"),
        *("AWS::DynamoDB::Table", "AWS::Serverless::SimpleTable", "AWS::SQS::Queue"),
        *("AWS::SQS::QueuePolicy", "AWS::SNS::Topic", "AWS::SNS::TopicPolicy"),
        *("AWS::Serverless::Api", "AWS::Serverless::HttpApi", "AWS::Serverless::Connector"),
        *("AWS::ApiGateway::RestApi", "AWS::ApiGateway::Resource", "AWS::ApiGateway::Method"),
        *("AWS::ApiGateway::Deployment", "AWS::ApiGateway::Stage", "AWS::ApiGatewayV2::Api"),
        *("AWS::ApiGatewayV2::Route", "AWS::ApiGatewayV2::Integration", "AWS::ApiGatewayV2::Stage"),
        *("AWS::Logs::LogGroup", "AWS::CDK::Metadata", "AWS::DynamoDB::GlobalTable"),
    )
)
"""What functions, triggers, grants and resources of the project were made of."""
_NEXT = (
    (
        "AWS::SecretsManager::",
        "set its value with `casemate secrets set`, grant it, and rotate it there",
    ),
    ("AWS::SSM::", "set its value with `casemate secrets set`, or write it into the environment"),
    ("AWS::StepFunctions::", "call one function from another, or pass events by queues"),
    ("AWS::Serverless::StateMachine", "call one function from another, or pass events by queues"),
    ("AWS::Serverless::LayerVersion", "put its packages into the requirements of the functions"),
    ("AWS::Lambda::LayerVersion", "put its packages into the requirements of the functions"),
    ("AWS::Cognito::", "log people in with OIDC (docs/howto/log-in-with-oidc.md)"),
    (
        "AWS::ApiGateway",
        "callers show a token or log in with OIDC; see docs/howto/publish-routes.md",
    ),
    ("AWS::CloudWatch::", "see docs/howto/get-alerts.md"),
    ("AWS::KMS::", "all that a node keeps is encrypted; see docs/explanation/vault.md"),
    ("AWS::RDS::", "keep the server, and grant it as egress; see docs/howto/reach-the-network.md"),
    (
        "AWS::EC2::",
        "grant each server that functions reach as egress; see docs/howto/reach-the-network.md",
    ),
    ("AWS::ElastiCache::", "keep the server, and grant it as egress"),
    ("AWS::CloudFront::", "put a proxy in front of the node; see docs/howto/publish-routes.md"),
    ("AWS::Route53::", "see docs/howto/publish-routes.md"),
    ("AWS::CertificateManager::", "see docs/howto/serve-over-tls.md"),
    ("AWS::Kinesis", "use a queue, or a server outside (docs/howto/react-to-outside-servers.md)"),
    ("AWS::Events::", "use a topic of the project"),
    ("AWS::Serverless::Application", "import the application that it names by itself"),
    ("AWS::CloudFormation::Stack", "import the template that it names by itself"),
)
_OTHERWISE = "do without it, or keep it where it is and reach it by an egress grant"
_MAX = 500


def resources_left(application: Application, notes: Notes) -> None:
    """Tell of resources that nothing was made of."""
    for name, kind, place in (application.settings.get("resources") or ())[: 4 * _MAX]:
        if kind not in _TAKEN:
            next = next_step(kind)
            notes.leave(place, f"{name}: {kind} has no counterpart", next)
    for asset in application.assets:
        if asset.kind in ("bucket", "table") and asset.type.startswith("AWS::"):
            what = f"{asset.name}: the {asset.kind} is empty here, its data is not copied"
            notes.leave(asset.place, what, f"copy it with a program and `casemate {asset.kind}s`")


def next_step(kind: str) -> str:
    """Return what to do about a type of resource."""
    return next((step for start, step in _NEXT if kind.startswith(start)), _OTHERWISE)


def unread(application: Application, workspace: Workspace, notes: Notes) -> None:
    """Tell of what could not be resolved or read."""
    for each in (*application.unresolved, *workspace.notes)[:_MAX]:
        next = "look there whether the project lacks something"
        notes.leave(each.place, f"not resolved: {each.what}", next)


def not_imported(function: Function, why: str, next: str, notes: Notes) -> None:
    """Tell of a function that the project does not have."""
    notes.leave(
        function.place, f"the function {function.name} was left out: {why}", next, blocking=True
    )


def why_not(  # noqa: PLR0911 - one for each reason
    function: Function,
) -> tuple[str, str] | None:
    """Return why a function cannot be one here, and what to do; None if it can."""
    if function.language and function.language != "python":
        language = {"javascript": "JavaScript"}.get(function.language, function.language)
        return f"it is written in {language}", "write it in Python, or keep it where it is"
    if function.setting("package") == "Image" or (
        function.setting("image") and not function.entry and function.code is None
    ):
        return "it is an image of a container", "name its handler and code in casemate.toml"
    if not function.language and not function.inline:
        return "its language is not known", "name its handler and code in casemate.toml"
    if function.inline and "${" in function.inline:
        return "its code is made at a deployment", "write it into a file"
    if not function.inline and function.code is None:
        return (
            "its code is not here, or outside of what is imported",
            "import the folder that holds both the template and the code",
        )
    if not function.inline and not function.entry:
        step = "name its handler in casemate.toml"
        if function.handler.startswith("wsgi"):  # which a plugin makes
            step = "make a handler of the application: docs/howto/run-aws-handlers.md"
        return f"there is no handler {function.handler}", step
    return None
