"""What a project declares: functions, their triggers and their limits.

Sizes are bytes and times are seconds throughout; the manifest's "64MB" and "10s" are converted
at its edge.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from casemate.model.baseline import OnDeviation
from casemate.model.grant import ACTIONS, Grant, GrantKind, Resources
from casemate.model.trigger import AnyTrigger, consumed

NAME_PATTERN = r"^[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$"
"""Project, function and alias names: a DNS label (RFC 1123) that starts with a letter."""

HANDLER_PATTERN = r"^[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*$"
"""`module:function`, ASCII only."""

VARIABLE_PATTERN = r"^[A-Za-z][A-Za-z0-9_]*$"
"""The name of a variable of the environment, ASCII only."""

MAX_VARIABLE_NAME = 128
"""Characters of it."""

PACKAGE_PATTERN = r"^(?:\*|[a-z0-9](?:[a-z0-9-]{0,98}[a-z0-9])?)$"
"""The name of a package as indexes have it, or `*` for all that are not named."""

MAX_PACKAGES = 50
"""Packages of which a function says what they may not do."""

SUPPORTED_PYTHONS = ("3.11", "3.12", "3.13", "3.14")

KIB = 1024
MIB = 1024 * KIB


class Isolation(StrEnum):
    """How many invocations one process may serve."""

    REQUEST = "request"
    """A fresh process for every invocation (the default)."""
    INSTANCE = "instance"
    """A process is reused for one invocation after the other; globals leak between them."""


class Trust(StrEnum):
    """Where the handler module is imported."""

    NORMAL = "normal"
    """Once, in the zygote; instances are forks of it."""
    LOW = "low"
    """In each instance, after the last lock-down step: slower, nothing shared by import."""


class Layout(StrEnum):
    """With whom a function shares the layout of memory and the seed of hashes."""

    SHARED = "shared"
    """With other functions: each interpreter has several, and projects are spread over them."""
    OWN = "own"
    """With nobody: a base zygote of its own, at the price of its memory and a slower start."""


class Fresh(StrEnum):
    """How the process of a call comes to be as if there had been none before it."""

    RESTORED = "restored"
    """Set back to what it was, and compared, where the node does that; else forked."""
    PROCESS = "process"
    """Forked for each call."""


class GuardMode(StrEnum):
    """What the sink guard does where an exception applies."""

    BLOCK = "block"
    """Stop the call, as everywhere."""
    REPORT = "report"
    """Record it, and let it through."""


class GuardException(msgspec.Struct, frozen=True, kw_only=True):
    """Where the sink guard does something else than block. The first that applies counts."""

    sink: str
    """Name of a sink, or `*` for all."""
    location: str
    """`module:line`, `module:qualified.name`, or `*` for the whole function."""
    reason: str
    mode: GuardMode = GuardMode.REPORT


class PackageRule(msgspec.Struct, frozen=True, kw_only=True):
    """What a package of others may not do in a function, as far as the guard sees it."""

    name: str
    """As package indexes have it, or `*` for all that are not named."""
    deny: tuple[str, ...]
    """Kinds of acts, as in `casemate.guard.acts`; in their order there."""


class Unmasked(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of what is masked in logs and errors that a function's are to show in clear."""

    kind: str
    """As in `casemate.masking.kinds`."""
    reason: str


class Logs(msgspec.Struct, frozen=True, kw_only=True):
    """What of a function's output and errors is masked before it is stored."""

    mask: tuple[str, ...] = ()
    """Kinds beside those that always are: numbers of persons in a country."""
    unmasked: tuple[Unmasked, ...] = ()
    keep: float = 7 * 86_400.0
    """Seconds that its records are kept, at most."""
    keep_bytes: int = 4096 * MIB
    """Bytes of its records that are kept, at most."""


class RecordingSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What is recorded of a function's invocations beside those that fail, and how long."""

    sample: float = 0.0
    """Share of those that end well which is recorded."""
    keep: float = 7 * 86_400.0
    """Seconds that a recording is kept, at most."""
    keep_bytes: int = 16 * MIB
    """Bytes of the function's recordings that are kept, at most."""


class BaselineSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How long it is learned what is usual of a function, and what is done about the rest."""

    on_deviation: OnDeviation = OnDeviation.REPORT
    learn: float = 7 * 86_400.0
    """Seconds after which nothing more is learned, if anything was."""
    calls: int = 1000
    """Calls after which nothing more is learned."""
    system_calls: bool = False
    """Whether it is learned as well which notable system calls it makes."""


class ErrorException(msgspec.Struct, frozen=True, kw_only=True):
    """Where callers may see what an answer is sealed for elsewhere."""

    place: str
    """Path of a route as it is written in the manifest, `invoke` for what comes by none, or `*`."""
    what: str
    """Name of what may be seen, or `*` for all."""
    reason: str


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that bounds one function. All are enforced; none can be switched off."""

    memory: int = 256 * MIB
    """Bytes one instance and all it starts may hold, what the zygote shares not counted."""
    cpu: float = 1.0
    """Cores one instance may use."""
    processes: int = 32
    """Processes and threads of one instance."""
    open_files: int = 256
    timeout: float = 10.0
    """Seconds from the start of the handler to its answer."""
    tmp: int = 64 * MIB
    """Bytes in the instance's own /tmp."""
    request: int = 6 * MIB
    response: int = 6 * MIB
    log: int = 256 * KIB
    """Bytes of output kept for one invocation; the rest is dropped and said to be."""
    concurrency: int = 16
    """Instances of the function at the same time."""
    queue: int = 128
    """Invocations that may wait for an instance; the next one is refused."""
    queue_time: float = 5.0
    """Seconds one invocation may wait for an instance."""
    warm: int = 0
    """Instances that wait for a call whatever the rate, as far as `concurrency` has room."""
    keep: float = 86_400.0
    """Seconds without an invocation until nothing of the function is left in memory, at most: what
    is at rest goes before that where others need the memory."""


class HttpTrigger(msgspec.Struct, frozen=True, kw_only=True):
    """One route. `path` is a template such as `/users/{id}`; `{rest...}` takes what is left."""

    method: str
    path: str
    contract: str = ""
    """JSON Schema (2020-12) for the body, as text; empty: strict default limits."""
    asynchronous: bool = False
    """True answers 202 with an id once the event is kept, and runs the function afterwards."""
    delivery_headers: bool = False
    """True lets callers without a token choose delay, priority and age of what is kept."""


class Cors(msgspec.Struct, frozen=True, kw_only=True):
    """Which web pages of other origins may use a function's routes. The node answers for it."""

    origins: tuple[str, ...] = ()
    """Such as `https://app.example.com`, or `*` alone for all. Empty: nothing is said of it."""
    headers: tuple[str, ...] = ()
    """Request headers that a page may send besides the plain ones."""
    expose: tuple[str, ...] = ()
    """Answer headers that a page may read besides the plain ones."""
    credentials: bool = False
    """True lets pages send cookies; only with origins by name."""
    max_age: float = 600.0
    """Seconds for which a browser may remember a preflight."""


class EventFormat(StrEnum):
    """The shape in which a handler gets its event."""

    CASEMATE = "casemate"
    AWS = "aws"
    """As AWS Lambda hands it over: API Gateway's payload 2.0, S3, DynamoDB stream, SQS, SNS,
    EventBridge."""
    AWS_REST = "aws-rest"
    """The same, but requests as API Gateway's payload 1.0, that of its REST APIs."""
    AWS_ALB = "aws-alb"
    """The same, but requests as an Application Load Balancer hands them over."""


class DestinationKind(StrEnum):
    """Where the end of an asynchronous invocation can be told."""

    QUEUE = "queue"
    TOPIC = "topic"
    FUNCTION = "function"


class Destination(msgspec.Struct, frozen=True, kw_only=True):
    """A resource of the project that gets an event for each end."""

    kind: DestinationKind
    name: str


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """How events that are kept, and not called with, reach the function. Times are seconds."""

    attempts: int = 3
    """How often an event is tried before it is a dead letter."""
    backoff: float = 1.0
    """Wait before the second attempt; it doubles with each, and is drawn from its upper half."""
    backoff_most: float = 300.0
    max_age: float = 6 * 3600.0
    """An event that is older is a dead letter, however often it was tried."""
    keep_results: float = 24 * 3600.0
    """How long the end of an invocation, and an idempotency key, is remembered."""
    on_success: tuple[Destination, ...] = ()
    on_failure: tuple[Destination, ...] = ()


class FunctionSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One function as its manifest declares it, validated and with every default filled in."""

    name: str
    handler: str
    python: str | None = None
    """`3.11` to `3.14`; None takes the newest supported interpreter of the building host."""
    source: str = "."
    """Folder of the code, relative to the manifest."""
    requirements: str | None = None
    """Requirements file relative to the manifest; None means no dependencies."""
    description: str = ""
    isolation: Isolation = Isolation.REQUEST
    trust: Trust = Trust.NORMAL
    layout: Layout = Layout.SHARED
    fresh: Fresh = Fresh.RESTORED
    public: bool = False
    """True lets callers without credentials invoke it."""
    internal: bool = False
    """True lets nothing but functions with a grant invoke it."""
    grants: tuple[Grant, ...] = ()
    """Sorted by kind (in the order of GrantKind) and name; one for each resource."""
    grants_in_tables: tuple[GrantKind, ...] = ()
    """Kinds of grants that the manifest has as tables `[[...]]`: what there is to be added to them
    is told in that form."""
    environment: dict[str, str] = {}
    """Variables of the process's environment. Not for secrets: whoever may read the function's
    settings sees them."""
    guard: tuple[GuardException, ...] = ()
    """Exceptions of the sink guard, which is on without any."""
    packages: tuple[PackageRule, ...] = ()
    """By name. What packages do is told without any."""
    logs: Logs = Logs()
    errors: tuple[ErrorException, ...] = ()
    """What of the inside answers may tell; without any nothing."""
    baseline: BaselineSettings = BaselineSettings()
    recordings: RecordingSettings = RecordingSettings()
    limits: Limits = Limits()
    http: tuple[HttpTrigger, ...] = ()
    cors: Cors = Cors()
    triggers: tuple[AnyTrigger, ...] = ()
    """In the order of the manifest, by kind."""
    event_format: EventFormat = EventFormat.CASEMATE
    contract: str = ""
    """JSON Schema (2020-12) for the event of a direct call, as text."""
    delivery: Delivery = Delivery()

    def trigger(self, name: str) -> AnyTrigger | None:
        """Return the trigger called `name`, or None."""
        return next((t for t in self.triggers if t.name == name), None)

    def shown(self, event: dict[str, object] | None) -> tuple[str, ...]:
        """Return what an answer may tell of the inside, by the event of the request or None."""
        if not self.errors:
            return ()
        place = event.get("route") if event is not None else "invoke"
        return tuple(entry.what for entry in self.errors if entry.place in ("*", place))

    @property
    def direct(self) -> bool:
        """Whether callers without a token may call it past its routes as well, if it is public.

        A direct call brings any JSON as the event: what the contract of a route refuses, and what
        the node has seen of a request otherwise, such as its address and method. So a function with
        routes is only open to it with a contract for it.
        """
        return bool(self.contract) or not self.http

    def route(self, event: dict[str, object]) -> HttpTrigger | None:
        """Return the route that a request's event came by, or None.

        One for the method itself comes before one for all; HEAD goes where GET does.
        """
        method, path = event.get("method"), event.get("route")
        methods = (method, "GET", "*") if method == "HEAD" else (method, "*")
        return next(
            (t for wanted in methods for t in self.http if (t.method, t.path) == (wanted, path)),
            None,
        )


def destinations(spec: FunctionSpec) -> tuple[Grant, ...]:
    """Return what a function's delivery lets reach others, in the form of grants."""
    found = {}
    for destination in (*spec.delivery.on_success, *spec.delivery.on_failure):
        kind = GrantKind(destination.kind.value)
        grant = Grant(kind=kind, name=destination.name, actions=ACTIONS[kind])
        found[kind, destination.name] = grant
    return tuple(found[key] for key in sorted(found))


def event_grants(spec: FunctionSpec) -> tuple[Grant, ...]:
    """Return what triggers let a function see, and what its destinations are sent, as grants."""
    return (*consumed(spec.triggers), *destinations(spec))


def named_resources(spec: FunctionSpec) -> tuple[Grant, ...]:
    """Return all that a function's grants, triggers and destinations name, as grants."""
    return (*spec.grants, *event_grants(spec))


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """A validated manifest."""

    name: str
    functions: tuple[FunctionSpec, ...]
    resources: Resources = Resources()

    def function(self, name: str) -> FunctionSpec | None:
        """Return the function called `name`, or None."""
        return next((f for f in self.functions if f.name == name), None)
