"""Functions of Lambda, declared by SAM or by CloudFormation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from casemate.audit.importers.aws.intrinsics import symbolic
from casemate.audit.importers.aws.permissions import (
    connector_statements,
    managed,
    role_statements,
    sam_policies,
    statements_of,
)
from casemate.audit.importers.aws.resource import Resource, at, listed, number, referred, text
from casemate.audit.importers.code_files import CodeFiles
from casemate.audit.model import (
    Function,
    Logging,
    Network,
    Place,
    Platform,
    Statement,
    Trigger,
    Variable,
)
from casemate.audit.notes import Notes

SAM, PLAIN = "AWS::Serverless::Function", "AWS::Lambda::Function"
ROLE = "AWS::IAM::Role"
_POLICIES = ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::IAM::RolePolicy")


class Roles:
    """What roles of the template may do, with the policies that others attach to them."""

    def __init__(self, named: dict[str, Resource], notes: Notes) -> None:
        """Look at all resources once."""
        self._named = named
        self._notes = notes
        self._known: dict[str, tuple[Statement, ...]] = {}
        self._attached: dict[str, list[Resource]] = {}
        self._by_name = {
            own: each.name
            for each in reversed(named.values())
            if each.type == ROLE and isinstance(own := each.get("RoleName"), str) and own
        }
        for each in named.values():
            if each.type in _POLICIES:
                for role in (*each.list("Roles"), *each.list("RoleName")):
                    name = referred(role) or self._by_name.get(text(role), text(role))
                    self._attached.setdefault(name, []).append(each)
        self._connected = self._connectors()

    def _connectors(self) -> dict[str, list[Statement]]:
        found: dict[str, list[Statement]] = {}
        for source, target, permissions, place in self._declared_connectors():
            one, other = self._named.get(source), self._named.get(target)
            if one is None or other is None:
                self._notes.say(place, "an end of the connector is not in the template")
                continue
            for holder, statement in connector_statements(
                one, other, permissions, place, self._notes
            ):
                found.setdefault(holder, []).append(statement)
        return found

    def _declared_connectors(self) -> Iterator[tuple[str, str, list[Any], Place]]:
        for each in self._named.values():
            if each.type == "AWS::Serverless::Connector":
                source = text(each.get("Source", "Id"))
                for target in listed(each.get("Destination")):
                    yield source, text(at(target, "Id")), each.list("Permissions"), each.place
            embedded = each.attributes.get("Connectors")
            for inner in embedded.values() if isinstance(embedded, dict) else ():
                properties = at(inner, "Properties") or {}
                for target in listed(at(properties, "Destination")):
                    name = text(at(target, "Id"))
                    yield each.name, name, listed(at(properties, "Permissions")), each.place

    def of_connectors(self, name: str) -> list[Statement]:
        """Return what connectors give to a function."""
        return self._connected.get(name, [])

    def statements(self, name: str) -> tuple[Statement, ...]:
        """Return all that a role may do."""
        if name not in self._known:
            found: list[Statement] = []
            role = self._named.get(name)
            if role is not None:
                found += role_statements(role, self._notes)
                for arn in role.list("ManagedPolicyArns"):
                    own = self._named.get(referred(arn))
                    if own is not None:
                        found += statements_of(
                            own.get("PolicyDocument"), own.place, own.name, self._notes
                        )
            for policy in self._attached.get(name, ()):
                where = policy.where("PolicyDocument")
                found += statements_of(
                    policy.get("PolicyDocument"), where, policy.name, self._notes
                )
            self._known[name] = tuple(found)
        return self._known[name]


def function_of(
    each: Resource,
    roles: Roles,
    named: dict[str, Resource],
    code: CodeFiles,
    triggers: tuple[Trigger, ...],
    notes: Notes,
    log_group: Resource | None,
) -> Function:
    """Return the function that a resource declares."""
    role, permissions = _permissions(each, roles, named, notes)
    folder = _folder(each, code, notes)
    handler, runtime = each.text("Handler"), each.text("Runtime")
    entry = code.entry(folder, handler, runtime) if folder is not None else ""
    if folder is not None and not entry:
        entry = _built_from(each, folder, handler, code)
    if folder is not None and not entry and (other := code.elsewhere(handler, runtime)):
        folder, entry = other, code.entry(other, handler, runtime)
    if folder is not None and not entry and _is_named(handler, runtime):
        what = f"the handler {handler[:128]} is not in the code that is here"
        notes.say(each.where("Handler"), what)
    variables = each.map("Environment", "Variables")
    unknown = {name for name, key in _SAID.items() if symbolic(each.get(key))}
    if not each.map("Environment") and each.get("Environment") is not None:
        unknown.add("environment")
    timeout, memory = number(each.get("Timeout")), number(each.get("MemorySize"))
    concurrency = number(each.get("ReservedConcurrentExecutions"))
    where = ("InlineCode",) if each.get("InlineCode") else ("Code", "ZipFile")
    inline = text(each.get(*where))
    return Function(
        name=each.name,
        platform=Platform.AWS,
        runtime=runtime,
        handler=handler,
        code=folder,
        inline=inline,
        inline_place=code.inline_place(each.where(*where), inline) if inline else None,
        files=code.files(folder) if folder is not None else (),
        entry=entry,
        triggers=triggers,
        permissions=permissions,
        role=role,
        environment=tuple(
            Variable(name, text(value), each.where("Environment", "Variables", name))
            for name, value in variables.items()
        ),
        timeout=timeout if timeout is not None else None if "timeout" in unknown else 3.0,
        memory=int(memory) if memory is not None else None,
        concurrency=int(concurrency) if concurrency is not None else None,
        network=_network(each),
        logging=_logging(each, log_group),
        settings=_settings(each),
        unknown=frozenset(unknown),
        place=each.place,
    )


def _built_from(each: Resource, folder: str, handler: str, code: CodeFiles) -> str:
    """Return the file that SAM builds a handler's from: `src/orders.ts` for `orders.handler`."""
    wanted = handler.rpartition(".")[0].rpartition("/")[2]
    for point in listed(at(each.attributes, "Metadata", "BuildProperties", "EntryPoints")):
        stem = text(point).removeprefix("./").rpartition(".")[0]
        if stem and stem.rpartition("/")[2] == wanted:
            return code.entry(folder, f"{stem}.handler", "nodejs")
    return ""


_SAID = {
    "timeout": "Timeout",
    "memory": "MemorySize",
    "concurrency": "ReservedConcurrentExecutions",
    "runtime": "Runtime",
    "tracing": "Tracing",
    "layers": "Layers",
}


def _is_named(handler: str, runtime: str) -> bool:
    """Tell whether a handler names a file of its code, in a language whose files are known."""
    return runtime.startswith(("python", "nodejs")) and "." in handler and "${" not in handler


def _may_be_folder(location: str) -> bool:
    """Tell whether code may lie there unpacked: not in a bucket, and no archive made of it."""
    return bool(location) and not (
        "${" in location or "://" in location or location.endswith((".zip", ".jar", ".war"))
    )


def _folder(each: Resource, code: CodeFiles, notes: Notes) -> str | None:
    asset = at(each.attributes, "Metadata", "aws:asset:path")
    location = each.get("CodeUri") or each.get("Code")
    for found in (asset, location, each.get("ImageUri")):
        if isinstance(found, str):
            folder = code.folder(each.base, found)
            if folder is not None:
                return folder
    elsewhere = code.elsewhere(each.text("Handler"), each.text("Runtime"))
    if elsewhere is not None:
        return elsewhere
    key = "CodeUri" if each.get("CodeUri") else "Code"
    for found, place in ((asset, each.place), (location, each.where(key))):
        if isinstance(found, str) and _may_be_folder(found):
            notes.say(place, f"the code {found[:128]} of {each.name[:128]} is not here")
            break
    context = at(each.attributes, "Metadata", "DockerContext")
    if isinstance(context, str):
        return code.folder(each.base, context)
    if each.type == SAM and location is None and each.get("InlineCode") is None:
        return code.folder(each.base, ".")
    return None


def _permissions(
    each: Resource, roles: Roles, named: dict[str, Resource], notes: Notes
) -> tuple[str, tuple[Statement, ...]]:
    connected = tuple(roles.of_connectors(each.name))
    role = each.get("Role")
    if isinstance(role, str) and role:
        name = referred(role)
        if name in named:
            return name, (*roles.statements(name), *connected)
        by_arn = role.rpartition("/")[2] if role.startswith("arn:") else role
        notes.say(each.where("Role"), f"the role {role[:160]} is not in the template")
        return by_arn, connected
    found = list(sam_policies(each.get("Policies"), each.where("Policies"), notes, named))
    if each.type == SAM:
        found += managed("AWSLambdaBasicExecutionRole", each.place, notes)
        if each.get("VpcConfig"):
            found += managed("AWSLambdaVPCAccessExecutionRole", each.place, notes)
        if each.text("Tracing") == "Active":
            found += managed("AWSXRayDaemonWriteAccess", each.place, notes)
    return f"{each.name}Role", (*found, *connected)


def _network(each: Resource) -> Network:
    config = each.get("VpcConfig")
    if isinstance(config, dict):
        return Network(bool(config), tuple(map(text, listed(config.get("SecurityGroupIds")))))
    return Network(None if config is not None else False)


def _logging(each: Resource, group: Resource | None) -> Logging:
    level = each.text("LoggingConfig", "ApplicationLogLevel")
    if group is None:
        named = each.text("LoggingConfig", "LogGroup")
        return Logging(group=named, declared=False, level=level)
    days = number(group.get("RetentionInDays"))
    kept = None if days is None and group.get("RetentionInDays") is not None else int(days or 0)
    return Logging(
        retention_days=kept,
        group=group.name,
        declared=True,
        encrypted=bool(group.get("KmsKeyId")),
        level=level,
    )


def _settings(each: Resource) -> dict[str, Any]:
    tracing = each.get("Tracing")
    if tracing is None:
        tracing = each.get("TracingConfig", "Mode")
    invoked = each.map("EventInvokeConfig", "DestinationConfig", "OnFailure")
    dead = each.get("DeadLetterQueue") or each.get("DeadLetterConfig") or invoked
    return {
        "tracing": text(tracing),
        "dead_letters": bool(dead),
        "layers": tuple(map(text, each.list("Layers"))),
        "package": each.text("PackageType") or ("Image" if each.get("Code", "ImageUri") else "Zip"),
        "image": each.text("ImageUri") or each.text("Code", "ImageUri"),
        "environment_key": bool(each.get("KmsKeyArn")),
        "code_signing": bool(each.get("CodeSigningConfigArn")),
        "snap_start": each.text("SnapStart", "ApplyOn"),
        "published": bool(each.get("AutoPublishAlias")),
        "deployment": bool(each.get("DeploymentPreference")),
        "storage": number(each.get("EphemeralStorage", "Size")),
        "boundary": bool(each.get("PermissionsBoundary")),
        "sam": each.type == SAM,
        "url": each.get("FunctionUrlConfig") is not None,
        "file_system": bool(each.get("FileSystemConfigs")),
        "declared": text(each.attributes.get("Declared")) or each.name,
        "named": each.text("FunctionName"),
        "dead_letter_target": referred(
            at(dead, "TargetArn") or at(dead, "Destination") or at(dead, "arn") or dead
        ),
        "attempts": number(each.get("EventInvokeConfig", "MaximumRetryAttempts")),
    }
