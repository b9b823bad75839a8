"""The manifests for Kubernetes say what the command takes, and open nothing by accident."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from casemate.cli.commands import serve
from casemate.kernel import numbers_x86_64 as numbers
from casemate.model.processes import DATABASES_VARIABLE, OBJECTS_VARIABLE, STORE_VARIABLE
from casemate.supervisor.function_ids import NESTED_LEAST, parse_range
from casemate.vault.sources import parse_source
from support.manifests import with_databases

FOLDER = Path(__file__).parents[3] / "deploy/kubernetes"
DOCUMENTS: list[dict[str, Any]] = [
    document
    for path in sorted(FOLDER.glob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text())
]
LABEL = {"app.kubernetes.io/name": "casemate"}


def one(kind: str, name: str = "casemate") -> dict[str, Any]:
    [found] = [d for d in DOCUMENTS if d["kind"] == kind and d["metadata"]["name"] == name]
    return found


@pytest.fixture
def pod() -> dict[str, Any]:
    return one("StatefulSet")["spec"]["template"]["spec"]


@pytest.fixture
def container(pod: dict[str, Any]) -> dict[str, Any]:
    [found] = pod["containers"]
    return found


@pytest.fixture
def options(container: dict[str, Any]) -> dict[str, Any]:
    """What `serve` reads of the arguments; it raises for one that it does not have."""
    command, *arguments = container["args"]
    assert command == "serve"
    return typer.main.get_command(serve.app).make_context("serve", arguments).params


def test_kustomize_lists_every_file() -> None:
    listed = next(d for d in DOCUMENTS if d["kind"] == "Kustomization")["resources"]
    assert sorted(listed) == sorted(
        {p.name for p in FOLDER.glob("*.yaml")} - {"kustomization.yaml"}
    )


def test_every_option_is_one_of_the_command(options: dict[str, Any]) -> None:
    assert options["encrypted_disks"] and not options["accept_risk"] and not options["accept_loss"]
    parse_source(options["master_key"])
    ids = parse_range(options["function_ids"], NESTED_LEAST)
    assert ids.uid + ids.count <= 65_536, "a pod has no more ids"


def test_no_secret_is_in_an_argument_or_a_plain_variable(container: dict[str, Any]) -> None:
    plain = {each["name"]: each["value"] for each in container["env"] if "value" in each}
    assert plain == {STORE_VARIABLE: "file:/etc/casemate/store-url"}
    secret = {
        each["name"] for each in container["env"] if "secretKeyRef" in each.get("valueFrom", {})
    }
    assert secret == {OBJECTS_VARIABLE, "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
    assert not any(document["kind"] == "Secret" for document in DOCUMENTS)


def test_secrets_are_files_that_a_node_takes(
    pod: dict[str, Any], container: dict[str, Any], options: dict[str, Any]
) -> None:
    """A regular file that nobody else reads: mounted by subPath, by mode 0400, without fsGroup."""
    mounts = {each["mountPath"]: each for each in container["volumeMounts"]}
    volumes = {each["name"]: each for each in pod["volumes"]}
    store = next(each["value"] for each in container["env"] if each["name"] == STORE_VARIABLE)
    for source in (options["master_key"], store):
        mount = mounts[source.removeprefix("file:")]
        assert mount["subPath"] and mount["readOnly"]
        assert volumes[mount["name"]]["secret"]["defaultMode"] == 0o400
    assert "fsGroup" not in pod["securityContext"]
    folder = str(options["tls_cert"].parent)
    assert volumes[mounts[folder]["name"]]["secret"]["defaultMode"] == 0o400


def test_other_databases_come_as_a_file_that_a_node_takes() -> None:
    found = with_databases()["spec"]["template"]["spec"]
    [container] = found["containers"]
    [named] = [each for each in container["env"] if each["name"] == DATABASES_VARIABLE]
    [mount] = [each for each in container["volumeMounts"] if each["mountPath"] == named["value"]]
    assert mount["subPath"] and mount["readOnly"]
    [volume] = [each for each in found["volumes"] if each["name"] == mount["name"]]
    assert volume["secret"]["defaultMode"] == 0o400
    assert container["image"] and len(container["env"]) == 5, "all else is as it was"


def test_root_is_nobody_on_the_host_and_has_what_was_measured(
    pod: dict[str, Any], container: dict[str, Any]
) -> None:
    assert pod["hostUsers"] is False and pod["automountServiceAccountToken"] is False
    assert not any(pod.get(name) for name in ("hostNetwork", "hostPID", "hostIPC"))
    assert not any("hostPath" in volume for volume in pod["volumes"])
    context = container["securityContext"]
    assert context["readOnlyRootFilesystem"] is True and not context.get("privileged")
    assert context["capabilities"]["drop"] == ["ALL"]
    assert context["capabilities"]["add"] == [
        *("CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "SETGID", "SETUID", "SYS_ADMIN", "SYS_PTRACE")
    ]
    assert container["resources"]["limits"]["memory"] and "@sha256:" in container["image"]


def test_a_node_finds_its_own_folder_again(
    container: dict[str, Any], options: dict[str, Any]
) -> None:
    [claim] = one("StatefulSet")["spec"]["volumeClaimTemplates"]
    assert claim["spec"]["accessModes"] == ["ReadWriteOncePod"]
    mounts = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
    # Below the volume, whose top belongs to it (lost+found).
    assert Path(options["data"]).parent == Path(mounts[claim["metadata"]["name"]])


def test_calls_that_run_have_the_time_to_end(
    pod: dict[str, Any], container: dict[str, Any]
) -> None:
    pause = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    probe = container["readinessProbe"]
    assert probe["httpGet"]["path"] == "/api/v1/ready"
    assert pause >= probe["periodSeconds"] * probe["failureThreshold"]
    assert pod["terminationGracePeriodSeconds"] >= pause + 30 + 30


def test_everything_is_denied_but_what_is_named() -> None:
    policy = one("NetworkPolicy", "default-deny")["spec"]
    assert policy == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    own = one("NetworkPolicy")["spec"]
    assert own["podSelector"]["matchLabels"] == LABEL
    assert all(rule.get("from") and rule["ports"] for rule in own["ingress"])
    assert all(rule.get("to") and rule["ports"] for rule in own["egress"])
    for rule in own["egress"]:
        for block in (to["ipBlock"] for to in rule["to"] if "ipBlock" in to):
            if block["cidr"].endswith("/0"):
                assert "169.254.0.0/16" in block["except"] and "10.0.0.0/8" in block["except"]


def test_one_node_at_a_time_is_taken_away() -> None:
    assert one("PodDisruptionBudget")["spec"]["maxUnavailable"] == 1
    assert one("StatefulSet")["spec"]["replicas"] >= 3
    for kind in ("StatefulSet", "PodDisruptionBudget"):
        assert one(kind)["spec"]["selector"]["matchLabels"] == LABEL


def test_the_profile_forbids_the_machine_and_not_the_sandbox() -> None:
    profile = json.loads((FOLDER / "seccomp.json").read_text())
    [denied] = profile["syscalls"]
    assert denied["action"] == "SCMP_ACT_ERRNO"
    assert {"init_module", "kexec_load", "reboot", "bpf", "settimeofday"} <= set(denied["names"])
    needed = {"unshare", "mount", "pivot_root", "setns", "seccomp", "ptrace", "clone", "open_tree"}
    assert needed.isdisjoint(denied["names"])
    assert denied["names"] == sorted(set(denied["names"]))
    assert "pivot_root" in numbers.CALLS
