"""What delivers events of Knative: triggers, brokers, subscriptions, and a cluster's defaults."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from casemate.audit.documents import DocumentError, Map, place_of, read_documents
from casemate.audit.importers.aws.resource import at, listed, text
from casemate.audit.importers.port import Source
from casemate.audit.model import Asset, Place
from casemate.audit.workspace import Workspace

_DELIVERING = {
    "Trigger": "eventing.knative.dev/",
    "Broker": "eventing.knative.dev/",
    "Subscription": "messaging.knative.dev/",
}
_KAFKA, _KAFKA_API = "KafkaSource", "sources.knative.dev/"
_DEFAULTS = "default-br-config"
_MAX_BESIDE = 100
"""Files of one folder that are looked through."""


def is_delivering(document: Any) -> bool:
    """Tell whether a document delivers events to services."""
    if not isinstance(document, Map):
        return False
    api = _DELIVERING.get(text(document.get("kind")))
    return api is not None and text(document.get("apiVersion")).startswith(api)


def is_of_kafka(document: Any) -> bool:
    """Tell whether a document brings events from servers of Kafka."""
    return (
        isinstance(document, Map)
        and text(document.get("kind")) == _KAFKA
        and text(document.get("apiVersion")).startswith(_KAFKA_API)
    )


def servers_of_kafka(source: Source) -> Iterator[Asset]:
    """Yield what speaks to servers of Kafka, and whether it does so with encryption."""
    for document in source.documents:
        if is_of_kafka(document):
            net = at(document, "spec", "net")
            place = Place(document.file, document.line)
            yield Asset(
                kind="kafka",
                name=text(at(document, "metadata", "name")),
                type=_KAFKA,
                settings={
                    "servers": tuple(map(text, listed(at(document, "spec", "bootstrapServers")))),
                    "tls": at(net, "tls", "enable"),
                    "signs_in": at(net, "sasl", "enable") is True,
                },
                place=place_of(at(net, "tls"), "enable", place),
            )


class _Folder(NamedTuple):
    """What the files of a folder say, for those among them that deliver events."""

    brokers: dict[tuple[str, str], list[Map]]
    """By namespace and name."""
    defaults: dict[str, bool]


def deliveries(source: Source, workspace: Workspace) -> Iterator[Asset]:
    """Yield what delivers events in a file, and what holds for it by other files of its folder."""
    own = [each for each in source.documents if is_delivering(each)]
    defaults = dict(_defaults(source.documents))
    beside = _beside(source, workspace) if own else _Folder({}, {})
    defaults |= beside.defaults
    for document in own:
        yield _asset(document, "delivery", defaults)
    # Of others only what triggers of this file name: a folder may have thousands.
    for named in dict.fromkeys((_namespace(each), _broker(each)) for each in own):
        for document in beside.brokers.get(named, ()):
            if document.file != source.file:
                yield _asset(document, "delivery-beside", defaults)
    for namespace, kept in defaults.items():
        yield Asset(
            kind="delivery-default",
            name=namespace,
            settings={"dead_letters": kept},
            place=Place(source.file),
        )


def _namespace(document: Map) -> str:
    return text(at(document.get("metadata"), "namespace"))


def _broker(document: Map) -> str:
    return text(at(document, "spec", "broker"))


def _asset(document: Map, kind: str, defaults: dict[str, bool]) -> Asset:
    metadata, namespace = document.get("metadata"), _namespace(document)
    is_broker = document["kind"] == "Broker"
    said = at(document, "spec", "delivery", "deadLetterSink") is not None
    by_default = is_broker and defaults.get(namespace, defaults.get("", False))
    return Asset(
        kind=kind,
        name=text(at(metadata, "name")),
        type=text(document.get("kind")),
        settings={
            "broker": _broker(document),
            "namespace": namespace,
            "dead_letters": said or by_default,
        },
        place=place_of(metadata, "name", Place(document.file, document.line)),
    )


def _beside(source: Source, workspace: Workspace) -> _Folder:
    """Return what the files of a folder have of brokers, and of defaults of these."""
    folder = source.file.rpartition("/")[0]
    return workspace.once(f"deliveries of {folder}", lambda: _looked_through(folder, workspace))


def _looked_through(folder: str, workspace: Workspace) -> _Folder:
    found = _Folder({}, {})
    for name in workspace.once("manifests by folder", lambda: _by_folder(workspace))[folder]:
        content = workspace.template(name) or ""
        documents = _documents(content, name) if _tells(content) else []
        found.defaults.update(_defaults(documents))
        for each in documents:
            if is_delivering(each) and each["kind"] == "Broker":
                called = (_namespace(each), text(at(each.get("metadata"), "name")))
                found.brokers.setdefault(called, []).append(each)
    return found


def _tells(content: str) -> bool:
    return "Broker" in content or _DEFAULTS in content


def _by_folder(workspace: Workspace) -> defaultdict[str, list[str]]:
    found = defaultdict[str, list[str]](list)
    for each in workspace.files:
        of_folder = found[each.rpartition("/")[0]]
        if each.endswith((".yaml", ".yml", ".json")) and len(of_folder) < _MAX_BESIDE:
            of_folder.append(each)
    return found


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
