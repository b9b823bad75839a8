"""Rules about how the node was started and what it stands on."""

from __future__ import annotations

from collections.abc import Iterator

from casemate.model.level import Level
from casemate.model.nodes import NodeState as ClusterNodeState
from casemate.node_audit.rule import DAY, Risk, Rule, Seen, days
from casemate.node_audit.state import NodeState

SOON_DAYS = 14
"""A certificate that ends within as many days is told of."""
KEY_DAYS = 365
YOUNG_SECONDS = 60.0
"""So long after the start a part that is not there may yet come."""
LEAST_SHARE = 10
"""Percent of the disk that are to be free."""
LEAST_FREE = 1 << 30
FULL = 64 << 20
GONE_SECONDS = 3600.0
"""So long a node that is gone may yet come back."""
_DOCTOR = "casemate doctor"


def _protections(state: NodeState) -> Iterator[Seen]:
    for one in state.settings.protections:
        if one.holds:
            continue
        how = "its operator accepted the risk" if one.accepted else "the host does not have it"
        yield Seen(
            subject=f"protection:{one.name}",
            seen=f"The protection {one.name} does not hold, and {how}{_because(one.detail)}",
            command=_DOCTOR,
            level=Level.HIGH if one.required else Level.LOW,
        )


def _because(detail: str) -> str:
    """Return what is known of why; what is accepted is not probed."""
    return f": {detail}" if detail else "."


def _risks(state: NodeState) -> Iterator[Seen]:
    probed = {one.name for one in state.settings.protections if not one.holds}
    for risk in state.settings.accepted_risks:
        if risk not in probed:
            yield Seen(
                subject=f"risk:{risk}",
                seen=f"The node was started with the risk {risk} accepted.",
                command="casemate serve",
            )


def _losses(state: NodeState) -> Iterator[Seen]:
    for loss in state.settings.accepted_losses:
        if loss == "clock":
            yield Seen(
                subject="loss:clock",
                seen="The node was started to delete by its clock, however far that is ahead.",
                command="casemate serve",
            )
            continue
        yield Seen(
            subject=f"loss:{loss}",
            seen=f"The node was started although {loss} had been lost, and would not report that "
            "again.",
            command="casemate serve",
        )


def _learn(state: NodeState) -> Iterator[Seen]:
    if state.settings.learn:
        yield Seen(
            subject="setting:learn",
            seen="The node lets functions use what they are not granted (--learn).",
            command="casemate serve",
        )


def _plaintext(state: NodeState) -> Iterator[Seen]:
    settings = state.settings
    if settings.tls or settings.loopback:
        return
    behind = settings.trusted_proxies
    proxy = f" It trusts the proxies {', '.join(behind[:5])}." if behind else ""
    yield Seen(
        subject=f"address:{settings.address}",
        seen=f"The node answers on {settings.address} without TLS.{proxy}",
        command="casemate serve --tls-cert FILE --tls-key FILE",
        level=Level.HIGH if behind else Level.CRITICAL,
    )


def _certificate(state: NodeState) -> Iterator[Seen]:
    ends = state.settings.certificate_ends
    if ends is None or ends > state.now + SOON_DAYS * DAY:
        return
    gone = ends <= state.now
    when = f"ended {days(state.now - ends)} ago" if gone else f"ends in {days(ends - state.now)}"
    yield Seen(
        subject="certificate:node",
        seen=f"The certificate of the node {when}.",
        command="casemate tls show",
        level=Level.CRITICAL if gone else Level.MEDIUM,
    )


_HOST_LEVELS = {
    **{"ended": Level.HIGH, "open": Level.HIGH},
    **{"soon": Level.MEDIUM, "unknown": Level.LOW},
}


def _host(state: NodeState) -> Iterator[Seen]:
    for one in state.hosts or ():
        level = _HOST_LEVELS.get(one.state)
        if level is not None:
            yield Seen(
                subject=f"host:{one.name}",
                seen=f"{one.name}: {one.detail}.",
                command=_DOCTOR,
                level=level,
            )


def _pythons(state: NodeState) -> Iterator[Seen]:
    for minor, ends in state.pythons or ():
        if ends > state.now + 90 * DAY:
            continue
        gone = ends <= state.now
        when = f"since {days(state.now - ends)}" if gone else f"in {days(ends - state.now)}"
        verb = "gets no security fixes" if gone else "gets its last security fixes"
        yield Seen(
            subject=f"python:{minor}",
            seen=f"Python {minor}, which functions can run on, {verb} {when}.",
            command=_DOCTOR,
            level=Level.HIGH if gone else Level.LOW,
        )


def _clock(state: NodeState) -> Iterator[Seen]:
    if state.clock_behind is not None and state.clock_behind > 60.0:
        yield Seen(
            subject="clock",
            seen=f"The clock is {state.clock_behind:.0f} s behind what it was: it was set back.",
            command="casemate journal verify",
            level=Level.HIGH,
        )
    if state.clock_synchronised is False:
        yield Seen(
            subject="clock:synchronisation",
            seen="The kernel says that nothing keeps the host's clock right, as chrony or "
            "systemd-timesyncd do: `timedatectl set-ntp true`, then look again.",
            command="casemate audit node --rule NODE-009",
        )


_KEEPS = "casemate usage --since 1d"


def _disk(state: NodeState) -> Iterator[Seen]:
    free = state.disk_free
    if free is None or (free >= LEAST_FREE and free * 100 >= state.disk_total * LEAST_SHARE):
        return
    yield Seen(
        subject="disk",
        seen=f"{free >> 20} MiB of {state.disk_total >> 20} MiB of the data's disk are free. Which "
        "projects keep the most is told as `stored gb-h`; objects, tables and old versions can go.",
        command=_KEEPS,
        level=Level.CRITICAL if free < FULL else Level.MEDIUM,
    )


def _parts(state: NodeState) -> Iterator[Seen]:
    young = state.now - state.settings.started_at < YOUNG_SECONDS
    for part in state.parts or ():
        if not part.ok:
            yield Seen(
                subject=f"part:{part.name}",
                seen=f"{part.name} is not well: {part.detail.strip()}",
                command=_KEEPS if part.name == "disk" else "casemate check",
                level=Level.MEDIUM if young else None,
            )


def _keys(state: NodeState) -> Iterator[Seen]:
    at = state.data_keys_at
    if at is not None and state.now - at > KEY_DAYS * DAY:
        yield Seen(
            subject="vault:data-keys",
            seen=f"A project's data key is {days(state.now - at)} old.",
            command="casemate vault rotate-keys",
        )


def _memory(state: NodeState) -> Iterator[Seen]:
    if state.memory_locked is False:
        yield Seen(
            subject="vault:memory",
            seen="The vault's memory can be written to swap: the node may not lock it, as it may "
            "after `ulimit -l unlimited`, or with LimitMEMLOCK=infinity of systemd. Else encrypt "
            "the swap.",
            command="casemate vault status",
        )


def _nodes(state: NodeState) -> Iterator[Seen]:
    nodes = state.nodes or ()
    for one in nodes:
        gone = one.state is ClusterNodeState.GONE
        silent = state.now - max(one.seen_at, one.started_at)
        if gone and silent > GONE_SECONDS:
            yield Seen(
                subject=f"node:{one.name}",
                seen=f"The node {one.name} is gone, and was not removed.",
                command=f"casemate nodes rm {one.name}",
            )
        elif one.draining and not gone:
            yield Seen(
                subject=f"node:{one.name}",
                seen=f"The node {one.name} is drained: the others do its work.",
                command=f"casemate nodes drain {one.name} --undo",
            )
    there = [one for one in nodes if one.state is ClusterNodeState.UP]
    if state.nodes is not None and len(there) == 1:
        yield Seen(
            subject="nodes",
            seen="Only one node takes calls: if it dies, none does.",
            command="casemate nodes ls",
            level=Level.MEDIUM,
        )
    versions = sorted({one.version for one in nodes if one.state is not ClusterNodeState.GONE})
    if len(versions) > 1:
        yield Seen(
            subject="versions",
            seen=f"Nodes have different versions: {', '.join(versions[:5])}.",
            command="casemate nodes ls",
        )


def _unlooked(state: NodeState) -> Iterator[Seen]:
    for note in state.notes:
        yield Seen(subject=f"audit:{note.partition(':')[0]}", seen=note, command="casemate check")


_R = Risk.RESPONSIBILITY
RULES = (
    Rule(
        id="NODE-001", title="A protection does not hold", risk=_R, level=Level.HIGH,
        owasp="SAS-06", cwe=693, attack="T1611", check=_protections,
        why="Only the other protections then keep apart what this one should.",
    ),
    Rule(
        id="NODE-002", title="A risk was accepted at the start", risk=_R, level=Level.MEDIUM,
        owasp="SAS-06", cwe=1188, check=_risks,
        why="What is accepted has no end: it lasts until somebody starts the node without it.",
    ),
    Rule(
        id="NODE-003", title="A loss was accepted at the start", risk=_R, level=Level.MEDIUM,
        owasp="SAS-10", cwe=778, check=_losses,
        why="Another loss of the same kind would not stop the node from starting either.",
    ),
    Rule(
        id="NODE-004", title="Grants are not enforced", risk=Risk.PERMISSIONS,
        level=Level.CRITICAL, owasp="SAS-05", cwe=285, check=_learn,
        why="With --learn a function may use everything, which is only for trying things out.",
    ),
    Rule(
        id="NODE-005", title="The node answers without TLS", risk=_R, level=Level.CRITICAL,
        owasp="SAS-03", cwe=319, attack="T1040", check=_plaintext,
        why="Whoever is in between can read and change tokens, events and answers.",
    ),
    Rule(
        id="NODE-006", title="The certificate ends", risk=_R, level=Level.MEDIUM,
        owasp="SAS-06", cwe=298, check=_certificate,
        why="Clients then refuse it, or get used to ignoring it.",
    ),
    Rule(
        id="NODE-007", title="The host's support ends", risk=Risk.DEPENDENCIES,
        level=Level.MEDIUM, owasp="SAS-09", cwe=1104, attack="T1068", check=_host,
        why="Vulnerabilities that become known in it stay open.",
    ),
    Rule(
        id="NODE-008", title="A version of Python ends", risk=Risk.DEPENDENCIES,
        level=Level.LOW, owasp="SAS-09", cwe=1104, check=_pythons,
        why="Vulnerabilities that become known in it stay open.",
    ),
    Rule(
        id="NODE-009", title="The clock is wrong, or nothing keeps it right",
        risk=Risk.MONITORING, level=Level.LOW, owasp="SAS-10", cwe=778, attack="T1070.006",
        check=_clock,
        why="Tokens, certificates, exceptions and records expire by it.",
    ),
    Rule(
        id="NODE-010", title="The disk is nearly full", risk=_R, level=Level.MEDIUM,
        owasp="SAS-06", cwe=400, attack="T1499", check=_disk,
        why="Calls that cannot be recorded do not run: with a full disk nothing does.",
    ),
    Rule(
        id="NODE-011", title="A part of the node is not well", risk=_R, level=Level.HIGH,
        owasp="SAS-10", cwe=703, check=_parts,
        why="The work of that part is not done, or not done well.",
    ),
    Rule(
        id="NODE-012", title="Data keys are old", risk=_R, level=Level.LOW, owasp="SAS-03",
        cwe=324, check=_keys,
        why="The longer a key is used, the more can be read by whoever gets hold of it.",
    ),
    Rule(
        id="NODE-013", title="The vault's memory can be swapped out", risk=_R, level=Level.LOW,
        owasp="SAS-03", cwe=591, attack="T1003", check=_memory,
        why="Keys then lie in clear on a disk that somebody may take away.",
    ),
    Rule(
        id="NODE-014", title="A part of the audit could not be performed", risk=Risk.MONITORING,
        level=Level.MEDIUM, owasp="SAS-10", cwe=778, check=_unlooked,
        why="What was not checked is not known to be good.",
    ),
    Rule(
        id="NODE-015", title="The nodes are not as they should be", risk=_R, level=Level.LOW,
        owasp="SAS-10", cwe=703, attack="T1499", check=_nodes,
        why="Fewer nodes than expected survive less; an unfinished upgrade is forgotten.",
    ),
)  # fmt: skip
