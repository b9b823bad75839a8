"""Rules about functions in containers: OpenFaaS and Knative."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from casemate.audit.documents import place_of
from casemate.audit.finding import Severity
from casemate.audit.importers.aws.resource import at, listed, text, truth
from casemate.audit.model import Function, Platform
from casemate.audit.rule import Check, Hit, Risk, Subject, entries
from casemate.audit.rules.common import hit, moving_image, of_functions
from casemate.audit.rules.examples import service, stack
from casemate.audit.rules.plain_addresses import is_far

_FAAS, _KN = Platform.OPENFAAS, Platform.KNATIVE


def _containers(wrong: Callable[[Function], str | None], *platforms: Platform) -> Check:
    def check(subject: Subject) -> Iterator[Hit]:
        for f in subject.application.functions:
            told = wrong(f) if f.platform in (platforms or (_FAAS, _KN)) else None
            if told is not None:
                yield hit(f, told, f.setting("container_place"))

    return check


def _moving(f: Function) -> str | None:
    return moving_image(f.setting("image") or "")


def _unbounded(f: Function) -> str | None:
    return None if f.setting("limits") else "nothing bounds its memory and processor time"


def _security(f: Function, key: str) -> Any:
    found = at(f.setting("security"), key)
    return found if found is not None else at(f.setting("pod_security"), key)


def _root(f: Function) -> str | None:
    if _security(f, "runAsUser") == 0 or _security(f, "runAsNonRoot") is False:
        return "it runs as root"
    return None


def _privileged(f: Function) -> str | None:
    added = at(f.setting("security"), "capabilities", "add") or []
    if truth(_security(f, "privileged")) or any(
        c in ("ALL", "SYS_ADMIN", "NET_ADMIN", "SYS_PTRACE") for c in added
    ):
        return "it has root's rights on the host"
    return None


def _gains(f: Function) -> str | None:
    return (
        None
        if _security(f, "allowPrivilegeEscalation") is False
        else "a program in it may gain rights (setuid)"
    )


def _token(f: Function) -> str | None:
    if f.setting("mounts_token") is not False and f.role == "default":
        return "it holds a cluster token, which it does not need"
    return None


def _open(f: Function) -> str | None:
    return "everybody who reaches the gateway can call it" if f.reach.value == "public" else None


def _undelivered(subject: Subject) -> Iterator[Hit]:
    """Find deliveries of Knative whose failed events go nowhere."""
    application = subject.application
    found = list(application.of_kind("delivery"))
    brokers = {
        (a.settings["namespace"], a.name): a.settings["dead_letters"]
        for a in (*found, *application.of_kind("delivery-beside"))
        if a.type == "Broker"
    }
    defaults = {a.name: a.settings["dead_letters"] for a in application.of_kind("delivery-default")}
    for a in found:
        namespace = a.settings["namespace"]
        default = defaults.get(namespace, defaults.get("", False))
        of_broker = brokers.get((namespace, a.settings["broker"]), default)
        if a.settings["dead_letters"] or (a.type == "Trigger" and of_broker):
            continue
        text_ = f"{a.type} {a.name}: events that keep failing are lost: it has no dead-letter sink"
        yield Hit(place=a.place, text=text_, subject=f"{a.type} {a.name}")


def _gateway(subject: Subject) -> Iterator[Hit]:
    gateway = subject.application.settings.get("gateway") or ""
    if re.match(r"http://(?!127\.|localhost|0\.0\.0\.0|gateway(?:[:/]|$)|\$)", gateway):
        yield Hit(
            place=subject.application.place,
            text=f"the password goes to {gateway[:80]} without encryption",
            subject="gateway",
        )


def _host_files(subject: Subject) -> Iterator[Hit]:
    for f in subject.application.functions:
        volumes = f.setting("volumes") if f.platform is _KN else None
        for number, volume in enumerate(listed(volumes)):
            path = text(at(volume, "hostPath", "path"))
            if path:
                place = place_of(volumes, number, f.place)
                yield hit(f, f"it can see {path[:80]} of its machine", place)


def _delivered(more: str) -> dict[str, str]:
    """Return a service of Knative and a trigger that gives it events."""
    trigger = (
        "apiVersion: eventing.knative.dev/v1\nkind: Trigger\nmetadata: {name: orders}\nspec:\n"
        "  broker: default\n"
        "  subscriber: {ref: {apiVersion: serving.knative.dev/v1, kind: Service, name: thing}}\n"
    )
    return {"service.yaml": service()["service.yaml"] + "---\n" + trigger + more}


_OF_CLUSTER = re.compile(r"[\w-]{1,63}\.[\w-]{4,63}(?::\d{1,5})?")
"""A service of a cluster and its namespace: `my-cluster-kafka-bootstrap.kafka:9092`."""


def _unencrypted(subject: Subject) -> Iterator[Hit]:
    """Find sources of Kafka that speak in clear text: milder within a cluster, if it is said."""
    for each in subject.application.of_kind("kafka"):
        tls = each.settings["tls"]
        if tls is not None and tls is not False:
            continue
        servers = [one for one in each.settings["servers"] if not _OF_CLUSTER.fullmatch(one)]
        far = any(map(is_far, servers)) or each.settings["signs_in"]
        if far or tls is False:
            what = (
                "its events and passwords come" if each.settings["signs_in"] else "its events come"
            )
            yield Hit(
                place=each.place,
                text=f"{each.name}: {what} without encryption",
                subject=each.name,
                severity=None if far else Severity.LOW,
            )


def _from_kafka(more: str) -> dict[str, str]:
    """Return a service of Knative and a source of Kafka that gives it events."""
    source = (
        "apiVersion: sources.knative.dev/v1\nkind: KafkaSource\nmetadata: {name: orders}\nspec:\n"
        "  bootstrapServers: ['kafka.shop.io:9093']\n  topics: [orders]\n"
        "  sink: {ref: {apiVersion: serving.knative.dev/v1, kind: Service, name: thing}}\n"
    )
    return {"service.yaml": service()["service.yaml"] + "---\n" + source + more}


_rule = entries(Risk.RESPONSIBILITY, "SAS-06", cwe=16, attack="")
_S = Severity
_LIMITED = "limits:\n  memory: 64Mi\n  cpu: 100m"
_INNER = "metadata:\n  annotations:\n    autoscaling.knative.dev/max-scale: '10'"

RULES = (
    _rule(
        "CT-001",
        "Image that can change without notice",
        _S.LOW,
        "A tag such as latest names whatever was pushed last.",
        "Name a version, or the digest.",
        _containers(_moving),
        {"stack.yml": stack()["stack.yml"].replace(":1.0.2", ":latest")},
        stack(),
        494,
        risk=Risk.DEPENDENCIES,
        owasp="SAS-09",
        attack="T1525",
    ),
    _rule(
        "CT-002",
        "No resource limits",
        _S.LOW,
        "One call can take the machine from all others.",
        "Set limits for memory and cpu.",
        _containers(_unbounded),
        stack(),
        stack(_LIMITED),
        770,
        attack="T1499",
    ),
    _rule(
        "OF-001",
        "Files of the function can be changed",
        _S.LOW,
        "What one call writes is still there in the next.",
        "Set readonly_root_filesystem: true.",
        of_functions(
            lambda f: None if f.setting("read_only") else "its files can be changed while it runs",
            _FAAS,
        ),
        stack(),
        stack("readonly_root_filesystem: true"),
        732,
        attack="T1554",
    ),
    _rule(
        "OF-002",
        "Bodies in logs",
        _S.MEDIUM,
        "What callers send and receive is kept in logs.",
        "Set write_debug and combine_output to false.",
        of_functions(
            lambda f: "what callers send is in its logs" if f.setting("debug") else None, _FAAS
        ),
        stack("environment:\n  write_debug: true"),
        stack("environment:\n  write_debug: false"),
        532,
        risk=Risk.MONITORING,
        owasp="SAS-03",
    ),
    _rule(
        "OF-003",
        "Gateway password without encryption",
        _S.MEDIUM,
        "Anybody on the network path can deploy functions.",
        "Use https.",
        _gateway,
        stack("", "http://faas.example.com:8080"),
        stack("", "https://faas.example.com"),
        319,
        risk=Risk.RESPONSIBILITY,
        owasp="SAS-03",
        attack="T1040",
    ),
    _rule(
        "CT-003",
        "Everybody can call it",
        _S.LOW,
        "Neither OpenFaaS nor Knative authenticates callers of a function.",
        "Check a token in the handler, put an authenticating proxy in front, or make it cluster-local.",
        of_functions(_open, _KN),
        service(),
        {
            "service.yaml": service()["service.yaml"].replace(
                "  name: thing\n",
                "  name: thing\n  labels: {networking.knative.dev/visibility: cluster-local}\n",
            )
        },
        306,
        risk=Risk.PERMISSIONS,
        owasp="SAS-02",
    ),
    _rule(
        "KN-001",
        "Root in the container",
        _S.MEDIUM,
        "A vulnerability in the kernel, or a mount, makes it root of the machine.",
        "Set runAsNonRoot: true.",
        _containers(_root, _KN),
        service("securityContext: {runAsUser: 0}"),
        service("securityContext: {runAsNonRoot: true}"),
        250,
        attack="T1611",
    ),
    _rule(
        "KN-002",
        "Rights on the host",
        _S.CRITICAL,
        "Whoever takes it over has the machine and everything that runs on it.",
        "Remove privileged and capabilities.",
        _containers(_privileged, _KN),
        service("securityContext: {privileged: true}"),
        service("securityContext: {capabilities: {drop: [ALL]}}"),
        250,
        risk=Risk.PERMISSIONS,
        owasp="SAS-05",
        attack="T1611",
    ),
    _rule(
        "KN-003",
        "Programs that can gain rights",
        _S.LOW,
        "A setuid program in the image can make its user root.",
        "Set allowPrivilegeEscalation: false.",
        _containers(_gains, _KN),
        service(),
        service("securityContext: {allowPrivilegeEscalation: false}"),
        269,
        attack="T1548",
    ),
    _rule(
        "KN-004",
        "Cluster token",
        _S.LOW,
        "Whoever takes it over can use the cluster's API in its name.",
        "Set automountServiceAccountToken: false, or use a service account of its own.",
        of_functions(_token, _KN),
        service(),
        {
            "service.yaml": service()["service.yaml"].replace(
                "      containers:", "      automountServiceAccountToken: false\n      containers:"
            )
        },
        522,
        risk=Risk.PERMISSIONS,
        owasp="SAS-05",
        attack="T1528",
    ),
    _rule(
        "KN-005",
        "No bound on instances",
        _S.LOW,
        "A flood runs up the bill, or takes the cluster.",
        "Set autoscaling.knative.dev/max-scale.",
        of_functions(lambda f: None if f.concurrency else "any number of instances may run", _KN),
        service(),
        service("", _INNER),
        770,
        attack="T1499",
    ),
    _rule(
        "KN-006",
        "Host files",
        _S.HIGH,
        "Whoever takes it over can read and write files of the machine, and of everything "
        "that runs on it.",
        "Use a volume of the cluster, a ConfigMap or a Secret.",
        _host_files,
        {
            "service.yaml": service()["service.yaml"].replace(
                "      containers:",
                "      volumes: [{name: host, hostPath: {path: /}}]\n      containers:",
            )
        },
        {
            "service.yaml": service()["service.yaml"].replace(
                "      containers:",
                "      volumes: [{name: host, emptyDir: {}}]\n      containers:",
            )
        },
        250,
        risk=Risk.PERMISSIONS,
        owasp="SAS-05",
        attack="T1611",
    ),
    _rule(
        "KN-007",
        "Events that are lost",
        _S.LOW,
        "Knative tries an event a few times and then drops it. Events that fail because of an "
        "attacker, or because of a bug of yours, are gone.",
        "Set delivery.deadLetterSink of the trigger, of its broker, or of the cluster's default "
        "(config-br-defaults), and watch what arrives.",
        _undelivered,
        _delivered(""),
        _delivered(
            "  delivery:\n    deadLetterSink: {ref: {apiVersion: v1, kind: Service, name: parked}}\n"
        ),
        223,
        risk=Risk.ERRORS,
        owasp="SAS-10",
    ),
    _rule(
        "KN-008",
        "Events of Kafka without encryption",
        _S.MEDIUM,
        "Anybody on the network path can read the events and the password, and add events.",
        "Set net.tls.enable: true, with the certificate of the server's authority.",
        _unencrypted,
        _from_kafka("  net: {tls: {enable: false}}\n"),
        _from_kafka("  net: {tls: {enable: true}}\n"),
        319,
        owasp="SAS-03",
        attack="T1040",
    ),
)
