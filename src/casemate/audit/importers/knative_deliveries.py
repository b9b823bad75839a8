"""What delivers events of Knative: triggers, brokers, subscriptions, and a cluster's defaults."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from casemate.audit.documents import DocumentError, Map, place_of, read_documents
from casemate.audit.importers.aws.resource import at, text
from casemate.audit.importers.port import Source
from casemate.audit.model import Asset, Place
from casemate.audit.workspace import Workspace

_DELIVERING = {
    "Trigger": "eventing.knative.dev/",
    "Broker": "eventing.knative.dev/",
    "Subscription": "messaging.knative.dev/",
}
_DEFAULTS = "default-br-config"
_MAX_BESIDE = 100
"""Files of one folder that are looked through."""


def is_delivering(document: Any) -> bool:
    """Tell whether a document delivers events to services."""
    if not isinstance(document, Map):
        return False
    api = _DELIVERING.get(text(document.get("kind")))
    return api is not None and text(document.get("apiVersion")).startswith(api)


def deliveries(source: Source, workspace: Workspace) -> Iterator[Asset]:
    """Yield what delivers events in a file, and what holds for it by other files of its folder."""
    own = [each for each in source.documents if is_delivering(each)]
    beside = list(_beside(source, workspace)) if own else []
    defaults = dict(_defaults([*source.documents, *beside]))
    for document in own:
        yield _asset(document, "delivery", defaults)
    for document in beside:
        if is_delivering(document) and document["kind"] == "Broker":
            yield _asset(document, "delivery-beside", defaults)
    for namespace, kept in defaults.items():
        yield Asset(
            kind="delivery-default",
            name=namespace,
            settings={"dead_letters": kept},
            place=Place(source.file),
        )


def _asset(document: Map, kind: str, defaults: dict[str, bool]) -> Asset:
    metadata = document.get("metadata")
    namespace = text(at(metadata, "namespace"))
    is_broker = document["kind"] == "Broker"
    said = at(document, "spec", "delivery", "deadLetterSink") is not None
    by_default = is_broker and defaults.get(namespace, defaults.get("", False))
    return Asset(
        kind=kind,
        name=text(at(metadata, "name")),
        type=text(document.get("kind")),
        settings={
            "broker": text(at(document, "spec", "broker")),
            "namespace": namespace,
            "dead_letters": said or by_default,
        },
        place=place_of(metadata, "name", Place(document.file, document.line)),
    )


def _beside(source: Source, workspace: Workspace) -> Iterator[Any]:
    """Yield the documents of other files of a folder that have brokers, or defaults of these."""
    folder = source.file.rpartition("/")[0]
    names = [
        each
        for each in workspace.files
        if each.rpartition("/")[0] == folder and each != source.file
        if each.endswith((".yaml", ".yml", ".json"))
    ]
    for name in names[:_MAX_BESIDE]:
        found = workspace.template(name) or ""
        if "Broker" in found or _DEFAULTS in found:
            yield from _documents(found, name)


def _documents(content: str, file: str) -> list[Any]:
    try:
        return read_documents(content, file)[0]
    except DocumentError:
        return []  # told where the file is read by itself


def _defaults(documents: Iterable[Any]) -> Iterator[tuple[str, bool]]:
    """Yield by namespace whether its brokers keep what fails unless they say otherwise.

    The cluster's own default is that of no namespace. It stands in `config-br-defaults`, or among
    the settings of the operator's KnativeEventing.
    """
    for each in documents:
        said = at(each, "data", _DEFAULTS)
        for name in ("br-defaults", "config-br-defaults"):
            said = said or at(each, "spec", "config", name, _DEFAULTS)
        for config in _documents(said, "") if isinstance(said, str) else ():
            yield "", _keeps(at(config, "clusterDefault"))
            named = at(config, "namespaceDefaults")
            for namespace, one in named.items() if isinstance(named, Map) else ():
                yield str(namespace), _keeps(one)


def _keeps(config: Any) -> bool:
    return at(config, "delivery", "deadLetterSink") is not None
