"""What can happen that matters for security: one frozen type for each kind of happening.

Each says when, who did it, from where, on what, and in which invocation. None holds a payload, a
secret or a text of a caller beyond names and reasons. `casemate.model.denial.Denial` is one, too,
as are those of findings and of what is done about them (`casemate.model.response_facts`), and of
known holes of packages (`casemate.model.advisory_facts`).
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

import msgspec

NOT_BY_NETWORK = ""
"""The remote address of what no request from a network caused."""


class Actor(NamedTuple):
    """Who does something, and from where: asked for together, so that neither is forgotten."""

    principal: str
    """As `Principal.text`."""
    remote_address: str
    """`NOT_BY_NETWORK` where nobody asked over one."""


class FunctionPlace(NamedTuple):
    """Of which function something is: which version, and in which invocation, where it is known."""

    project: str
    function: str
    version: int
    """0 where none was chosen yet."""
    invocation: str
    """Empty where there is none, or several."""


class Fact(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Base of all facts. They hold no references to others: the collector need not look at them."""

    at: float
    """Unix time."""
    by: str = ""
    """Who: a principal's text, such as `user:ada`; empty: the node itself."""
    remote_address: str = ""
    """Where the request came from; empty: from no network."""
    project: str = ""
    function: str = ""
    version: int = 0
    invocation: str = ""


class Accountable(Fact, frozen=True, kw_only=True):
    """Base of what rules count by account: by each token alone, who makes tokens has the threshold
    once for each.
    """

    account: (
        Annotated[
            str,
            msgspec.Meta(description="Said by the event in the journal; left out of answers."),
        ]
        | msgspec.UnsetType
    ) = msgspec.UNSET
    """Who answers for it, where that is not `by`: of a token whoever made it. Said once it is told
    (`casemate.gateway.accountable`)."""


class OperationPerformed(Accountable, frozen=True, kw_only=True):
    """Somebody had the node change or delete something. Told of every such operation."""

    operation: str
    """Id of the operation, such as `addUser`."""
    effect: str
    """`change` or `destroy`."""
    action: str = ""
    resource: str = ""
    what: str = ""
    """Which person, token, policy or the like, and with which roles: where `resource` is the node,
    or there is none."""
    alone: bool = False
    """Of making a token: whether nobody else of the node may make one."""
    empty: bool = False
    """Of dropping or emptying something that holds data: whether nothing was in it."""
    unfinished: bool = False
    """Whether the gateway or the vault ended while it was done: it may be done, or a part of it."""


class SignedIn(Fact, frozen=True, kw_only=True):
    """A person signed in, by password and second factor or by a provider."""

    method: str


class VersionDeployed(Accountable, frozen=True, kw_only=True):
    """A version is in force."""

    digest: str


class TriggerChanged(Fact, frozen=True, kw_only=True):
    """Something invokes a function that did not with the version before, or not like that.

    Told after what made it so: a deploy, or `live` that leads elsewhere.
    """

    trigger: str
    """A `casemate.model.trigger.TriggerKind`; `http` for a route; `public` for callers without
    credentials."""
    change: str
    """`added`, `changed` or `removed`."""
    name: str = ""
    """The trigger's; of a route its method and path. Empty for `public`."""
    when: str = ""
    """Of a schedule: its times, as they are from now on."""
    first: bool = False
    """Whether the function has no version before."""


class FunctionRemoved(Accountable, frozen=True, kw_only=True):
    """A function is gone, or one version of it (`version` says which)."""

    alone: bool = False
    """By the accounts and policies nobody else may approve what it is granted."""
    idle: bool = False
    """It used no grant and no package of its did anything, and none of its versions that were still
    there was open to callers without a token."""


class FunctionQuarantined(Fact, frozen=True, kw_only=True):
    """A function takes no calls any more, until it is released."""

    reason: str
    killed: bool
    """Whether what was running was ended at once."""


class FunctionReleased(Fact, frozen=True, kw_only=True):
    """A function that was in quarantine takes calls again."""

    reason: str


class AliasMoved(Fact, frozen=True, kw_only=True):
    """An alias points somewhere else: by hand, promotion or rollback."""

    alias: str
    targets: tuple[tuple[int, float], ...]
    """Version and share of the calls."""
    why: str = ""
    """Of a trial: that it began, and how it ended. Empty: by hand or a rollback."""
    until: float = 0.0
    """Unix time at which a trial ends by itself; 0: it is none."""


class GrantsApproved(Accountable, frozen=True, kw_only=True):
    """Somebody let a version have more than the one before."""

    added: tuple[str, ...]
    alone: bool = False
    """Nobody else of this node could have approved it, by its accounts and policies."""


class GrantUsed(Fact, frozen=True, kw_only=True):
    """A function used a grant, `count` times alike."""

    grant: str
    action: str
    prefix: str = ""
    count: int = 1


class HostAsked(Fact, frozen=True, kw_only=True):
    """A function wanted to connect to a host, `count` times alike. What came of it has facts of
    its own, which name the grant or the reason."""

    host: str
    port: int
    allowed: bool
    count: int = 1


class DecoyTouched(Fact, frozen=True, kw_only=True):
    """Somebody touched what nothing honest touches, `count` times alike."""

    kind: str
    """A `casemate.model.decoy.DecoyKind`."""
    decoy: str
    """Which: project, kind and generation. Nothing of its name or value."""
    action: str
    """What was tried with it."""
    count: int = 1


class BaselineDeviation(Fact, frozen=True, kw_only=True):
    """A function did what is not usual of it, `count` times alike since it was told last."""

    kind: str
    """A `casemate.model.baseline.Aspect`."""
    value: str
    refused: bool
    """Whether it was not done: by the baseline, or by what refuses it anyway."""
    count: int = 1


class BudgetReached(Fact, frozen=True, kw_only=True):
    """So much of a budget is used, for the first time since it began."""

    budget: str
    """Its name."""
    percent: int
    """50, 80 or 100."""
    hard: bool
    """Whether calls are refused at 100."""
    reason: str


class BudgetSet(Fact, frozen=True, kw_only=True):
    """Somebody sets, lifts or removes a budget or quota; told before it is done."""

    budget: str
    change: str
    """`set`, `lift` or `remove`."""
    reason: str
    """What it is from then on; of a lift, why."""
    seconds: int = 0
    """For how long it is lifted."""


class RestrictionChanged(Fact, frozen=True, kw_only=True):
    """Somebody holds something back, or lifts that; told before it is done."""

    restriction: str
    """Its id."""
    change: str
    """`set` or `lift`."""
    kind: str
    """A `casemate.model.restriction.RestrictionKind`."""
    what: str
    reason: str


class SecretRotated(Fact, frozen=True, kw_only=True):
    """A secret gets another value that nobody has chosen; told before it is done, and after."""

    secret: str
    change: str
    """`declare`, `forget`, `rotate` or `back`."""
    step: str
    """`begins`, `done` or `failed`."""
    version: int
    """The one in use then; 0: there is none, or it is not about one."""
    reason: str


class PeoplePaged(Fact, frozen=True, kw_only=True):
    """Somebody, or a playbook, wants people told at once; the monitor tells them."""

    page: str
    """By which one that is told twice is known."""
    to: str
    """A rotation, a channel, or `*`: all whose turn it is."""
    message: str


class CostAnomaly(Fact, frozen=True, kw_only=True):
    """A function costs far more than is usual of it, and is slowed."""

    times: int
    """How many times as much."""
    reason: str


class BundleTampered(Fact, frozen=True, kw_only=True):
    """A bundle that runs here is not what was deployed, or nobody vouches for it any more.

    Nothing of it is started. Told once, until it is found whole again.
    """

    digest: str
    what: str
    """`bundle`: its bytes; `signature`: what vouches for it."""
    reason: str


class ControlStateRefused(Fact, frozen=True, kw_only=True):
    """What the control database that nodes share holds was not written by any of them.

    Nothing of it is believed; the node goes on with what it knows, for as long as it may.
    """

    reason: str


class BuilderKeyAdded(Fact, frozen=True, kw_only=True):
    """Somebody signs bundles with a key that the node did not know of."""

    key: str
    first: bool
    """Whether it is the first one of whose it is."""


class BuilderKeyRevoked(Fact, frozen=True, kw_only=True):
    """A builder's key counts no more."""

    key: str
    since: float
    """What it signed and was deployed from this moment on is not started either."""
    reason: str


class SigningRuleChanged(Fact, frozen=True, kw_only=True):
    """A project asks for other signatures."""

    keys: tuple[str, ...]
    threshold: int
    """0: no keys are asked for any more, and who deploys has to have signed."""
    signers: tuple[str, ...] = ()
    """Who has to have signed with Sigstore, one of them."""


class RiskAccepted(Fact, frozen=True, kw_only=True):
    """The node runs without a protection, which its operator accepted by name."""

    risk: str


class RuntimeReplaced(Fact, frozen=True, kw_only=True):
    """The host has other files than functions run with: their zygotes are being replaced."""

    python: str
    """The minor version."""
    files: tuple[str, ...]
    """Some of those that were replaced."""
    count: int
    """How many they are."""


class ReleaseChanged(Fact, frozen=True, kw_only=True):
    """The node runs another release of Casemate than the last time: an upgrade, or the way back."""

    release: str
    before: str


class NodeAudited(Fact, frozen=True, kw_only=True):
    """The score of the node, by its own audit, is another one than before."""

    score: int
    before: int
    """-1: there was none."""
    critical: int
    high: int
    medium: int
    low: int


class WeaknessFound(Fact, frozen=True, kw_only=True):
    """The audit of the node finds something grave. Told once a day at most of each."""

    rule: str
    level: str
    """`high` or `critical`."""
    subject: str
    reason: str
    """What was seen."""
    mended_by: str
    """A command."""
    count: int = 1


class AccessReviewed(Fact, frozen=True, kw_only=True):
    """Somebody looked at the rights of one, and had them kept or taken."""

    subject: str
    decision: str
    """`keep` or `remove`."""
    reason: str
    own: bool
    """Whether who looked is who has the rights, or made what has them."""
    done: str
    """What was taken, in words; empty: nothing was."""


class JournalRestored(Fact, frozen=True, kw_only=True):
    """The journal is that of a backup, and goes on from there: what came after it is not in it."""

    made_at: float
    """When the backup was made, as that says, in Unix time."""
    entries: int
    """How many entries it had."""
    archive: str
    """SHA-256 of the backup."""


class JournalOlder(Fact, frozen=True, kw_only=True):
    """The journal has fewer entries than it had, and the node was told to go on with it.

    It, or a part of it, was lost, or an older copy was put in its place.
    """

    entries: int
    """How many it has, of those that are signed."""
    had: int


class GatewayDoubtful(Fact, frozen=True, kw_only=True):
    """The gateway has told its recorder what no gateway of this release tells."""

    reason: str


class ClockStepped(Fact, frozen=True, kw_only=True):
    """The clock of the node's machine was set, by more than clocks are kept right with."""

    seconds: float
    """Below 0: it was set back."""


class RecordsForgotten(Fact, frozen=True, kw_only=True):
    """Records of a project were deleted since it was told last: they were too old, or too many."""

    record: str
    """`log_line`, `invocation` or `error` of a project; or `denial`, of no project."""
    count: int
    total: int
    """Since the records began: one that is told twice says the same."""


class NodeRecordsDoubtful(Fact, frozen=True, kw_only=True):
    """What another node has told of itself is not what it was, or is missing.

    Its records, or its journal, were changed, removed or put back: there, or where they are stored
    for the others.
    """

    node: str
    """As people know it."""
    what: str


class NodeJournalSeen(Fact, frozen=True, kw_only=True):
    """How far the journal of another node was: it may not be less any more."""

    node: str
    origin: str
    """Name of the journal."""
    size: int
    root: str
    """In hexadecimal digits."""


class NodeTold(Fact, frozen=True, kw_only=True):
    """What the journal of another node says of a finding, an incident, a playbook or an alert."""

    node: str
    """As people know it."""
    entry: str
    """Id of the entry, in that journal."""
    kind: str
    """Of the fact that it is."""
    event: bytes
    """The event: OCSF in JSON."""


class LogsWritten(Fact, frozen=True, kw_only=True):
    """There are new lines of a function's log to read."""


class ShapesMet(Fact, frozen=True, kw_only=True):
    """What reached sinks in shapes that were not known to be usual."""

    met: tuple[str, ...]
    """Such as `sql select * from orders where id = ?`."""
    refused: tuple[str, ...]


class SystemCallsMet(Fact, frozen=True, kw_only=True):
    """Notable system calls were made that were not known to be usual; none: a process begins."""

    met: tuple[str, ...]
    """Names, of `casemate.kernel.system_calls.NOTABLE`."""


class PackageActed(Fact, frozen=True, kw_only=True):
    """A package of others did something in an invocation, `count` times, by its process's word."""

    digest: str
    """Of the bundle."""
    package: str
    act: str
    """One of the kinds in `casemate.guard.acts`."""
    count: int


class InvocationEnded(Fact, frozen=True, kw_only=True):
    """An invocation has its outcome."""

    outcome: str


class InvocationMeasured(Fact, frozen=True, kw_only=True):
    """An invocation has ended, and how large it was."""

    outcome: str
    trigger: str
    run_ms: float
    request_bytes: int
    response_bytes: int
