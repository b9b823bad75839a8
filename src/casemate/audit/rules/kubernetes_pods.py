"""Rules about the pods of Kubernetes: what a container may do to its machine, and to its cluster."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from casemate.audit.documents import Map, place_of
from casemate.audit.finding import Severity
from casemate.audit.importers.aws.resource import at, listed, number, text, truth
from casemate.audit.model import Function, Place, Platform
from casemate.audit.rule import Check, Hit, Risk, Subject, entries
from casemate.audit.rules.common import moving_image
from casemate.audit.rules.examples import workload

_S = Severity
Wrong = Callable[[Function, Map], Iterator[tuple[str, Place, Severity | None]]]


def of_pods(
    wrong: Callable[[Function, Map], Iterator[tuple[str, Place, Severity | None]]],
) -> Check:
    """Return a check of all pods: `wrong` yields what is wrong with one, where, and how grave."""

    def check(subject: Subject) -> Iterator[Hit]:
        if subject.application.platform is not Platform.KUBERNETES:
            return
        for f in subject.application.functions:
            for told, place, severity in wrong(f, f.setting("pod")):
                yield Hit(
                    place=place,
                    text=f"{f.name}: {told}",
                    subject=f"{f.name} {told}"[:200],
                    function=f,
                    severity=severity,
                )

    return check


def of_containers(wrong: Wrong) -> Check:
    """Return a check of all containers of all pods."""

    def each(f: Function, _pod: Map) -> Iterator[tuple[str, Place, Severity | None]]:
        for container in f.setting("containers"):
            name = text(container.get("name"))[:64]
            for told, place, severity in wrong(f, container):
                yield f"the container {name} {told}", place, severity

    return of_pods(each)


def _own(container: Map, *path: str) -> Place:
    """Return where a setting of a container stands: the nearest that is there."""
    found: Any = container
    place = Place(container.file, container.line)
    for key in path:
        if not isinstance(found, Map) or key not in found:
            break
        place = place_of(found, key)
        found = found[key]
    return place


def _set(f: Function, container: Map, key: str) -> Any:
    """Return a setting that a container has, or its pod for all."""
    found = at(container, "securityContext", key)
    return found if found is not None else at(f.setting("pod"), "securityContext", key)


def _is_apart(f: Function) -> bool:
    """Tell whether the pod has a user namespace: root of it is nobody on the machine."""
    return f.setting("pod").get("hostUsers") is False


def _privileged(_f: Function, c: Map) -> Iterator[tuple[str, Place, Severity | None]]:
    if truth(at(c, "securityContext", "privileged")):
        yield (
            "has all rights of the machine's root",
            _own(c, "securityContext", "privileged"),
            None,
        )
    if truth(at(c, "securityContext", "windowsOptions", "hostProcess")):
        yield "runs as a process of the machine", _own(c, "securityContext", "windowsOptions"), None


_GRAVE = frozenset(
    (
        *(
            "ALL",
            "SYS_ADMIN",
            "SYS_PTRACE",
            "SYS_MODULE",
            "SYS_RAWIO",
            "SYS_BOOT",
            "BPF",
            "NET_ADMIN",
        ),
        *("DAC_READ_SEARCH", "DAC_OVERRIDE", "PERFMON", "MAC_ADMIN", "MAC_OVERRIDE", "SYSLOG"),
    )
)


def _capabilities(f: Function, c: Map) -> Iterator[tuple[str, Place, Severity | None]]:
    added = [text(one).upper().removeprefix("CAP_") for one in _list(c, "add")]
    grave = [one for one in added if one in _GRAVE]
    if grave:
        where = _own(c, "securityContext", "capabilities", "add")
        apart = " in its own user namespace" if _is_apart(f) else ""
        yield f"gets {', '.join(grave)}{apart}", where, _S.LOW if apart else None


def _list(c: Map, key: str) -> list[Any]:
    return listed(at(c, "securityContext", "capabilities", key))


def _kept(_f: Function, c: Map) -> Iterator[tuple[str, Place, Severity | None]]:
    dropped = {text(one).upper() for one in _list(c, "drop")}
    if "ALL" not in dropped and not truth(at(c, "securityContext", "privileged")):
        yield (
            "keeps the runtime's default capabilities",
            _own(c, "securityContext", "capabilities", "drop"),
            None,
        )


_CRITICAL_PATHS = re.compile(
    r"/?\Z|/(?:etc|root|home|boot|dev|proc|sys|usr|bin|lib|sbin|var)/?\Z|/(?:etc|root|proc|sys)/"
    r"|/var/lib/(?:kubelet|docker|containerd|etcd|rancher)|/(?:var/)?run/?\Z"
    r"|[\w/.-]{0,100}(?:docker|containerd|crio|podman|dockershim)\.sock\Z"
)


def _host_paths(f: Function, pod: Map) -> Iterator[tuple[str, Place, Severity | None]]:
    volumes = listed(pod.get("volumes"))
    for index, volume in enumerate(volumes):
        path = text(at(volume, "hostPath", "path"))
        if path:
            name = text(at(volume, "name"))
            read = _only_read(f, name, path)
            grave = _CRITICAL_PATHS.match(path) and not (read and _is_nobody(f))
            severity = _S.CRITICAL if grave and not read else None
            yield (
                f"{path[:80]} of the machine is mounted{' for reading' if read else ''}",
                place_of(pod["volumes"], index),
                _S.MEDIUM if read and not grave else severity,
            )


def _is_nobody(f: Function) -> bool:
    """Tell whether all containers run as a user whom the machine lets see what everybody may.

    Such a one reads no file of root, and of the processes of others neither memory nor variables.
    """
    return all(
        (truth(_set(f, c, "runAsNonRoot")) or (number(_set(f, c, "runAsUser")) or 0) > 0)
        and number(_set(f, c, "runAsUser")) != 0
        and not truth(at(c, "securityContext", "privileged"))
        and not {text(one).upper().removeprefix("CAP_") for one in _list(c, "add")} & _GRAVE
        for c in f.setting("containers")
    )


def _only_read(f: Function, volume: str, path: str) -> bool:
    """Tell whether all containers mount it read-only, and it is no socket, which is asked."""
    mounts = [
        mount
        for container in f.setting("containers")
        for mount in listed(container.get("volumeMounts"))
        if at(mount, "name") == volume
    ]
    return not path.endswith(".sock") and all(truth(at(one, "readOnly")) for one in mounts)


def _namespaces(*keys: str) -> Check:
    def wrong(f: Function, pod: Map) -> Iterator[tuple[str, Place, Severity | None]]:
        for key in keys:
            if truth(pod.get(key)):
                what = {
                    "hostNetwork": "network",
                    "hostPID": "processes",
                    "hostIPC": "shared memory",
                }
                speaks = key == "hostNetwork" and _speaks_for_machine(pod)
                milder = speaks or (key == "hostPID" and _is_nobody(f))
                severity = Severity.MEDIUM if milder else None
                yield f"it has the machine's {what[key]}", place_of(pod, key), severity

    return of_pods(wrong)


def _speaks_for_machine(pod: Map) -> bool:
    """Tell whether a pod answers for the machine's network, as balancers and overlays do."""
    wanted = {"NET_RAW", "NET_ADMIN"}
    return any(
        wanted & {str(each) for each in listed(at(c, "securityContext", "capabilities", "add"))}
        for c in listed(pod.get("containers"))
    )


def _root(f: Function, c: Map) -> Iterator[tuple[str, Place, Severity | None]]:
    if _is_apart(f):
        return
    user, other = number(_set(f, c, "runAsUser")), truth(_set(f, c, "runAsNonRoot"), None)
    if user == 0 or (other is False and user is None):
        place = _own(c, "securityContext", "runAsUser")
        if at(c, "securityContext", "runAsUser") is None:
            place = _own(f.setting("pod"), "securityContext", "runAsUser")
        yield "runs as root", place, None
    elif other is None and user is None:
        yield "may run as root: its image decides", _own(c, "securityContext"), _S.LOW


def _gains(_f: Function, c: Map) -> Iterator[tuple[str, Place, Severity | None]]:
    if truth(at(c, "securityContext", "allowPrivilegeEscalation"), None) is not False:
        place = _own(c, "securityContext", "allowPrivilegeEscalation")
        yield "may gain rights by a setuid program", place, None


def _writable(_f: Function, c: Map) -> Iterator[tuple[str, Place, Severity | None]]:
    if not truth(at(c, "securityContext", "readOnlyRootFilesystem")):
        place = _own(c, "securityContext", "readOnlyRootFilesystem")
        yield "can change its own files", place, None


def _unconfined(f: Function, c: Map) -> Iterator[tuple[str, Place, Severity | None]]:
    for key in ("seccompProfile", "appArmorProfile"):
        if text(at(_set(f, c, key), "type")) == "Unconfined":
            holder = c if at(c, "securityContext", key) is not None else f.setting("pod")
            yield (
                f"has no {key.removesuffix('Profile')}",
                _own(holder, "securityContext", key),
                None,
            )
    if text(at(c, "securityContext", "procMount")) == "Unmasked":
        yield "sees all of /proc", _own(c, "securityContext", "procMount"), None


def _unfiltered(f: Function, c: Map) -> Iterator[tuple[str, Place, Severity | None]]:
    if _set(f, c, "seccompProfile") is None:
        yield "may make every system call", _own(c, "securityContext"), None


def _unbounded(_f: Function, c: Map) -> Iterator[tuple[str, Place, Severity | None]]:
    if at(c, "resources", "limits", "memory") is None:
        yield "may use all of the machine's memory", _own(c, "resources", "limits"), None


def _moving(_f: Function, c: Map) -> Iterator[tuple[str, Place, Severity | None]]:
    image = text(c.get("image"))
    if moving := moving_image(image):
        yield f"may be a different one at each start: {moving}", _own(c, "image"), None
    elif image and "@sha256:" not in image and "${" not in image:
        yield f"has an image without a digest, {image[:100]}", _own(c, "image"), _S.INFO


def _token(f: Function, pod: Map) -> Iterator[tuple[str, Place, Severity | None]]:
    if f.role == "default" and truth(pod.get("automountServiceAccountToken"), None) is not False:
        yield "it holds a cluster token, which it does not need", f.place, None


def _by_variable(_f: Function, c: Map) -> Iterator[tuple[str, Place, Severity | None]]:
    env, sources = c.get("env"), c.get("envFrom")
    for index, one in enumerate(listed(env)):
        if at(one, "valueFrom", "secretKeyRef") is not None:
            name = text(at(one, "name"))[:64]
            yield f"has a secret in the variable {name}", place_of(env, index), None
    for index, one in enumerate(listed(sources)):
        if at(one, "secretRef") is not None:
            name = text(at(one, "secretRef", "name"))[:64]
            yield f"has all of the secret {name} in variables", place_of(sources, index), None


def _host_ports(_f: Function, c: Map) -> Iterator[tuple[str, Place, Severity | None]]:
    ports = c.get("ports")
    for index, one in enumerate(listed(ports)):
        if number(at(one, "hostPort")):
            yield f"takes the machine's port {at(one, 'hostPort')}", place_of(ports, index), None


_FETCHED = re.compile(r"\b(?:curl|wget)\b[^|\n]{1,300}\|\s{0,4}(?:sudo\s)?\s{0,4}(?:ba|z|da)?sh\b")


def _fetched(_f: Function, c: Map) -> Iterator[tuple[str, Place, Severity | None]]:
    for key in ("command", "args"):
        if _FETCHED.search(" ".join(text(one)[:4000] for one in listed(c.get(key))[:50])):
            yield "runs what it fetches, whatever that is", _own(c, key), None


def _unasked(f: Function, c: Map) -> Iterator[tuple[str, Place, Severity | None]]:
    served = any(trigger.kind == "http" for trigger in f.triggers)
    if served and c.get("ports") and c.get("readinessProbe") is None:
        yield "gets calls before it can answer", _own(c, "readinessProbe"), None


_rule = entries(Risk.RESPONSIBILITY, "SAS-06", cwe=250, attack="T1611")
_SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: thing}
spec:
  selector: {app: thing}
"""

RULES = (
    _rule(
        "KUB-001",
        "Privileged container",
        _S.CRITICAL,
        "Whoever takes it over has the machine and everything that runs on it.",
        "Remove privileged, and add only the capabilities that are needed.",
        of_containers(_privileged),
        workload("securityContext: {privileged: true}"),
        workload("securityContext: {privileged: false}"),
        risk=Risk.PERMISSIONS,
        owasp="SAS-05",
    ),
    _rule(
        "KUB-002",
        "Capabilities that lead to the machine",
        _S.HIGH,
        "With one of these a container can break out, or see data of others.",
        "Drop ALL, and add none of these. If one is needed, set hostUsers: false.",
        of_containers(_capabilities),
        workload("securityContext: {capabilities: {add: [SYS_ADMIN]}}"),
        workload("securityContext: {capabilities: {drop: [ALL], add: [NET_BIND_SERVICE]}}"),
        risk=Risk.PERMISSIONS,
        owasp="SAS-05",
    ),
    _rule(
        "KUB-003",
        "Host folder",
        _S.HIGH,
        "The machine acts on what a container writes there, or requests through a socket there.",
        "Use a volume (emptyDir, a claim), or a projected one.",
        of_pods(_host_paths),
        workload(pod="volumes:\n  - name: sock\n    hostPath: {path: /var/run/docker.sock}"),
        workload(pod="volumes:\n  - name: tmp\n    emptyDir: {sizeLimit: 64Mi}"),
        668,
        risk=Risk.PERMISSIONS,
        owasp="SAS-05",
    ),
    _rule(
        "KUB-004",
        "Host network",
        _S.HIGH,
        "It can reach services that listen only on the machine, and no network policy "
        "applies to it.",
        "Remove hostNetwork, and use a Service to reach the pod.",
        _namespaces("hostNetwork"),
        workload(pod="hostNetwork: true"),
        workload(),
        668,
    ),
    _rule(
        "KUB-005",
        "Host processes",
        _S.HIGH,
        "It sees all processes of the machine, with their variables, or shares memory with them.",
        "Remove hostPID and hostIPC.",
        _namespaces("hostPID", "hostIPC"),
        workload(pod="hostPID: true"),
        workload(pod="hostPID: false"),
        668,
    ),
    _rule(
        "KUB-006",
        "Root in the container",
        _S.MEDIUM,
        "A vulnerability in the kernel, or a mount, makes it root of the machine.",
        "Set runAsNonRoot: true and runAsUser, or hostUsers: false.",
        of_containers(_root),
        workload("securityContext: {runAsUser: 0}"),
        workload("securityContext: {runAsNonRoot: true, runAsUser: 10001}"),
    ),
    _rule(
        "KUB-007",
        "Programs that can gain rights",
        _S.LOW,
        "A setuid program in the image can make its user root.",
        "Set allowPrivilegeEscalation: false.",
        of_containers(_gains),
        workload(),
        workload("securityContext: {allowPrivilegeEscalation: false}"),
        269,
        attack="T1548",
    ),
    _rule(
        "KUB-008",
        "Default capabilities",
        _S.LOW,
        "By default a container may change owners, send raw packets and more.",
        "Set capabilities: {drop: [ALL]}, and add only what is needed.",
        of_containers(_kept),
        workload("securityContext: {runAsNonRoot: true}"),
        workload("securityContext: {capabilities: {drop: [ALL]}}"),
    ),
    _rule(
        "KUB-009",
        "Files of the container can be changed",
        _S.LOW,
        "An attacker can change the container's programs, and the changed ones run from then on.",
        "Set readOnlyRootFilesystem: true, and mount what has to be written.",
        of_containers(_writable),
        workload(),
        workload("securityContext: {readOnlyRootFilesystem: true}"),
        732,
        attack="T1554",
    ),
    _rule(
        "KUB-010",
        "Confinement switched off",
        _S.MEDIUM,
        "The runtime's system-call filter, or its profile, stops most ways out of a container.",
        "Set RuntimeDefault, or a profile of your own (Localhost).",
        of_containers(_unconfined),
        workload("securityContext: {seccompProfile: {type: Unconfined}}"),
        workload("securityContext: {seccompProfile: {type: RuntimeDefault}}"),
        693,
    ),
    _rule(
        "KUB-011",
        "No system-call filter",
        _S.INFO,
        "Kubernetes sets none by default, unless the machine's kubelet was configured to.",
        "Set seccompProfile: {type: RuntimeDefault}.",
        of_containers(_unfiltered),
        workload(),
        workload(pod="securityContext: {seccompProfile: {type: RuntimeDefault}}"),
        693,
    ),
    _rule(
        "KUB-012",
        "No memory limit",
        _S.LOW,
        "One flood can take the machine from all others.",
        "Set resources.limits.memory.",
        of_containers(_unbounded),
        workload("resources: {requests: {memory: 64Mi}}"),
        workload("resources: {limits: {memory: 64Mi}}"),
        770,
        attack="T1499",
    ),
    _rule(
        "KUB-013",
        "Image that can change without notice",
        _S.LOW,
        "A tag names whatever was pushed last: whoever can push can run code.",
        "Name the digest: image@sha256:...",
        of_containers(_moving),
        workload("image: registry.example/thing:latest"),
        workload(),
        494,
        risk=Risk.DEPENDENCIES,
        owasp="SAS-09",
        attack="T1525",
    ),
    _rule(
        "KUB-014",
        "Cluster token",
        _S.LOW,
        "Whoever takes it over can use the cluster's API in its name.",
        "Set automountServiceAccountToken: false, or use a service account of its own.",
        of_pods(_token),
        workload(),
        workload(pod="automountServiceAccountToken: false"),
        522,
        risk=Risk.PERMISSIONS,
        owasp="SAS-05",
        attack="T1528",
    ),
    _rule(
        "KUB-015",
        "Secret in a variable",
        _S.INFO,
        "Each program that it starts inherits its variables, and they end up in dumps and reports.",
        "Mount the secret as a file.",
        of_containers(_by_variable),
        workload(
            "env:\n  - name: KEY\n    valueFrom: {secretKeyRef: {name: thing, key: key}}",
        ),
        workload("volumeMounts:\n  - {name: key, mountPath: /etc/key, readOnly: true}"),
        526,
        risk=Risk.RESPONSIBILITY,
        owasp="SAS-03",
        attack="T1552.007",
    ),
    _rule(
        "KUB-016",
        "Host port",
        _S.LOW,
        "Whoever reaches the machine can reach it without any Service or Ingress.",
        "Remove hostPort, and use a Service to reach the pod.",
        of_containers(_host_ports),
        workload("ports:\n  - {containerPort: 80, hostPort: 80}"),
        workload("ports:\n  - {containerPort: 80}"),
        668,
        attack="T1133",
    ),
    _rule(
        "KUB-017",
        "Programs downloaded at the start",
        _S.MEDIUM,
        "Whoever controls that server, or the network path to it, can run anything.",
        "Put them into the image.",
        of_containers(_fetched),
        workload('command: [sh, -c, "curl -s https://example.com/run.sh | sh"]'),
        workload("command: [/opt/run]"),
        494,
        risk=Risk.DEPENDENCIES,
        owasp="SAS-09",
        attack="T1105",
    ),
    _rule(
        "KUB-018",
        "No readiness check",
        _S.INFO,
        "Calls that come before it is ready, or while it is overloaded, are lost.",
        "Set a readinessProbe.",
        of_containers(_unasked),
        workload("ports:\n  - {containerPort: 80}", more=_SERVICE),
        workload(
            "ports:\n  - {containerPort: 80}\nreadinessProbe:\n  tcpSocket: {port: 80}",
            more=_SERVICE,
        ),
        693,
        risk=Risk.MONITORING,
        owasp="SAS-10",
        attack="T1499",
    ),
)
