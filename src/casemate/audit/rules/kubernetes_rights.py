"""Rules about roles of Kubernetes: who may do what by the API of the cluster."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from typing import Any

from casemate.audit.documents import Map, place_of
from casemate.audit.finding import Severity
from casemate.audit.importers.aws.resource import at, listed, text
from casemate.audit.model import Application, Asset, Place
from casemate.audit.rule import Hit, Risk, Subject, entries
from casemate.audit.rules.examples import manifest
from casemate.audit.rules.kubernetes_cluster import Told, of_objects

_S = Severity
_GROUP = "rbac.authorization.k8s.io"
_ROLES = ("Role", "ClusterRole")
_BINDINGS = ("RoleBinding", "ClusterRoleBinding")


_OWN_GROUPS = frozenset(("", "*", "apps", "batch", _GROUP))


def _rules(asset: Asset, *, any_group: bool = False) -> Iterator[tuple[set[str], set[str], Place]]:
    """Yield verbs and resources of a role; names of single objects are no grant of all.

    Kinds of others, which are not in the groups of Kubernetes itself, are left out by default.
    """
    rules = asset.settings.get("rules")
    for index, rule in enumerate(listed(rules)):
        groups = {text(one) for one in listed(at(rule, "apiGroups"))}
        named = bool(listed(at(rule, "resourceNames")))
        if isinstance(rule, Map) and not named and (any_group or groups & _OWN_GROUPS):
            yield (
                {text(one) for one in listed(rule.get("verbs"))},
                {text(one) for one in listed(rule.get("resources"))},
                place_of(rules, index),
            )


def _wildcards(asset: Asset, _application: Application) -> Iterator[Told]:
    own = {place for _, _, place in _rules(asset)}
    for verbs, resources, place in _rules(asset, any_group=True):
        if place not in own:
            if "*" in verbs and "*" in resources:
                yield "every action on kinds of others is allowed", place, _S.LOW
        elif "*" in verbs and "*" in resources:
            yield "every action on everything is allowed", place, None
        elif "*" in verbs or "*" in resources:
            what = (
                "every action on what it names is allowed" if "*" in verbs else "it names all kinds"
            )
            yield what, place, _S.MEDIUM


def _has(verbs: set[str], *wanted: str) -> list[str]:
    return [one for one in wanted if one in verbs]


def _escalates(asset: Asset, _application: Application) -> Iterator[Told]:
    roles = {"roles", "clusterroles", "rolebindings", "clusterrolebindings"}
    for verbs, resources, place in _rules(asset):
        if found := _has(verbs, "escalate", "bind"):
            yield f"its holder may take any right ({', '.join(found)})", place, None
        if "impersonate" in verbs:
            yield "its holder may act as others (impersonate)", place, None
        if resources & roles and (found := _has(verbs, "create", "update", "patch")):
            yield f"its holder may write rights ({', '.join(found)})", place, _S.MEDIUM


def _reads_secrets(asset: Asset, _application: Application, bound: _Bound) -> Iterator[Told]:
    wide = asset.type == "ClusterRole" and bound.get(asset.name) != {"RoleBinding"}
    for verbs, resources, place in _rules(asset):
        if "secrets" in resources and (found := _has(verbs, "get", "list", "watch", "*")):
            where = "of the whole cluster" if wide else "of its namespace"
            severity = _of_operator(asset) if wide else _S.MEDIUM
            yield f"all secrets {where} can be read ({', '.join(found)})", place, severity


_Bound = dict[str, set[str]]
"""By which kinds of bindings each role is bound here."""


def _readers(subject: Subject) -> Iterator[Hit]:
    bound = defaultdict[str, set[str]](set)
    for each in subject.application.assets:
        if each.type in _BINDINGS:
            bound[text(at(each.settings, "roleRef", "name"))].add(each.type)
    yield from of_objects(partial(_reads_secrets, bound=bound), *_ROLES)(subject)


_VERSION, _PART = "app.kubernetes.io/version", "app.kubernetes.io/part-of"


def _of_operator(asset: Asset) -> Severity | None:
    """Return how grave a right is that a released operator needs everywhere, as its labels say.

    Who installs it cannot narrow it; that it is there is told all the same.
    """
    labels = at(asset.settings, "metadata", "labels")
    keys = {str(key) for key in labels} if isinstance(labels, Map) else set[str]()
    groups = {
        text(group)
        for rule in listed(asset.settings.get("rules"))
        for group in listed(at(rule, "apiGroups"))
    }
    own = any("." in each and not each.endswith(".k8s.io") for each in groups)
    released = _PART in keys or (own and _VERSION in keys)
    return _S.MEDIUM if released and asset.type == "ClusterRole" else None


_TO_MACHINE = {
    "pods/exec": "run programs in every pod",
    "pods/attach": "speak to every pod's program",
    "pods/ephemeralcontainers": "put containers into every pod",
    "nodes/proxy": "ask every kubelet",
    "serviceaccounts/token": "make tokens of every account",
    "persistentvolumes": "mount folders of machines",
}
_TO_PODS = ("pods", "deployments", "daemonsets", "statefulsets", "jobs", "cronjobs", "replicasets")


def _takes_over(asset: Asset, _application: Application) -> Iterator[Told]:
    for verbs, resources, place in _rules(asset):
        if not _has(verbs, "create", "update", "patch", "get", "*"):
            continue
        writes = _has(verbs, "create", "update", "patch", "*")
        for name, what in _TO_MACHINE.items():
            if name in resources and (writes or name in ("pods/exec", "nodes/proxy")):
                needed = name == "serviceaccounts/token"
                severity = _of_operator(asset) if needed else None
                yield f"its holder may {what} ({name})", place, severity
        if writes and (found := [one for one in _TO_PODS if one in resources]):
            what = f"its holder may run pods as any account there ({', '.join(found)})"
            yield what, place, _S.MEDIUM


_EVERYBODY = ("system:anonymous", "system:unauthenticated", "system:authenticated")


def _bound(asset: Asset, _application: Application, told: set[str]) -> Iterator[Told]:
    role = text(at(asset.settings, "roleRef", "name"))
    severity = _S.LOW if f"{text(at(asset.settings, 'roleRef', 'kind'))} {role}" in told else None
    subjects = asset.settings.get("subjects")
    for index, one in enumerate(listed(subjects)):
        name = text(at(one, "name"))
        if name in _EVERYBODY or name == "system:serviceaccounts":
            who = "everybody" if name in _EVERYBODY else "every account"
            what = f"{who} has the role {role[:64]} ({name})"
            yield what, place_of(subjects, index), severity or _S.CRITICAL


def _everybody(subject: Subject) -> Iterator[Hit]:
    """Find what everybody has; roles that read named settings alone tell nobody anything."""
    told = {
        f"{each.type} {each.name}"
        for each in subject.application.assets
        if each.type in _ROLES and _tells_settings(each)
    }
    yield from of_objects(partial(_bound, told=told), *_BINDINGS)(subject)


def _tells_settings(asset: Asset) -> bool:
    """Tell whether a role reads named ConfigMaps and nothing else."""
    rules = listed(asset.settings.get("rules"))
    return bool(rules) and all(
        listed(at(rule, "resourceNames"))
        and {text(one) for one in listed(at(rule, "resources"))} == {"configmaps"}
        and {text(one) for one in listed(at(rule, "verbs"))} <= {"get", "list", "watch"}
        for rule in rules
    )


def _masters(asset: Asset, _application: Application) -> Iterator[Told]:
    subjects = asset.settings.get("subjects")
    role = text(at(asset.settings, "roleRef", "name"))
    if role in ("cluster-admin", "admin", "edit") and asset.type == "ClusterRoleBinding":
        names = ", ".join(text(at(one, "name"))[:64] for one in listed(subjects)[:5])
        severity = None if role == "cluster-admin" else _S.MEDIUM
        yield f"{names} may do all that {role} may, everywhere", asset.place, severity


def _default(asset: Asset, _application: Application) -> Iterator[Told]:
    subjects = asset.settings.get("subjects")
    for index, one in enumerate(listed(subjects)):
        if at(one, "kind") == "ServiceAccount" and at(one, "name") == "default":
            what = "every pod that names no account has its rights"
            yield what, place_of(subjects, index), None


_rule = entries(Risk.PERMISSIONS, "SAS-05", cwe=269, attack="T1078.004")
_RBAC = "rbac.authorization.k8s.io/v1"


def _role(verbs: str, resources: str, more: str = "", kind: str = "ClusterRole") -> Any:
    body = f"rules:\n  - apiGroups: ['', rbac.authorization.k8s.io]\n    verbs: [{verbs}]\n    resources: [{resources}]\n{more}"
    return manifest(kind, _RBAC, body)


def _binding(role: str, subject: str, kind: str = "ClusterRoleBinding") -> Any:
    ref = f"roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {role}}}\n"
    return manifest(kind, _RBAC, f"{ref}subjects:\n  - {subject}")


_ACCOUNT = "{kind: ServiceAccount, name: thing, namespace: shop}"

RULES = (
    _rule(
        "KUB-030",
        "Role for everything",
        _S.HIGH,
        "Whoever takes over one of its holders gets every right that the role names, "
        "including on what is added later.",
        "Name verbs and resources.",
        of_objects(_wildcards, *_ROLES),
        _role("'*'", "'*'"),
        _role("get, list", "configmaps"),
    ),
    _rule(
        "KUB-031",
        "Role that can grant rights",
        _S.HIGH,
        "Its holder can grant itself every other right.",
        "Remove escalate, bind and impersonate. Let people grant rights, not programs.",
        of_objects(_escalates, *_ROLES),
        _role("bind, escalate", "clusterroles"),
        _role("get, list", "clusterroles"),
    ),
    _rule(
        "KUB-032",
        "Role that reads all secrets",
        _S.HIGH,
        "They include the tokens and passwords of everything there.",
        "Name the secrets that are needed (resourceNames), with get only.",
        _readers,
        _role("get, list", "secrets"),
        _role("get", "secrets", "    resourceNames: [thing]\n", "Role"),
        522,
        attack="T1552.007",
    ),
    _rule(
        "KUB-033",
        "Role that leads into pods or machines",
        _S.HIGH,
        "Its holder can become what runs there, with all of its rights.",
        "Remove it; a controller needs only its own kinds.",
        of_objects(_takes_over, *_ROLES),
        _role("create", "pods/exec"),
        _role("get, list", "pods"),
        attack="T1609",
    ),
    _rule(
        "KUB-034",
        "Rights for everybody",
        _S.CRITICAL,
        "Everybody who reaches the cluster's API has the role, signed in or not.",
        "Bind it to named accounts.",
        _everybody,
        _binding("view", "{kind: Group, name: system:unauthenticated}"),
        _binding("view", _ACCOUNT),
        306,
        owasp="SAS-02",
    ),
    _rule(
        "KUB-035",
        "Cluster administrator",
        _S.HIGH,
        "Whoever takes over its holder has the cluster.",
        "Bind a role with only what is needed, in one namespace.",
        of_objects(_masters, *_BINDINGS),
        _binding("cluster-admin", _ACCOUNT),
        _binding("view", _ACCOUNT),
    ),
    _rule(
        "KUB-036",
        "Rights of the default account",
        _S.MEDIUM,
        "Pods that nobody thought of have them as well.",
        "Create an account for the pods that need it.",
        of_objects(_default, *_BINDINGS),
        _binding("view", "{kind: ServiceAccount, name: default, namespace: shop}", "RoleBinding"),
        _binding("view", _ACCOUNT, "RoleBinding"),
    ),
)
