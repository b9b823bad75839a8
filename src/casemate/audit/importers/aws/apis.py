"""Who may call what stands in front of functions: API Gateway of all kinds, and function URLs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from casemate.audit.documents import Map
from casemate.audit.importers.aws.resource import Resource, at, listed, referred, text, truth
from casemate.audit.model import Place, Reach

REST, HTTP = "AWS::Serverless::Api", "AWS::Serverless::HttpApi"
IMPLICIT = {"Api": ("ServerlessRestApi", REST), "HttpApi": ("ServerlessHttpApi", HTTP)}
_NAMES = {"Api": ("RestApiId", "Api"), "HttpApi": ("ApiId", "HttpApi")}


class Guarded(msgspec.Struct, frozen=True):
    """What a caller has to bring."""

    reach: Reach
    how: str = ""


OPEN = Guarded(Reach.PUBLIC)
PRIVATE = Guarded(Reach.INTERNAL, "private endpoint")
UNKNOWN = Guarded(Reach.UNKNOWN)


def implicit_apis(resources: Iterable[Resource], shared: dict[str, Any]) -> list[Resource]:
    """Return the APIs that SAM makes because events name none.

    One of that name that is there has its own settings: the Serverless Framework's.
    """
    found: dict[str, Resource] = {}
    every = list(resources)
    declared = {each.name for each in every}
    for each in every:
        if each.type != "AWS::Serverless::Function":
            continue
        for event in each.map("Events").values():
            kind = text(at(event, "Type"))
            if kind in IMPLICIT and at(event, "Properties", _NAMES[kind][0]) is None:
                name, type_ = IMPLICIT[kind]
                if name in declared:
                    continue
                properties = shared.get(_NAMES[kind][1])
                properties = properties if isinstance(properties, dict) else Map(each.place.file)
                line = getattr(properties, "line", 0)
                place = Place(each.place.file, line) if line > 1 else each.place
                found.setdefault(name, Resource(name, type_, properties, place))
    return list(found.values())


def of_sam_event(kind: str, properties: Any, apis: dict[str, Resource]) -> tuple[str, Guarded]:
    """Return the API of an event of SAM, and what its callers have to bring."""
    key = _NAMES[kind][0]
    named = at(properties, key)
    api = apis.get(referred(named) if named is not None else IMPLICIT[kind][0])
    name = api.name if api is not None else text(named)
    auth = at(properties, "Auth")
    auth = auth if isinstance(auth, dict) else {}
    if api is not None and _private(api):
        return name, PRIVATE
    authorizer = auth.get("Authorizer")
    if authorizer is None and api is not None:
        authorizer = api.get("Auth", "DefaultAuthorizer")
    key_needed = auth.get("ApiKeyRequired")
    if key_needed is None and api is not None:
        key_needed = api.get("Auth", "ApiKeyRequired")
    if authorizer is not None and text(authorizer).upper() != "NONE":
        return name, Guarded(Reach.AUTHENTICATED, text(authorizer) or "authorizer")
    if api is not None and api.get("Auth", "ResourcePolicy") is not None:
        return name, Guarded(Reach.UNKNOWN, "resource policy")
    if truth(key_needed):
        return name, Guarded(Reach.AUTHENTICATED, "api key")
    if authorizer is None and (
        api is None or api.get("DefinitionUri") or api.get("DefinitionBody")
    ):
        # The definition of the API may ask for what the template does not say.
        return name, _of_definition(api, properties) if api is not None else UNKNOWN
    return name, OPEN


def _of_definition(api: Resource, properties: Any) -> Guarded:
    body = api.get("DefinitionBody")
    if not isinstance(body, dict):
        return UNKNOWN
    method = text(at(properties, "Method")).lower()
    operation = at(body, "paths", text(at(properties, "Path")), method)
    if operation is None:
        operation = at(
            body, "paths", text(at(properties, "Path")), "x-amazon-apigateway-any-method"
        )
    return of_operation(body, operation)


def of_operation(body: Any, operation: Any) -> Guarded:
    """Return what an operation of an OpenAPI document asks of callers."""
    security = at(operation, "security")
    if security is None:
        security = at(body, "security")
    if security is None:
        unread = isinstance(body, dict) and any("Fn::" in key for key in body)
        return UNKNOWN if unread else OPEN
    names = [name for each in listed(security) if isinstance(each, dict) for name in each]
    if not names:
        return OPEN
    if all("key" in name.lower() for name in names):
        return Guarded(Reach.AUTHENTICATED, "api key")
    return Guarded(Reach.AUTHENTICATED, names[0])


def _private(api: Resource) -> bool:
    kinds = api.get("EndpointConfiguration", "Type") or api.get("EndpointConfiguration", "Types")
    if kinds is None:
        kinds = api.get("EndpointConfiguration")
    return "PRIVATE" in [text(kind) for kind in listed(kinds)]


def of_method(method: Resource, api: Resource | None) -> Guarded:
    """Return what a method of a REST API, or a route of an HTTP API, asks of callers."""
    if api is not None and _private(api):
        return PRIVATE
    kind = method.text("AuthorizationType") or "NONE"
    if kind.upper() != "NONE":
        how = referred(method.get("AuthorizerId")) or kind
        return UNKNOWN if kind.startswith("${") else Guarded(Reach.AUTHENTICATED, how)
    if truth(method.get("ApiKeyRequired")):
        return Guarded(Reach.AUTHENTICATED, "api key")
    if api is not None and (api.get("Policy") is not None):
        return Guarded(Reach.UNKNOWN, "resource policy")
    return OPEN


def of_url(auth_type: Any) -> Guarded:
    """Return what the URL of a function asks of callers."""
    kind = text(auth_type)
    if kind == "NONE":
        return OPEN
    return Guarded(Reach.AUTHENTICATED, kind) if kind == "AWS_IAM" else UNKNOWN
