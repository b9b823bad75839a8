"""`serverless.yml`: the Serverless Framework's services for AWS, as the resources they become."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from functools import cached_property
from typing import Any

from casemate.audit.documents import List, Map, place_of
from casemate.audit.importers.aws.application import application_of
from casemate.audit.importers.aws.intrinsics import Expansion, Scope
from casemate.audit.importers.aws.resource import Resource, at, listed, text, truth
from casemate.audit.importers.port import Source
from casemate.audit.importers.serverless_events import events_of
from casemate.audit.importers.serverless_variables import Variables, file_of
from casemate.audit.model import Application, Place
from casemate.audit.workspace import Workspace

ROLE = "IamRoleLambdaExecution"
_NAMES = ("serverless", "serverless-compose")


class ServerlessFramework:
    """Services in YAML and JSON. Those in programs (`serverless.ts`) are not run."""

    name = "serverless"
    by_folder = False

    def recognises(self, source: Source) -> bool:
        """Tell whether it is a service."""
        if not source.documents or not isinstance(source.documents[0], Map):
            return False
        found = source.documents[0]
        if "functions" not in found or "provider" not in found:
            return False
        last = source.file.rpartition("/")[2]
        provider = found["provider"]
        named = at(provider, "name") if isinstance(provider, dict) else provider
        return last.startswith(_NAMES) or ("service" in found and named == "aws")

    def inner(self, source: Source, workspace: Workspace) -> Iterable[str]:
        """Return the templates that its resources are taken from as a whole."""
        for each in listed(at(source.documents[0], "resources")):
            taken = file_of(text(each).strip())
            found = workspace.resolve(source.file, taken) if taken else None
            if found is not None and workspace.has(found):
                yield found

    def read(self, source: Source, workspace: Workspace) -> Iterator[Application]:
        """Return the application that a service is."""
        root: Map = source.documents[0]
        variables = Variables(root, source.file, workspace)
        service = variables.resolve(root)
        provider = at(service, "provider")
        named = text(at(provider, "name") or provider) or "aws"
        if named != "aws":
            variables.note(Place(source.file), f"the provider {named[:64]} is not read here")
        reader = _Service(service, source.file, variables)
        resources = reader.resources() if named == "aws" else []
        name = text(at(service, "service", "name") or at(service, "service")) or source.file
        yield application_of(
            name, self.name, resources, Place(source.file), workspace, unresolved=variables.notes
        )


class _Service:
    def __init__(self, service: Any, file: str, variables: Variables) -> None:
        self._service = service if isinstance(service, Map) else Map(file)
        self._file = file
        self._variables = variables
        provider = self._service.get("provider")
        self._provider: dict[str, Any] = provider if isinstance(provider, dict) else Map(file)

    def resources(self) -> list[Resource]:
        """Return the resources that the service becomes."""
        own = self._own_resources()
        functions = self._functions()
        made = [self._role(), *own]
        for name, each in functions:
            made.append(self._function(name, each))
            made += self._logs(name, each, {r.name for r in own})
        if any("HttpApi" in str(r.properties.get("Events", "")) for r in made):
            made.append(self._http_api())
        if any("'Api'" in str(r.properties.get("Events", "")) for r in made):
            made.append(self._rest_api())
        self._extend({each.name: each for each in made})
        return made

    def _extend(self, made: dict[str, Resource]) -> None:
        """Add what the service says of resources that the framework makes."""
        for section in listed(self._service.get("resources")):
            extensions = section.get("extensions") if isinstance(section, dict) else None
            for name, each in extensions.items() if isinstance(extensions, dict) else ():
                more = self._resolved(each.get("Properties")) if isinstance(each, dict) else None
                if not isinstance(more, dict) or name not in made:
                    what = f"what is added to {str(name)[:100]} by extensions is not known"
                    self._variables.note(place_of(extensions, name, Place(self._file)), what)
                    continue
                properties = made[name].properties
                for key, value in more.items():
                    there = properties.get(key)
                    if isinstance(there, list) and isinstance(value, list):
                        properties[key] = [*there, *value]
                    elif isinstance(there, dict) and isinstance(value, dict):
                        properties[key] = {**there, **value}
                    else:
                        properties[key] = value

    def _functions(self) -> Iterator[tuple[str, Map]]:
        found = self._service.get("functions")
        for part in listed(found):
            for name, each in part.items() if isinstance(part, dict) else ():
                if isinstance(each, Map):
                    yield name, each
                else:
                    place = place_of(part, name, Place(self._file))
                    self._variables.note(place, f"the function {name[:100]} could not be resolved")
            if not isinstance(part, dict):
                self._variables.note(Place(self._file), "functions could not be resolved")

    def _own_resources(self) -> list[Resource]:
        found: list[Resource] = []
        sections = listed(self._service.get("resources"))
        resources = Map(self._file)
        conditions: dict[str, Any] = {}
        for section in sections:
            part = section.get("Resources") if isinstance(section, dict) else None
            if isinstance(part, Map):
                resources.update(part)
                resources.places.update(part.places)
            elif section is not None and not isinstance(section, dict):
                self._variables.note(Place(self._file), "resources could not be resolved")
            if isinstance(section, dict) and isinstance(section.get("Conditions"), dict):
                conditions.update(section["Conditions"])
        names = {_logical(name) for name, _ in self._functions()}
        scope = Scope({}, {}, conditions, frozenset({*resources, *names, ROLE}))
        try:
            for name, each in resources.items():
                place = place_of(each, None, Place(self._file))
                if isinstance(each, Map) and isinstance(each.get("Type"), str):
                    properties = scope.resolve(each.get("Properties") or Map(place.file))
                    if isinstance(properties, dict):
                        keep = {k: each[k] for k in ("DeletionPolicy",) if k in each}
                        found.append(
                            Resource(name, each["Type"], properties, place, attributes=keep)
                        )
        except Expansion:
            scope.note(Place(self._file), "the resources expand to more than is read")
        self._variables.notes.take(scope.notes)
        return found

    def _role(self) -> Resource:
        """Return the role that all functions share that have none of their own."""
        provider = self._provider
        statements = List(self._file)
        old = provider.get("iamRoleStatements")
        new = at(provider, "iam", "role", "statements")
        for each in (old, new):
            for part in listed(each):
                statements += listed(part)
                place = place_of(each, None, Place(self._file))
                statements.places += [(place.line, 1)] * len(listed(part))
        managed = [
            *listed(provider.get("iamManagedPolicies")),
            *listed(at(provider, "iam", "role", "managedPolicies")),
        ]
        basic = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
        place = place_of(
            provider, "iam" if "iam" in provider else "iamRoleStatements", Place(self._file)
        )
        properties = {
            "Policies": [{"PolicyDocument": {"Statement": self._resolved(statements)}}],
            "ManagedPolicyArns": [*self._resolved(managed), basic],
        }
        return Resource(ROLE, "AWS::IAM::Role", properties, place)

    @cached_property
    def _names(self) -> frozenset[str]:
        """The names of all resources: of functions, of the role, and of the service's own."""
        names = {_logical(name) for name, _ in self._functions()}
        own = {
            name
            for part in listed(self._service.get("resources"))
            if isinstance(part, dict)
            for name in (part.get("Resources") or ())
            if isinstance(part.get("Resources"), dict)
        }
        return frozenset({*names, *own, ROLE})

    def _resolved(self, value: Any) -> Any:
        scope = Scope({}, {}, {}, self._names)
        try:
            found = scope.resolve(value)
        except Expansion:
            scope.note(place_of(value, None, Place(self._file)), "it expands to more than is read")
            found = []
        self._variables.notes.take(scope.notes)
        return found

    def _place(self, name: str, each: Map) -> Place:
        """Return where a function is declared."""
        functions = self._service.get("functions")
        if isinstance(functions, Map) and name in functions.places:
            return place_of(functions, name)
        return Place(each.file or self._file, each.line)

    def _function(self, name: str, each: Map) -> Resource:
        provider = self._provider
        place = self._place(name, each)
        environment = Map(place.file, place.line)
        for part in (provider.get("environment"), each.get("environment")):
            if isinstance(part, Map):
                environment.update(part)
                environment.places.update(part.places)
                environment.file = part.file
        properties = Map(place.file, place.line)
        tracing = each.get("tracing", at(provider, "tracing", "lambda"))
        url = each.get("url")
        given: dict[str, Any] = {
            "FunctionName": each.get("name"),
            "Handler": each.get("handler"),
            "Runtime": each.get("runtime", provider.get("runtime")),
            "Timeout": each.get("timeout", provider.get("timeout", 6)),
            "MemorySize": each.get("memorySize", provider.get("memorySize")),
            "ReservedConcurrentExecutions": each.get("reservedConcurrency"),
            "Tracing": ("Active" if tracing is True else tracing) or None,
            "Environment": {"Variables": environment} if environment else None,
            "Layers": each.get("layers", provider.get("layers")),
            "VpcConfig": _network(each.get("vpc", provider.get("vpc"))),
            "DeadLetterQueue": each.get("onError") or at(each, "destinations", "onFailure"),
            "KmsKeyArn": each.get("kmsKeyArn", provider.get("kmsKeyArn")),
            "FunctionUrlConfig": _url(url),
            "LoggingConfig": _logging(each, provider),
            "ImageUri": text(at(each, "image", "uri") or each.get("image")) or None,
            "Events": events_of(each.get("events"), provider, place),
            "CodeUri": ".",
            **self._own_role(each),
        }
        for key, value in given.items():
            if value is not None:
                properties[key] = (
                    self._resolved(value) if isinstance(value, (dict, list)) else value
                )
        for key, source in _PLACES.items():
            if source in each.places:
                properties.places[key] = each.places[source]
        return Resource(
            _logical(name),
            "AWS::Serverless::Function",
            properties,
            place,
            attributes={"Declared": name},
            base=self._file,
        )

    def _logs(self, name: str, each: Map, own: Set[str]) -> Iterator[Resource]:
        """Yield the group of logs that the framework makes for a function."""
        logical = _logical(name)
        group = f"{logical.removesuffix('LambdaFunction')}LogGroup"
        if truth(each.get("disableLogs")) or group in own:
            return
        properties: dict[str, Any] = {"LogGroupName": "/aws/lambda/${" + logical + "}"}
        days = each.get("logRetentionInDays", self._provider.get("logRetentionInDays"))
        if days is not None:
            properties["RetentionInDays"] = days
        yield Resource(group, "AWS::Logs::LogGroup", properties, self._place(name, each))

    def _own_role(self, each: Map) -> dict[str, Any]:
        """Return the role of a function: its own by the usual plugin, else the shared one."""
        role = each.get(
            "role",
            at(self._provider, "iam", "role")
            if isinstance(at(self._provider, "iam", "role"), str)
            else self._provider.get("role"),
        )
        statements = each.get("iamRoleStatements")
        if statements is None and role is not None:
            return {
                "Role": role
                if not isinstance(role, str) or role.startswith(("arn:", "${"))
                else "${" + role + "}"
            }
        if statements is None:
            return {"Role": "${" + ROLE + ".Arn}"}
        inherits = truth(each.get("iamRoleStatementsInherit"))
        if inherits is None or (
            not inherits
            and truth(
                at(self._service, "custom", "serverless-iam-roles-per-function", "defaultInherit")
            )
        ):
            inherits = True
        policies = [{"Statement": statements}]
        if inherits:
            shared = self._role().properties["Policies"][0]["PolicyDocument"]
            policies.append(shared)
        return {"Policies": policies}

    def _http_api(self) -> Resource:
        settings = self._provider.get("httpApi")
        settings = settings if isinstance(settings, dict) else Map(self._file)
        properties = Map(getattr(settings, "file", self._file))
        if settings.get("cors") is not None:
            cors = settings["cors"]
            properties["CorsConfiguration"] = (
                {"AllowOrigins": ["*"]}
                if cors is True
                else {
                    "AllowOrigins": listed(at(cors, "allowedOrigins") or "*"),
                    "AllowCredentials": at(cors, "allowCredentials"),
                    "AllowHeaders": at(cors, "allowedHeaders"),
                    "ExposeHeaders": at(cors, "exposedResponseHeaders"),
                }
            )
        if at(self._provider, "logs", "httpApi"):
            properties["AccessLogSettings"] = {}
        place = place_of(self._provider, "httpApi", Place(self._file))
        return Resource("ServerlessHttpApi", "AWS::Serverless::HttpApi", properties, place)

    def _rest_api(self) -> Resource:
        gateway = self._provider.get("apiGateway")
        gateway = gateway if isinstance(gateway, dict) else {}
        properties = Map(self._file)
        if text(self._provider.get("endpointType")).upper() == "PRIVATE":
            properties["EndpointConfiguration"] = {"Type": "PRIVATE"}
        policy = gateway.get("resourcePolicy", self._provider.get("resourcePolicy"))
        if policy is not None:
            properties["Auth"] = {"ResourcePolicy": {"CustomStatements": policy}}
        if at(self._provider, "logs", "restApi"):
            properties["AccessLogSetting"] = {}
        if at(self._provider, "tracing", "apiGateway"):
            properties["TracingEnabled"] = True
        if gateway.get("usagePlan") or self._provider.get("usagePlan"):
            properties["MethodSettings"] = [{"ThrottlingRateLimit": 1}]
        place = place_of(self._provider, "apiGateway", Place(self._file))
        return Resource("ServerlessRestApi", "AWS::Serverless::Api", properties, place)


_PLACES = {
    "Timeout": "timeout",
    "Runtime": "runtime",
    "FunctionUrlConfig": "url",
    "Environment": "environment",
    "Policies": "iamRoleStatements",
    "Events": "events",
}


def _logical(name: str) -> str:
    """Return the name that a function has among the resources."""
    made = name.replace("-", "Dash").replace("_", "Underscore")
    return f"{made[:1].upper()}{made[1:]}LambdaFunction"


def _network(vpc: Any) -> Any:
    if not isinstance(vpc, dict):
        return None
    return {
        "SecurityGroupIds": vpc.get("securityGroupIds"),
        "SubnetIds": vpc.get("subnetIds"),
    }


def _logging(each: Map, provider: Any) -> Any:
    group = at(each, "logs", "logGroup") or at(provider, "logs", "lambda", "logGroup")
    return {"LogGroup": group} if group else None


def _url(url: Any) -> Any:
    if not url:
        return None
    kind = text(at(url, "authorizer")).upper()
    made: dict[str, Any] = {"AuthType": "AWS_IAM" if kind == "AWS_IAM" else "NONE"}
    cors = at(url, "cors")
    if cors is True:
        made["Cors"] = {"AllowOrigins": ["*"]}
    elif isinstance(cors, dict):
        made["Cors"] = {
            "AllowOrigins": listed(cors.get("allowedOrigins") or "*"),
            "AllowCredentials": cors.get("allowCredentials"),
        }
    return made
