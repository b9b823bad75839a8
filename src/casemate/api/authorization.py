"""Which resource an operation acts on, and who asks: what the decision before it is made from."""

from __future__ import annotations

from starlette.requests import Request

from casemate.model.facts import NOT_BY_NETWORK, Actor
from casemate.model.principal import NODE, Principal, Resource, ResourceKind


def principal(request: Request) -> Principal:
    """Return who asks. Every request that reaches an operation was authenticated."""
    asking: Principal = request.scope["casemate.principal"]
    return asking


def remote_address(request: Request) -> str:
    """Return the address that the request came from; empty for a Unix socket."""
    return request.client.host if request.client is not None else NOT_BY_NETWORK


def actor(request: Request) -> Actor:
    """Return who asks, and from where."""
    return Actor(principal(request).text, remote_address(request))


def node(_request: Request) -> Resource:
    """Act on the node itself."""
    return NODE


def function_of(project_name: str, function_name: str) -> Resource:
    """Return a function as a resource."""
    return Resource(kind=ResourceKind.FUNCTION, project=project_name, name=function_name)
