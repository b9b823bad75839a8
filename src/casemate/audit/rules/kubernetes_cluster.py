"""Rules about what is around pods in Kubernetes: who reaches them, and what lies open."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from typing import Any

from casemate.audit.documents import Map, place_of
from casemate.audit.finding import Severity
from casemate.audit.importers.aws.resource import at, listed, number, text
from casemate.audit.importers.kubernetes import namespace_of, selects
from casemate.audit.model import Application, Asset, Function, Place, Platform
from casemate.audit.rule import Check, Hit, Risk, Subject, entries
from casemate.audit.rules.examples import manifest, workload
from casemate.audit.rules.secret_search import random

_S = Severity
Told = tuple[str, Place, Severity | None]


def of_objects(wrong: Callable[[Asset, Application], Iterator[Told]], *kinds: str) -> Check:
    """Return a check of all objects of these kinds: `wrong` yields what is wrong with one."""

    def check(subject: Subject) -> Iterator[Hit]:
        if subject.application.platform is not Platform.KUBERNETES:
            return
        for asset in subject.application.assets:
            if asset.type in kinds:
                for told, place, severity in wrong(asset, subject.application):
                    yield Hit(
                        place=place,
                        text=f"{asset.type} {asset.name}: {told}",
                        subject=f"{asset.type} {asset.name} {told}"[:200],
                        severity=severity,
                    )

    return check


# -- the network ---------------------------------------------------------------------------------


def _policies(application: Application, f: Function, direction: str) -> list[Map]:
    """Return the policies that hold for a workload in a direction."""
    found = []
    for asset in application.assets:
        spec = at(asset.settings, "spec")
        if asset.type != "NetworkPolicy" or not isinstance(spec, Map):
            continue
        types = [text(one) for one in listed(spec.get("policyTypes"))] or [
            "Ingress",
            *(["Egress"] if "egress" in spec else []),
        ]
        same = namespace_of(f.setting("object")) == namespace_of(asset.settings)
        if direction in types and same and selects(spec.get("podSelector"), f.setting("labels")):
            found.append(spec)
    return found


def _isolation(direction: str, told: str) -> Check:
    def check(subject: Subject) -> Iterator[Hit]:
        application = subject.application
        if application.platform is not Platform.KUBERNETES:
            return
        for f in application.functions:
            if not _policies(application, f, direction):
                yield Hit(place=f.place, text=f"{f.name}: {told}", subject=f.name, function=f)

    return check


def _open_policy(asset: Asset, _application: Application) -> Iterator[Told]:
    rules = at(asset.settings, "spec", "ingress")
    for index, rule in enumerate(listed(rules)):
        sources = listed(at(rule, "from"))
        anybody = any(text(at(one, "ipBlock", "cidr")) in ("0.0.0.0/0", "::/0") for one in sources)
        if isinstance(rule, Map) and (not sources or anybody):
            yield "lets everybody in", place_of(rules, index), None


_METADATA = ("169.254.0.0/16", "169.254.169.254/32")


def _metadata(asset: Asset, _application: Application) -> Iterator[Told]:
    rules = at(asset.settings, "spec", "egress")
    for index, rule in enumerate(listed(rules)):
        targets = listed(at(rule, "to"))
        if isinstance(rule, Map) and not targets and not listed(rule.get("ports")):
            yield "lets pods reach everything", place_of(rules, index), None
        for target in targets:
            block = at(target, "ipBlock")
            excepted = [text(one) for one in listed(at(block, "except"))]
            if text(at(block, "cidr")) == "0.0.0.0/0" and not set(_METADATA) & set(excepted):
                yield (
                    "lets pods reach the cloud's metadata (169.254.169.254)",
                    place_of(block, "cidr"),
                    None,
                )


def _plain(asset: Asset, _application: Application) -> Iterator[Told]:
    if not listed(at(asset.settings, "spec", "tls")):
        yield "calls go over the network unencrypted", asset.place, None


_SNIPPETS = re.compile(r"(?:configuration|server|auth|stream|modsecurity)-snippets?$")


def _snippets(asset: Asset, _application: Application) -> Iterator[Told]:
    annotations = at(asset.settings, "metadata", "annotations")
    for key in annotations if isinstance(annotations, Map) else ():
        if _SNIPPETS.search(key):
            yield f"{key[:80]} is code in the ingress controller", place_of(annotations, key), None


_INSIDE_PORTS = {
    22: "SSH",
    2375: "Docker",
    2379: "etcd",
    3306: "MySQL",
    5432: "PostgreSQL",
    5984: "CouchDB",
    6379: "Redis",
    9200: "Elasticsearch",
    10250: "the kubelet",
    11211: "memcached",
    27017: "MongoDB",
}


def _outside(asset: Asset, _application: Application) -> Iterator[Told]:
    spec = at(asset.settings, "spec")
    kind = text(at(spec, "type"))
    if kind not in ("LoadBalancer", "NodePort") or _is_inside(asset.settings):
        return
    if kind == "LoadBalancer" and listed(at(spec, "loadBalancerSourceRanges")):
        return
    ports = {int(number(at(one, "port")) or 0) for one in listed(at(spec, "ports"))}
    graver = [name for port, name in _INSIDE_PORTS.items() if port in ports]
    if graver:
        yield f"{', '.join(graver)} can be reached from outside", place_of(spec, "type"), _S.HIGH
    else:
        yield "it can be reached from outside, by everybody", place_of(spec, "type"), None


def _is_inside(service: Any) -> bool:
    annotations = at(service, "metadata", "annotations")
    return isinstance(annotations, Map) and any(
        "internal" in f"{key} {text(value)}".lower()
        and text(value).lower() not in ("false", "internet-facing")
        for key, value in annotations.items()
        if "load-balancer" in key
    )


def _addresses(asset: Asset, _application: Application) -> Iterator[Told]:
    spec = at(asset.settings, "spec")
    if listed(at(spec, "externalIPs")):
        yield (
            "takes traffic for addresses outside of the cluster",
            place_of(spec, "externalIPs"),
            None,
        )


# -- what lies open ------------------------------------------------------------------------------

_FILLED_IN = re.compile(
    r"\A\s*\Z|\$\{|\{\{|<[^>\n]{1,60}>|\$\(|change.?me|placeholder|example|replace|ENC\[|vault:|ref\+",
    re.I,
)
_NAMES = re.compile(
    r"passwo?r?d|passwd|secret(?!.{0,3}name)|api.?key|access.?key|private.?key|(?:auth|access|api)?.?token"
    r"|credential|connection.?string|dsn\Z",
    re.I,
)
_NO_VALUE = re.compile(
    r"file|path|name|url\Z|ttl|expir|length|type|enabled|policy|header|issuer|endpoint", re.I
)
_PUBLIC = re.compile(
    r"\.crt\Z|namespace|user|name|host|port|address|url|endpoint|region|bucket|issuer|\.pub\Z|email",
    re.I,
)
"""Names beside a secret that are none."""
_KEY = re.compile(r"key\Z|pass\Z|pin\Z|secret", re.I)
_MIN_BITS = 3.2


def _written(asset: Asset, _application: Application) -> Iterator[Told]:
    for key in ("data", "stringData"):
        held = asset.settings.get(key)
        for name, written in held.items() if isinstance(held, Map) else ():
            value = _decoded(written) if key == "data" else text(written)
            if _PUBLIC.search(name) or _FILLED_IN.search(value) or len(value) < 4:
                continue
            if _NAMES.search(name) or _KEY.search(name) or random(value[:500], least=_MIN_BITS):
                yield f"the value of {name[:64]} is in the manifest", place_of(held, name), None


def _decoded(written: Any) -> str:
    """Return what Base64 stands for; nothing for what the cluster would refuse."""
    try:
        return base64.b64decode(text(written), validate=True).decode("latin-1")
    except ValueError:
        return ""


def _map(asset: Asset, _application: Application) -> Iterator[Told]:
    held = asset.settings.get("data")
    for name, value in held.items() if isinstance(held, Map) else ():
        telling = _NAMES.search(name) and not _NO_VALUE.search(name)
        if not telling or not isinstance(value, str) or "\n" in value:
            continue
        written = 4 <= len(value) <= 500 and value.lower() not in ("true", "false", "none")
        if written and not _FILLED_IN.search(value):
            yield f"{name[:64]} is not a secret there", place_of(held, name), None


def _level(asset: Asset, _application: Application) -> Iterator[Told]:
    labels = at(asset.settings, "metadata", "labels")
    key = "pod-security.kubernetes.io/enforce"
    found = text(at(labels, key))
    if found == "privileged":
        yield "it accepts pods with every right", place_of(labels, key), None
    elif not found:
        yield "it accepts every pod", asset.place, _S.INFO


def _undisturbed(subject: Subject) -> Iterator[Hit]:
    application = subject.application
    if application.platform is not Platform.KUBERNETES:
        return
    budgets = [
        asset.settings for asset in application.assets if asset.type == "PodDisruptionBudget"
    ]
    for f in application.functions:
        several = (number(at(f.setting("object"), "spec", "replicas")) or 1) > 1
        if several and not any(
            namespace_of(f.setting("object")) == namespace_of(one)
            and selects(at(one, "spec", "selector"), f.setting("labels"))
            for one in budgets
        ):
            told = f"{f.name}: draining machines may end all of its pods at once"
            yield Hit(place=f.place, text=told, subject=f.name, function=f)


_rule = entries(Risk.PERMISSIONS, "SAS-05", cwe=269, attack="T1078.004")
_NET = "networking.k8s.io/v1"
_POLICY = (
    f"apiVersion: {_NET}\nkind: NetworkPolicy\nmetadata: {{name: thing}}\nspec:\n"
    "  podSelector: {matchLabels: {app: thing}}\n  policyTypes: [Ingress, Egress]\n"
)


RULES = (
    _rule(
        "KUB-020",
        "Every pod of the cluster can reach it",
        _S.MEDIUM,
        "Without a network policy, whoever takes over one pod can connect to all others.",
        "Add a NetworkPolicy that selects it and names who may connect.",
        _isolation("Ingress", "no NetworkPolicy here says who may connect to it"),
        workload(),
        workload(more=_POLICY),
        1125,
        risk=Risk.RESPONSIBILITY,
        owasp="SAS-06",
        attack="T1046",
    ),
    _rule(
        "KUB-021",
        "It can reach everything",
        _S.LOW,
        "Stolen data can be sent anywhere, and it can reach the cloud's metadata.",
        "Add a NetworkPolicy with the type Egress that names where it may connect.",
        _isolation("Egress", "no NetworkPolicy here says where it may connect"),
        workload(),
        workload(more=_POLICY),
        1125,
        risk=Risk.RESPONSIBILITY,
        owasp="SAS-06",
        attack="T1041",
    ),
    _rule(
        "KUB-022",
        "Network policy that lets everybody in",
        _S.LOW,
        "It looks like a protection and is none.",
        "Name who may connect (from), and to which port.",
        of_objects(_open_policy, "NetworkPolicy"),
        manifest("NetworkPolicy", _NET, "spec:\n  podSelector: {}\n  ingress:\n    - {}"),
        manifest(
            "NetworkPolicy",
            _NET,
            "spec:\n  podSelector: {}\n  ingress:\n    - from: [{podSelector: {}}]",
        ),
        1125,
        risk=Risk.RESPONSIBILITY,
        owasp="SAS-06",
        attack="T1046",
    ),
    _rule(
        "KUB-023",
        "Cloud metadata in reach",
        _S.MEDIUM,
        "There it gets the machine's credentials, which may allow more than its own.",
        "Exclude 169.254.0.0/16 (except).",
        of_objects(_metadata, "NetworkPolicy"),
        manifest(
            "NetworkPolicy",
            _NET,
            "spec:\n  podSelector: {}\n  egress:\n    - to: [{ipBlock: {cidr: 0.0.0.0/0}}]",
        ),
        manifest(
            "NetworkPolicy",
            _NET,
            "spec:\n  podSelector: {}\n  egress:\n"
            "    - to: [{ipBlock: {cidr: 0.0.0.0/0, except: [169.254.0.0/16]}}]",
        ),
        918,
        risk=Risk.RESPONSIBILITY,
        owasp="SAS-06",
        attack="T1552.005",
    ),
    _rule(
        "KUB-024",
        "Ingress without TLS",
        _S.MEDIUM,
        "Anybody on the network path can read and change calls and answers.",
        "Set tls with a certificate.",
        of_objects(_plain, "Ingress"),
        manifest("Ingress", _NET, "spec:\n  rules:\n    - host: shop.example.org"),
        manifest(
            "Ingress",
            _NET,
            "spec:\n  tls:\n    - {hosts: [shop.example.org], secretName: shop}\n"
            "  rules:\n    - host: shop.example.org",
        ),
        319,
        risk=Risk.RESPONSIBILITY,
        owasp="SAS-03",
        attack="T1040",
    ),
    _rule(
        "KUB-025",
        "Code in the ingress controller",
        _S.MEDIUM,
        "Whoever may write the object can read all secrets that the controller may read "
        "(CVE-2021-25742).",
        "Remove the snippets, and forbid them in the controller.",
        of_objects(_snippets, "Ingress"),
        manifest(
            "Ingress",
            _NET,
            "  annotations:\n    nginx.ingress.kubernetes.io/server-snippet: return 200;\n"
            "spec:\n  tls: [{secretName: shop}]",
        ),
        manifest("Ingress", _NET, "spec:\n  tls: [{secretName: shop}]"),
        94,
    ),
    _rule(
        "KUB-026",
        "Service reachable from outside the cluster",
        _S.LOW,
        "Everybody can reach it. A database or a shell must not be reachable from outside.",
        "Use ClusterIP behind an Ingress with TLS, or set loadBalancerSourceRanges.",
        of_objects(_outside, "Service"),
        manifest("Service", "v1", "spec:\n  type: LoadBalancer\n  ports: [{port: 443}]"),
        manifest("Service", "v1", "spec:\n  type: ClusterIP\n  ports: [{port: 443}]"),
        668,
        risk=Risk.RESPONSIBILITY,
        owasp="SAS-06",
        attack="T1133",
    ),
    _rule(
        "KUB-027",
        "External addresses",
        _S.MEDIUM,
        "Whoever may write the object can take traffic for that address (CVE-2020-8554).",
        "Remove externalIPs.",
        of_objects(_addresses, "Service"),
        manifest("Service", "v1", "spec:\n  externalIPs: [198.51.100.7]\n  ports: [{port: 443}]"),
        manifest("Service", "v1", "spec:\n  ports: [{port: 443}]"),
        668,
        attack="T1557",
    ),
    _rule(
        "KUB-040",
        "Secret in a manifest",
        _S.HIGH,
        "Base64 hides nothing: whoever reads the repository, or its history, has it.",
        "Create it outside of the repository, or seal it (SOPS, Sealed Secrets, an operator).",
        of_objects(_written, "Secret"),
        manifest("Secret", "v1", "data: {password: aHVudGVyMi1odW50ZXIy}"),
        manifest("Secret", "v1", "stringData: {password: '${PASSWORD}'}"),
        798,
        risk=Risk.RESPONSIBILITY,
        owasp="SAS-03",
        attack="T1552.001",
    ),
    _rule(
        "KUB-041",
        "Secret in a ConfigMap",
        _S.MEDIUM,
        "ConfigMaps are read by more people and programs than Secrets, and are not encrypted.",
        "Put it into a Secret that is created outside of the repository.",
        of_objects(_map, "ConfigMap"),
        manifest("ConfigMap", "v1", "data: {DB_PASSWORD: hunter2-hunter2}"),
        manifest("ConfigMap", "v1", "data: {DB_PASSWORD_FILE: /run/secrets/db}"),
        312,
        risk=Risk.RESPONSIBILITY,
        owasp="SAS-03",
        attack="T1552.001",
    ),
    _rule(
        "KUB-042",
        "Namespace that accepts every pod",
        _S.LOW,
        "Whoever may create a pod there can create a privileged one.",
        "Set the label pod-security.kubernetes.io/enforce: restricted, or baseline.",
        of_objects(_level, "Namespace"),
        manifest("Namespace", "v1", "  labels: {pod-security.kubernetes.io/enforce: privileged}"),
        manifest("Namespace", "v1", "  labels: {pod-security.kubernetes.io/enforce: restricted}"),
        732,
        risk=Risk.RESPONSIBILITY,
        owasp="SAS-06",
        attack="T1610",
    ),
    _rule(
        "KUB-043",
        "All pods may end at once",
        _S.INFO,
        "When machines are drained for an upgrade, nothing answers.",
        "Add a PodDisruptionBudget.",
        _undisturbed,
        {
            "deployment.yaml": workload()["deployment.yaml"].replace(
                "spec:\n  selector", "spec:\n  replicas: 3\n  selector", 1
            )
        },
        workload(
            more="apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: thing}\n"
            "spec:\n  maxUnavailable: 1\n  selector: {matchLabels: {app: thing}}"
        ),
        693,
        risk=Risk.MONITORING,
        owasp="SAS-10",
        attack="T1499",
    ),
)
