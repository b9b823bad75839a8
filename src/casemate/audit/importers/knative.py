"""Services of Knative Serving."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from casemate.audit.documents import Map, place_of
from casemate.audit.importers.aws.resource import at, listed, number, text
from casemate.audit.importers.code_files import CodeFiles
from casemate.audit.importers.port import Source
from casemate.audit.model import Application, Function, Place, Platform, Reach, Trigger, Variable
from casemate.audit.workspace import Workspace

_API = "serving.knative.dev/"
_LOCAL = "networking.knative.dev/visibility"


class Knative:
    """Manifests of Kubernetes with Knative services in them."""

    name = "knative"
    by_folder = False

    def recognises(self, source: Source) -> bool:
        """Tell whether any document is a service."""
        return any(_is_service(each) for each in source.documents)

    def inner(self, source: Source, workspace: Workspace) -> Iterable[str]:
        """Return nothing."""
        return ()

    def read(self, source: Source, workspace: Workspace) -> Iterator[Application]:
        """Return the application that the services of a file are."""
        code = CodeFiles(workspace)
        yield Application(
            name=source.file,
            platform=Platform.KNATIVE,
            importer=self.name,
            place=Place(source.file),
            functions=tuple(
                _function(each, source.file, code) for each in source.documents if _is_service(each)
            ),
        )


def _is_service(document: Any) -> bool:
    return (
        isinstance(document, Map)
        and text(document.get("apiVersion")).startswith(_API)
        and document.get("kind") == "Service"
    )


def _function(document: Map, file: str, code: CodeFiles) -> Function:
    pod = at(document, "spec", "template", "spec")
    container = at(pod, "containers", 0)
    labels = at(document, "metadata", "labels")
    local = (
        text(at(labels, _LOCAL) or at(labels, "serving.knative.dev/visibility")) == "cluster-local"
    )
    place = Place(document.file, document.line)
    annotations = at(document, "spec", "template", "metadata", "annotations")
    folder = code.folder(file, ".")
    memory = text(at(container, "resources", "limits", "memory"))
    found = number(memory.rstrip("iBKMG"))
    return Function(
        name=text(at(document, "metadata", "name")) or file,
        platform=Platform.KNATIVE,
        runtime="",
        code=folder,
        files=code.files(folder) if folder is not None else (),
        triggers=(
            Trigger(
                kind="http",
                # Nothing asks who calls: the ingress lets everybody in.
                reach=Reach.INTERNAL if local else Reach.PUBLIC,
                method="ANY",
                path="/",
                place=place,
            ),
        ),
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
            "image": text(at(container, "image")),
            "security": at(container, "securityContext") or {},
            "pod_security": at(pod, "securityContext") or {},
            "limits": at(container, "resources", "limits"),
            "account": text(at(pod, "serviceAccountName")),
            "mounts_token": at(pod, "automountServiceAccountToken"),
            "container_place": _container_place(pod, place),
        },
        role=text(at(pod, "serviceAccountName")) or "default",
        place=place,
    )


def _container_place(pod: Any, default: Place) -> Place:
    containers = at(pod, "containers")
    found = place_of(containers, 0, default)
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
