"""Which resource an operation acts on, and who asks: what the decision before it is made from."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request

from casemate.api.inputs import path_name
from casemate.model.principal import NODE, Principal, Resource, ResourceKind

ResourceOf = Callable[[Request], Resource]


def principal(request: Request) -> Principal:
    """Return who asks. Every request that reaches an operation was authenticated."""
    asking: Principal = request.scope["casemate.principal"]
    return asking


def node(_request: Request) -> Resource:
    """Act on the node itself."""
    return NODE


def project(request: Request) -> Resource:
    """Act on the project that the path names as `{project}`."""
    return Resource(kind=ResourceKind.PROJECT, project=path_name(request, "project"))


def named(kind: ResourceKind, parameter: str) -> ResourceOf:
    """Act on a thing of a project: the path has `{project}` and `{parameter}`."""

    def resource(request: Request) -> Resource:
        return Resource(
            kind=kind,
            project=path_name(request, "project"),
            name=path_name(request, parameter),
        )

    return resource


def function_of(project_name: str, function_name: str) -> Resource:
    """Return a function as a resource."""
    return Resource(kind=ResourceKind.FUNCTION, project=project_name, name=function_name)
