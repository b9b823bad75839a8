"""Manifests of Kubernetes: all of a folder together, as they are applied."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from casemate.audit.documents import Map, place_of
from casemate.audit.importers.aws.resource import at, listed, text
from casemate.audit.importers.port import Source
from casemate.audit.model import (
    Application,
    Asset,
    Function,
    Place,
    Platform,
    Reach,
    Trigger,
    Variable,
)
from casemate.audit.workspace import Workspace

_WORKLOADS = {
    "Pod": "v1",
    "ReplicationController": "v1",
    **dict.fromkeys(("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"), "apps/"),
    **dict.fromkeys(("Job", "CronJob"), "batch/"),
}
_RBAC = "rbac.authorization.k8s.io/"
_OTHERS = {
    **dict.fromkeys(("Service", "ServiceAccount", "Secret", "ConfigMap", "Namespace"), "v1"),
    **dict.fromkeys(("Ingress", "NetworkPolicy"), "networking.k8s.io/"),
    **dict.fromkeys(("Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"), _RBAC),
    "PodDisruptionBudget": "policy/",
}
_KINDS = _WORKLOADS | _OTHERS
_KUSTOMIZATION = ("Kustomization", "kustomize.config.k8s.io/")
_LISTS = ("List", *(f"{kind}List" for kind in _KINDS))
NAMES_KIND = re.compile(
    rf"\bkind[\"']?\s{{0,4}}:\s{{0,4}}[\"']?(?:{'|'.join((*_KINDS, *_LISTS, _KUSTOMIZATION[0]))})\b"
)
"""A text without it has no object that is looked at: most long ones have definitions of kinds."""
_PATHS = {
    "Pod": ("spec",),
    "CronJob": ("spec", "jobTemplate", "spec", "template", "spec"),
}
"""Where a workload has its pod."""


class Kubernetes:
    """Manifests of Kubernetes."""

    name = "kubernetes"
    by_folder = True

    def recognises(self, source: Source) -> bool:
        """Tell whether any document is an object that is looked at."""
        return any(map(_is_kustomization, source.documents)) or any(_objects(source.documents))

    def inner(self, source: Source, workspace: Workspace) -> Iterable[str]:
        """Return nothing."""
        return ()

    def read(self, source: Source, workspace: Workspace) -> Iterator[Application]:
        """Return the application that the manifests of a folder are."""
        patches = set(_patches(source.documents))
        objects = [one for one in _objects(source.documents) if one.file not in patches]
        if not objects:
            return
        folder = source.file.rpartition("/")[0]
        assets = tuple(_asset(one) for one in objects if one["kind"] in _OTHERS)
        yield Application(
            name=folder or source.file,
            platform=Platform.KUBERNETES,
            importer=self.name,
            place=Place(source.file),
            functions=tuple(_workload(one, assets) for one in objects if one["kind"] in _WORKLOADS),
            assets=assets,
        )


def _is_of(document: Any, kind: str, group: str) -> bool:
    version = text(at(document, "apiVersion"))
    same = version.startswith(group) if group.endswith("/") else version == group
    return same and document.get("kind") == kind


def _is_kustomization(document: Any) -> bool:
    return isinstance(document, Map) and _is_of(document, *_KUSTOMIZATION)


def _objects(documents: Iterable[Any]) -> Iterator[Map]:
    """Yield the objects that are looked at, also those within lists."""
    for document in documents:
        if not isinstance(document, Map):
            continue
        kind = text(document.get("kind"))
        if kind in _LISTS:
            # A list within a list is none that is ever applied.
            yield from (one for one in listed(document.get("items")) if _is_known(one))
        elif _is_known(document):
            yield document


def _is_known(document: Any) -> bool:
    if not isinstance(document, Map):
        return False
    kind = text(document.get("kind"))
    return kind in _KINDS and _is_of(document, kind, _KINDS[kind])


def _patches(documents: Iterable[Any]) -> Iterator[str]:
    """Yield the files that a kustomization takes for changes of others: no whole objects."""
    for document in filter(_is_kustomization, documents):
        folder = document.file.rpartition("/")[0]
        named = [
            *(at(one, "path") for one in listed(document.get("patches"))),
            *(at(one, "path") for one in listed(document.get("patchesJson6902"))),
            *listed(document.get("patchesStrategicMerge")),
        ]
        for name in map(text, named):
            yield f"{folder}/{name}".lstrip("/").replace("/./", "/")


def _asset(document: Map) -> Asset:
    return Asset(
        kind="secret" if document["kind"] == "Secret" else "other",
        name=text(at(document, "metadata", "name")) or document["kind"],
        type=document["kind"],
        settings=document,
        place=Place(document.file, document.line),
    )


def _workload(document: Map, assets: tuple[Asset, ...]) -> Function:
    kind = document["kind"]
    path = _PATHS.get(kind, ("spec", "template", "spec"))
    pod = at(document, *path)
    labels = at(document, *path[:-1], "metadata", "labels")
    place = Place(document.file, document.line)
    containers = tuple(
        one
        for key in ("initContainers", "containers")
        for one in listed(at(pod, key))
        if isinstance(one, Map)
    )
    return Function(
        name=text(at(document, "metadata", "name")) or kind,
        platform=Platform.KUBERNETES,
        triggers=(*_triggers(document, labels, assets), *_schedule(document, place)),
        environment=tuple(
            Variable(text(at(each, "name")), text(at(each, "value")), place_of(env, index))
            for env in (container.get("env") for container in containers)
            for index, each in enumerate(listed(env))
            if at(each, "value") is not None
        ),
        settings={
            "kind": kind,
            "object": document,
            "namespace": namespace_of(document),
            "labels": labels if isinstance(labels, Map) else Map(),
            "pod": pod if isinstance(pod, Map) else Map(document.file, document.line),
            "containers": containers,
        },
        role=text(at(pod, "serviceAccountName")) or "default",
        place=place,
    )


def namespace_of(document: Any) -> str:
    """Return the namespace that an object names, or nothing: the one of who applies it."""
    return text(at(document, "metadata", "namespace"))


def selects(selector: Any, labels: Any) -> bool:
    """Tell whether labels are those that a selector names; an empty one takes all."""
    wanted = at(selector, "matchLabels") if "matchLabels" in (selector or ()) else selector
    if at(selector, "matchExpressions"):
        return True  # not evaluated: it may
    if not isinstance(wanted, dict):
        return True
    return all(text(at(labels, key)) == text(value) for key, value in wanted.items())


def _triggers(document: Map, labels: Any, assets: tuple[Asset, ...]) -> Iterator[Trigger]:
    """Yield how a workload is reached by services, and by what leads to these."""
    for asset in assets:
        service = asset.settings
        selector = at(service, "spec", "selector")
        if asset.type != "Service" or not isinstance(selector, Map) or not selector:
            continue
        if namespace_of(document) == namespace_of(service) and selects(selector, labels):
            outside = text(at(service, "spec", "type")) in ("LoadBalancer", "NodePort")
            fronted = any(
                asset.name in backends(one.settings) for one in assets if one.type == "Ingress"
            )
            yield Trigger(
                kind="http",
                reach=Reach.PUBLIC if outside or fronted else Reach.INTERNAL,
                method="ANY",
                path="/",
                source=asset.name,
                place=asset.place,
            )


def backends(ingress: Any) -> set[str]:
    """Return the services that an ingress leads to."""
    paths = [
        path
        for rule in listed(at(ingress, "spec", "rules"))
        for path in listed(at(rule, "http", "paths"))
    ]
    found = [at(ingress, "spec", "defaultBackend"), *(at(path, "backend") for path in paths)]
    return {text(at(one, "service", "name")) for one in found} - {""}


def _schedule(document: Map, place: Place) -> Iterator[Trigger]:
    if document["kind"] == "CronJob":
        yield Trigger(kind="schedule", reach=Reach.INTERNAL, place=place)
