"""Manifests of Kubernetes into the model, and rules over whatever stands in them."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from casemate.audit.auditing import Options, applications_of, audit
from casemate.audit.code.reading import Code
from casemate.audit.documents import List, Map
from casemate.audit.importers.kubernetes import Kubernetes
from casemate.audit.importers.port import Source
from casemate.audit.model import Application, Platform, Reach
from casemate.audit.rule import Subject
from casemate.audit.rules import kubernetes_cluster, kubernetes_pods, kubernetes_rights
from casemate.audit.rules.examples import workload
from casemate.audit.workspace import Workspace

OWN = Path(__file__).parents[3] / "deploy/kubernetes"
RULES = (*kubernetes_pods.RULES, *kubernetes_cluster.RULES, *kubernetes_rights.RULES)
POLICY = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: all}
spec: {podSelector: {}, policyTypes: [Ingress, Egress]}
"""
SERVICE = """\
apiVersion: v1
kind: Service
metadata: {name: thing}
spec: {selector: {app: thing}}
"""
INGRESS = """\
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: thing}
spec:
  rules: [{http: {paths: [{path: /, backend: {service: {name: thing, port: {number: 80}}}}]}}]
"""


def imported(files: dict[str, str]) -> list[Application]:
    return [
        each
        for each in applications_of(Workspace.of(files))
        if each.platform is Platform.KUBERNETES
    ]


def found(files: dict[str, str]) -> set[str]:
    workspace = Workspace.of(files)
    return {
        finding.rule
        for application in applications_of(workspace)
        for rule in RULES
        for finding in rule.findings(Subject(application, workspace, Code(workspace)))
    }


def test_a_folder_is_one_application_and_another_folder_another() -> None:
    pods = workload()["deployment.yaml"]
    together = imported({"a/deployment.yaml": pods, "a/policy.yaml": POLICY})
    assert [(len(one.functions), len(one.assets)) for one in together] == [(1, 1)]
    assert "KUB-020" not in found({"a/deployment.yaml": pods, "a/policy.yaml": POLICY})
    assert "KUB-020" in found({"a/deployment.yaml": pods, "b/policy.yaml": POLICY})


@pytest.mark.parametrize(
    ("more", "reach"),
    [
        ("", Reach.INTERNAL),
        (f"---\n{SERVICE}", Reach.INTERNAL),
        (f"---\n{SERVICE}".replace("spec: {", "spec: {type: LoadBalancer, "), Reach.PUBLIC),
        (f"---\n{SERVICE}---\n{INGRESS}", Reach.PUBLIC),
    ],
)
def test_who_reaches_a_pod_is_told_by_what_leads_to_it(more: str, reach: Reach) -> None:
    [application] = imported({"all.yaml": workload()["deployment.yaml"] + more})
    assert application.functions[0].reach is reach


def test_changes_of_a_kustomization_are_no_objects() -> None:
    files = {
        "k/kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"
        "patches: [{path: patch.yaml}]\n",
        "k/patch.yaml": workload()["deployment.yaml"],
    }
    assert imported(files) == []
    assert len(imported({"k/patch.yaml": files["k/patch.yaml"]})) == 1


def test_lists_and_cron_jobs_have_their_pods() -> None:
    pod = "{metadata: {labels: {app: x}}, spec: {hostPID: true, containers: [{name: c}]}}"
    text = (
        "apiVersion: v1\nkind: List\nitems:\n- apiVersion: batch/v1\n  kind: CronJob\n"
        f"  metadata: {{name: x}}\n  spec: {{jobTemplate: {{spec: {{template: {pod}}}}}}}\n"
    )
    [application] = imported({"list.yaml": text})
    assert [t.kind for t in application.functions[0].triggers] == ["schedule"]
    assert "KUB-005" in found({"list.yaml": text})


def test_code_beside_manifests_is_still_looked_at() -> None:
    files = {**workload(), "app.py": "import os\ndef f(x):\n    os.system(x)\n"}
    assert {each.platform for each in applications_of(Workspace.of(files))} == {
        Platform.KUBERNETES,
        Platform.CODE,
    }


def test_services_of_knative_are_not_taken_for_others() -> None:
    text = "apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {name: x}\n"
    assert imported({"service.yaml": text}) == []
    assert len(imported({"service.yaml": f"{text}---\n{POLICY}"})) == 1


def test_rights_over_kinds_of_others_are_not_those_over_all() -> None:
    role = (
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: x}\n"
        "rules: [{apiGroups: [custom.metrics.k8s.io], resources: ['*'], verbs: ['*']}]\n"
    )
    workspace = Workspace.of({"role.yaml": role})
    [application] = applications_of(workspace)
    subject = Subject(application, workspace, Code(workspace))
    hits = [f for rule in RULES for f in rule.findings(subject)]
    assert [(f.rule, f.severity.value) for f in hits] == [("KUB-030", "low")]


def test_our_own_manifests_have_nothing_wrong_that_is_not_accepted_with_a_reason() -> None:
    report = audit(OWN, Options(today="2026-11-28"))
    assert report.findings == () and report.unresolved == ()
    assert {each.finding.rule for each in report.accepted} == {
        *("KUB-002", "KUB-007", "KUB-010", "KUB-015", "KUB-042"),
    }


# -- hostile manifests ---------------------------------------------------------------------------

ODD: tuple[Any, ...] = (None, "", "x", 7, -1.5, True, [], [[]], [None], {}, {"a": None}, "ä" * 99)


def own_objects() -> list[Any]:
    return [
        one
        for path in sorted(OWN.glob("*.yaml"))
        for one in yaml.safe_load_all(path.read_text())
        if one["kind"] != "Kustomization"
    ]


def placed(value: Any) -> Any:
    """Return a value as the reader of documents makes it."""
    if isinstance(value, dict):
        made = Map("own.yaml", 1)
        for key, each in value.items():
            made[str(key)] = placed(each)
            made.places[str(key)] = (1, 1)
        return made
    if isinstance(value, list):
        items = List("own.yaml", 1)
        items.extend(map(placed, value))
        items.places = [(1, 1)] * len(value)
        return items
    return value


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, each in items:
        yield (*path, key)
        if isinstance(each, (dict, list)):
            yield from paths(each, (*path, key))


def test_whatever_stands_anywhere_nothing_fails() -> None:
    objects, chance = own_objects(), random.Random(7)
    every = list(paths(objects))
    workspace, importer = Workspace.of({}), Kubernetes()
    code = Code(workspace)
    for number in range(120):
        changed = copy.deepcopy(objects)
        for _ in range(1 + number % 3):
            *way, last = chance.choice(every)
            holder = changed
            try:
                for key in way:
                    holder = holder[key]
                holder[last] = chance.choice(ODD)
            except (LookupError, TypeError):
                continue  # something else is there already
        source = Source("own.yaml", tuple(placed(changed)))
        assert importer.recognises(source)
        for application in importer.read(source, workspace):
            for rule in RULES:
                for finding in rule.findings(Subject(application, workspace, code)):
                    assert len(finding.text) < 500
