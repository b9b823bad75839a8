"""Services of Knative Serving."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from casemate.audit.documents import Map, place_of
from casemate.audit.importers.aws.resource import at, listed, number, text
from casemate.audit.importers.code_files import CodeFiles
from casemate.audit.importers.knative_deliveries import (
    deliveries,
    is_delivering,
    is_of_kafka,
    servers_of_kafka,
)
from casemate.audit.importers.port import Source
from casemate.audit.model import (
    Application,
    Function,
    Place,
    Platform,
    Reach,
    Trigger,
    Variable,
)
from casemate.audit.workspace import Workspace

_API = "serving.knative.dev/"
_LOCAL = "networking.knative.dev/visibility"


class Knative:
    """Manifests of Kubernetes with Knative services in them."""

    name = "knative"
    by_folder = False

    def recognises(self, source: Source) -> bool:
        """Tell whether any document is a service, or it is the file of a function."""
        return any(
            _is_service(each) or _is_func(each) or is_delivering(each) or is_of_kafka(each)
            for each in source.documents
        )

    def inner(self, source: Source, workspace: Workspace) -> Iterable[str]:
        """Return nothing."""
        return ()

    def read(self, source: Source, workspace: Workspace) -> Iterator[Application]:
        """Return the application that the services of a file are."""
        code = CodeFiles.of(workspace)
        called = code.folders_by_name()
        yield Application(
            name=source.file,
            platform=Platform.KNATIVE,
            importer=self.name,
            place=Place(source.file),
            functions=tuple(
                function
                for each in source.documents
                for function in (
                    (_of_func(each, source.file, code),)
                    if _is_func(each)
                    else _functions(each, source.file, code, called)
                    if _is_service(each)
                    else ()
                )
            ),
            assets=(*deliveries(source, workspace), *servers_of_kafka(source)),
        )


def _is_service(document: Any) -> bool:
    return (
        isinstance(document, Map)
        and text(document.get("apiVersion")).startswith(_API)
        and document.get("kind") == "Service"
    )


def _is_func(document: Any) -> bool:
    """Tell whether it is `func.yaml`, which `func deploy` makes a service of."""
    return (
        isinstance(document, Map)
        and text(document.get("specVersion")) != ""
        and isinstance(document.get("runtime"), str)
        and isinstance(document.get("name"), str)
    )


def _folder(
    image: str, name: str, file: str, code: CodeFiles, called: Mapping[str, str]
) -> str | None:
    """Return the folder of a service's code, which its manifest does not name.

    That is the manifest's own; else the one that is called as the image or the service, as `worker`
    of `acme/worker:1.2`; else the nearest above that has code.
    """
    own = file.rpartition("/")[0] or "."
    if code.files(own):
        return own
    for each in (image.rpartition("/")[2].partition("@")[0].partition(":")[0], name):
        if each in called:
            return called[each]
    while own != ".":
        own = own.rpartition("/")[0] or "."
        if code.files(own):
            return own
    return None


def _requests(visibility: str, place: Place) -> Trigger:
    """Return by what a service is called: nothing asks by whom, and the ingress lets all in."""
    return Trigger(
        kind="http",
        reach=Reach.INTERNAL if visibility == "cluster-local" else Reach.PUBLIC,
        method="ANY",
        path="/",
        place=place,
    )


def _of_func(document: Map, file: str, code: CodeFiles) -> Function:
    """Return the function of a `func.yaml`: Knative's own tool sets what it says nothing of."""
    place = Place(document.file, document.line)
    folder = code.folder(file, ".")
    visibility = text(at(document, "deploy", "labels", _LOCAL))
    environment = (*_variables(at(document, "run", "envs")), *_variables(document.get("envs")))
    limits = at(document, "deploy", "options", "resources", "limits")
    return Function(
        name=document["name"],
        platform=Platform.KNATIVE,
        code=folder,
        files=code.files(folder) if folder is not None else (),
        triggers=(_requests(visibility, place),),
        environment=environment,
        concurrency=_whole(at(document, "deploy", "options", "scale", "max")),
        settings={
            "image": text(document.get("image")),
            "security": {"allowPrivilegeEscalation": False, "runAsNonRoot": True},
            "limits": limits,
            "account": text(at(document, "deploy", "serviceAccountName")),
        },
        role=text(at(document, "deploy", "serviceAccountName")) or "default",
        place=place,
    )


def _functions(
    document: Map, file: str, code: CodeFiles, called: Mapping[str, str]
) -> Iterator[Function]:
    """Yield what a service runs: what answers requests, and the containers beside it."""
    pod = at(document, "spec", "template", "spec")
    first = _function(document, file, code, called, 0)
    yield first
    for index in range(1, min(len(listed(at(pod, "containers"))), _MAX_CONTAINERS)):
        beside = _function(document, file, code, called, index)
        name = text(at(pod, "containers", index, "name")) or f"container {index + 1}"
        yield msgspec.structs.replace(
            beside, name=f"{first.name} ({name})", triggers=(), code=None, files=()
        )


_MAX_CONTAINERS = 50


def _function(
    document: Map, file: str, code: CodeFiles, called: Mapping[str, str], index: int
) -> Function:
    pod = at(document, "spec", "template", "spec")
    container = at(pod, "containers", index)
    labels = at(document, "metadata", "labels")
    visibility = text(at(labels, _LOCAL) or at(labels, "serving.knative.dev/visibility"))
    place = Place(document.file, document.line)
    annotations = at(document, "spec", "template", "metadata", "annotations")
    image, name = text(at(container, "image")), text(at(document, "metadata", "name"))
    folder = _folder(image, name, file, code, called)
    memory = text(at(container, "resources", "limits", "memory"))
    found = number(memory.rstrip("iBKMG"))
    return Function(
        name=name or file,
        platform=Platform.KNATIVE,
        code=folder,
        files=code.files(folder) if folder is not None else (),
        triggers=(_requests(visibility, place),),
        environment=_variables(at(container, "env")),
        timeout=number(at(pod, "timeoutSeconds")),
        memory=int(min(found, 1e15) * (1024 if "G" in memory else 1))
        if found is not None
        else None,
        concurrency=_whole(
            at(annotations, "autoscaling.knative.dev/max-scale")
            or at(annotations, "autoscaling.knative.dev/maxScale")
        ),
        settings={
            "image": image,
            "volumes": at(pod, "volumes"),
            "security": at(container, "securityContext") or {},
            "pod_security": at(pod, "securityContext") or {},
            "limits": at(container, "resources", "limits"),
            "account": text(at(pod, "serviceAccountName")),
            "mounts_token": at(pod, "automountServiceAccountToken"),
            "container_place": _container_place(pod, place, index),
        },
        role=text(at(pod, "serviceAccountName")) or "default",
        place=place,
    )


def _container_place(pod: Any, default: Place, index: int) -> Place:
    containers = at(pod, "containers")
    found = place_of(containers, index, default)
    return found if found.file else default


def _whole(value: Any) -> int | None:
    found = number(value)
    return int(found) if found is not None else None


def _variables(env: Any) -> tuple[Variable, ...]:
    return tuple(
        Variable(text(at(each, "name")), text(at(each, "value")), place_of(env, index))
        for index, each in enumerate(listed(env))
        if at(each, "value") is not None
    )
