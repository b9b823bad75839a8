"""What runs the functions of a template: events of SAM, and the resources that lead to one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from casemate.audit.importers.aws import apis
from casemate.audit.importers.aws.functions import SAM
from casemate.audit.importers.aws.references import References
from casemate.audit.importers.aws.resource import Resource, at, listed, referred, text
from casemate.audit.model import Place, Reach, Trigger
from casemate.audit.notes import Notes

Found = Iterator[tuple[str, Trigger]]
"""Name of a function and what runs it."""

ROUTE = "AWS::ApiGatewayV2::Route"
_MAX_TRIGGERS = 1_000
"""Of one function."""
_SAM_KINDS = {
    "S3": ("bucket", "Bucket"),
    "SNS": ("topic", "Topic"),
    "SQS": ("queue", "Queue"),
    "Kinesis": ("stream", "Stream"),
    "DynamoDB": ("table", "Stream"),
    "DocumentDB": ("table", "Cluster"),
    "MSK": ("stream", "Stream"),
    "MQ": ("queue", "Broker"),
    "SelfManagedKafka": ("stream", "Topics"),
    "Schedule": ("schedule", "Schedule"),
    "ScheduleV2": ("schedule", "ScheduleExpression"),
    "CloudWatchEvent": ("event", "EventBusName"),
    "EventBridgeRule": ("event", "EventBusName"),
    "CloudWatchLogs": ("log", "LogGroupName"),
    "IoTRule": ("iot", "Sql"),
    "AlexaSkill": ("skill", "SkillId"),
    "Cognito": ("identity", "UserPool"),
}
_MAPPED = (
    ("sqs", "queue"),
    ("dynamodb", "table"),
    ("kinesis", "stream"),
    ("kafka", "stream"),
    ("mq", "queue"),
)
_PRINCIPALS = {
    "s3": "bucket",
    "sns": "topic",
    "events": "event",
    "scheduler": "schedule",
    "iot": "iot",
    "cognito-idp": "identity",
    "lex": "skill",
    "ses": "mail",
    "logs": "log",
    "alexa-appkit": "skill",
    "alexa-connectedhome": "skill",
    "elasticloadbalancing": "http",
    "cloudformation": "invoke",
    "config": "event",
    "secretsmanager": "event",
}


class Triggers:
    """All that runs functions, by their names."""

    def __init__(self, named: dict[str, Resource], references: References, notes: Notes) -> None:
        """Look at all resources once."""
        self._notes = notes
        self._named = named
        self._references = references
        self._found: dict[str, list[Trigger]] = {}
        self._connecting = {
            each.text("ApiId"): each
            for each in reversed(named.values())
            if each.type == ROUTE and each.get("RouteKey") == "$connect"
        }
        for each in named.values():
            reader = _READERS.get(each.type)
            for function, trigger in reader(self, each) if reader is not None else ():
                self._add(function, trigger)
        for each in named.values():
            if each.type == "AWS::Lambda::Permission":
                self._permission(each)

    def of(self, function: str) -> tuple[Trigger, ...]:
        """Return the triggers of a function."""
        return tuple(self._found.get(function, ()))

    def _add(self, function: str, trigger: Trigger) -> None:
        found = self._found.setdefault(function, [])
        if len(found) < _MAX_TRIGGERS:
            found.append(trigger)
        else:
            what = f"{function[:128]} is run by more than {_MAX_TRIGGERS}: the rest is not read"
            self._notes.say(self._named[function].place, what)

    # -- SAM -----------------------------------------------------------------------------------

    def _sam(self, each: Resource) -> Found:
        for name, event in each.map("Events").items():
            kind, place = text(at(event, "Type")), each.where("Events", name)
            properties = at(event, "Properties")
            if kind in ("Api", "HttpApi"):
                api, guarded = apis.of_sam_event(kind, properties, self._named)
                yield (
                    each.name,
                    Trigger(
                        kind="http",
                        reach=guarded.reach,
                        how=guarded.how,
                        method=text(at(properties, "Method")).upper() or "ANY",
                        path=text(at(properties, "Path")) or "/{proxy+}",
                        source=api,
                        place=place,
                    ),
                )
            elif kind in _SAM_KINDS:
                word, key = _SAM_KINDS[kind]
                source = at(properties, key)
                yield (
                    each.name,
                    Trigger(
                        kind=word,
                        reach=Reach.PUBLIC
                        if kind == "AlexaSkill" and not source
                        else Reach.INTERNAL,
                        source=referred(source) or text(source)[:200],
                        place=place,
                        settings=properties if isinstance(properties, dict) else {},
                    ),
                )
            else:
                yield each.name, Trigger(kind="other", reach=Reach.UNKNOWN, how=kind, place=place)
        config = each.get("FunctionUrlConfig")
        if config is not None:
            place = each.where("FunctionUrlConfig")
            yield each.name, _url(at(config, "AuthType"), place, at(config, "Cors"))

    # -- API Gateway ---------------------------------------------------------------------------

    def _method(self, each: Resource) -> Found:
        api = self._named.get(referred(each.get("RestApiId")))
        guarded = apis.of_method(each, api)
        path, resource = "", self._named.get(referred(each.get("ResourceId")))
        for _ in range(20):
            if resource is None or not resource.text("PathPart"):
                break
            path = f"/{resource.text('PathPart')}{path}"
            resource = self._named.get(referred(resource.get("ParentId")))
        method = each.text("HttpMethod").upper()
        for function in self._references.all(each.get("Integration", "Uri")):
            yield (
                function,
                Trigger(
                    kind="http",
                    reach=guarded.reach,
                    how=guarded.how,
                    method=method,
                    path=path or "/",
                    source=api.name if api is not None else "",
                    place=each.place,
                ),
            )

    def _route(self, each: Resource) -> Found:
        api = self._named.get(referred(each.get("ApiId")))
        guarded = apis.of_method(each, api)
        target = each.text("Target")
        integration = self._named.get(referred(target.removeprefix("integrations/")))
        key = each.text("RouteKey")
        method, _, path = key.partition(" ")
        socket = api is not None and api.text("ProtocolType") == "WEBSOCKET"
        uri = integration.get("IntegrationUri") if integration is not None else None
        for function in self._references.all(uri):
            reach = guarded.reach
            if socket and key != "$connect":  # who is connected was asked for it
                connecting = self._connecting.get(each.text("ApiId"))
                reach = apis.of_method(connecting, api).reach if connecting is not None else reach
            yield (
                function,
                Trigger(
                    kind="websocket" if socket else "http",
                    reach=reach,
                    how=guarded.how,
                    method="ANY" if not path else method,
                    path=path or key,
                    source=api.name if api is not None else "",
                    place=each.place,
                ),
            )

    def _http_api(self, each: Resource) -> Found:
        """A short form: an HTTP API with one target for everything."""
        for function in self._references.all(each.get("Target")):
            yield function, _open_route(each, apis.OPEN, "ANY", "$default")
        yield from self._definition(each, each.get("Body"))

    def _rest_api(self, each: Resource) -> Found:
        yield from self._definition(each, each.get("Body"))

    def _sam_api(self, each: Resource) -> Found:
        yield from self._definition(each, each.get("DefinitionBody"))

    def _definition(self, each: Resource, body: Any) -> Found:
        paths = at(body, "paths")
        for path, methods in paths.items() if isinstance(paths, dict) else ():
            for method, operation in methods.items() if isinstance(methods, dict) else ():
                uri = at(operation, "x-amazon-apigateway-integration", "uri")
                for function in self._references.all(uri):
                    if each.type == apis.REST and each.get("Auth", "DefaultAuthorizer"):
                        guarded = apis.Guarded(Reach.AUTHENTICATED, "authorizer")
                    else:
                        guarded = apis.of_operation(body, operation)
                    plain = "ANY" if method.startswith("x-") else method.upper()
                    yield function, _open_route(each, guarded, plain, path)

    # -- others --------------------------------------------------------------------------------

    def _url_resource(self, each: Resource) -> Found:
        for function in self._references.all(each.get("TargetFunctionArn")):
            yield function, _url(each.get("AuthType"), each.place, each.get("Cors"))

    def _mapping(self, each: Resource) -> Found:
        source = each.text("EventSourceArn")
        kind = next((word for part, word in _MAPPED if f":{part}:" in source), "")
        if not kind:
            resource = self._named.get(referred(source))
            type_ = resource.type.lower() if resource is not None else ""
            kind = next((word for part, word in _MAPPED if f"::{part}::" in type_), "stream")
        for function in self._references.all(each.get("FunctionName")):
            yield (
                function,
                Trigger(
                    kind=kind,
                    reach=Reach.INTERNAL,
                    source=referred(source) or source[:200],
                    place=each.place,
                    settings=each.properties,
                ),
            )

    def _targets(self, each: Resource) -> Found:
        kind = "schedule" if each.get("ScheduleExpression") else "event"
        targets = each.get("Targets") if each.get("Targets") is not None else each.get("Target")
        for function in self._references.all([at(t, "Arn") for t in listed(targets)]):
            yield function, _internal(kind, each, each.text("EventBusName"))

    def _subscription(self, each: Resource) -> Found:
        if each.text("Protocol") == "lambda":
            for function in self._references.all(each.get("Endpoint")):
                yield function, _internal("topic", each, referred(each.get("TopicArn")))

    def _topic(self, each: Resource) -> Found:
        for function in self._references.all(each.get("Subscription")):
            yield function, _internal("topic", each, each.name)

    def _bucket(self, each: Resource) -> Found:
        for function in self._references.all(each.get("NotificationConfiguration")):
            yield function, _internal("bucket", each, each.name)

    def _pool(self, each: Resource) -> Found:
        for function in self._references.all(each.get("LambdaConfig")):
            yield function, _internal("identity", each, each.name)

    def _balancer(self, each: Resource) -> Found:
        for function in self._references.all(each.get("Targets")):
            yield (
                function,
                Trigger(
                    kind="http",
                    reach=Reach.UNKNOWN,
                    how="load balancer",
                    source=each.name,
                    place=each.place,
                ),
            )

    def _edge(self, each: Resource) -> Found:
        for function in self._references.all(each.properties):
            yield (
                function,
                Trigger(kind="edge", reach=Reach.PUBLIC, source=each.name, place=each.place),
            )

    def _invoked(self, each: Resource) -> Found:
        for function in self._references.all(each.properties):
            yield function, _internal("invoke", each, each.name)

    def _mail(self, each: Resource) -> Found:
        for function in self._references.all(each.get("Rule", "Actions")):
            yield (
                function,
                Trigger(kind="mail", reach=Reach.PUBLIC, source=each.name, place=each.place),
            )

    def _iot(self, each: Resource) -> Found:
        for function in self._references.all(each.get("TopicRulePayload")):
            yield (
                function,
                Trigger(
                    kind="iot",
                    reach=Reach.AUTHENTICATED,
                    how="device",
                    source=each.name,
                    place=each.place,
                ),
            )

    def _permission(self, each: Resource) -> None:
        """Take a permission to call for a trigger, where nothing else tells of one."""
        principal = each.text("Principal")
        service = principal.removesuffix(".amazonaws.com").removesuffix(".amazon.com")
        for function in self._references.all(each.get("FunctionName")):
            if principal == "*":
                # What comes by the URL is told with the URL.
                kind = each.text("FunctionUrlAuthType") or each.get("InvokedViaFunctionUrl")
                if not kind and each.get("PrincipalOrgID") is None:
                    trigger = Trigger(kind="invoke", reach=Reach.PUBLIC, place=each.place)
                    self._add(function, trigger)
            elif not self._found.get(function) and service in _PRINCIPALS:
                kind = _PRINCIPALS[service]
                reach = {"mail": Reach.PUBLIC, "http": Reach.UNKNOWN}.get(kind, Reach.INTERNAL)
                source = referred(each.get("SourceArn"))
                self._add(
                    function, Trigger(kind=kind, reach=reach, source=source, place=each.place)
                )
            elif not self._found.get(function) and service == "apigateway":
                trigger = Trigger(kind="http", reach=Reach.UNKNOWN, place=each.place)
                self._add(function, trigger)


def _internal(kind: str, each: Resource, source: str) -> Trigger:
    return Trigger(
        kind=kind, reach=Reach.INTERNAL, source=source, place=each.place, settings=each.properties
    )


def _open_route(each: Resource, guarded: apis.Guarded, method: str, path: str) -> Trigger:
    return Trigger(
        kind="http",
        reach=guarded.reach,
        how=guarded.how,
        method=method,
        path=path,
        source=each.name,
        place=each.place,
    )


def _url(auth: Any, place: Place, cors: Any) -> Trigger:
    guarded = apis.of_url(auth)
    settings = {"cors": cors} if isinstance(cors, dict) else {}
    return Trigger(
        kind="url",
        reach=guarded.reach,
        how=guarded.how,
        method="ANY",
        path="/",
        place=place,
        settings=settings,
    )


_READERS: dict[str, Callable[[Triggers, Resource], Found]] = {
    SAM: Triggers._sam,
    apis.REST: Triggers._sam_api,
    apis.HTTP: Triggers._sam_api,
    "AWS::ApiGateway::Method": Triggers._method,
    "AWS::ApiGateway::RestApi": Triggers._rest_api,
    ROUTE: Triggers._route,
    "AWS::ApiGatewayV2::Api": Triggers._http_api,
    "AWS::Lambda::Url": Triggers._url_resource,
    "AWS::Lambda::EventSourceMapping": Triggers._mapping,
    "AWS::Events::Rule": Triggers._targets,
    "AWS::Scheduler::Schedule": Triggers._targets,
    "AWS::SNS::Subscription": Triggers._subscription,
    "AWS::SNS::Topic": Triggers._topic,
    "AWS::S3::Bucket": Triggers._bucket,
    "AWS::Cognito::UserPool": Triggers._pool,
    "AWS::ElasticLoadBalancingV2::TargetGroup": Triggers._balancer,
    "AWS::CloudFront::Distribution": Triggers._edge,
    "AWS::StepFunctions::StateMachine": Triggers._invoked,
    "AWS::Serverless::StateMachine": Triggers._invoked,
    "AWS::AppSync::DataSource": Triggers._invoked,
    "AWS::SES::ReceiptRule": Triggers._mail,
    "AWS::IoT::TopicRule": Triggers._iot,
}
