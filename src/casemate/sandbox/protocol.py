"""Messages between the gateway and the supervisor: JSON in SOCK_SEQPACKET packets.

The supervisor trusts none of it: every message is decoded into exactly one of these types, with
bounds on every field, and anything else ends the gateway.
"""

from __future__ import annotations

import enum
from typing import Annotated

import msgspec

from casemate.decoding import DECODING_ERRORS
from casemate.guard.acts import KINDS
from casemate.model.bundle import DIGEST_PATTERN
from casemate.model.errors import InvalidInputError
from casemate.model.function import (
    HANDLER_PATTERN,
    MAX_PACKAGES,
    MAX_VARIABLE_NAME,
    NAME_PATTERN,
    PACKAGE_PATTERN,
    VARIABLE_PATTERN,
    GuardMode,
    Isolation,
    Layout,
    Trust,
)


def _whole(pattern: str) -> str:
    """Return a pattern whose end is the text's end: Python's `$` lets a newline follow."""
    return pattern.removesuffix("$") + r"\Z"


Id = Annotated[int, msgspec.Meta(ge=0, le=0x7FFFFFFF)]
Name = Annotated[str, msgspec.Meta(pattern=_whole(NAME_PATTERN))]
Minor = Annotated[str, msgspec.Meta(pattern=r"^3\.[0-9]{1,2}\Z")]
Positive = Annotated[int, msgspec.Meta(ge=1, le=1 << 46)]
Port = Annotated[int, msgspec.Meta(ge=1024, le=65535)]
Variable = Annotated[
    str, msgspec.Meta(pattern=_whole(VARIABLE_PATTERN), max_length=MAX_VARIABLE_NAME)
]
MAX_VARIABLES = 64
MAX_MEASURED = 256
"""Instances of one Measure."""
Value = Annotated[str, msgspec.Meta(max_length=4096)]


MODULE_PATTERN = r"^[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*\Z"
MAX_MODULES = 64
MAX_MODULE_NAME = 256


PackageAct = Annotated[str, msgspec.Meta(pattern=rf"^(?:{'|'.join(KINDS)})\Z")]


class GuardRule(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """An exception of the sink guard, without its reason."""

    sink: Annotated[str, msgspec.Meta(max_length=64)]
    location: Annotated[str, msgspec.Meta(max_length=256)]
    mode: GuardMode


class PackageRule(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """What a package may not do."""

    name: Annotated[str, msgspec.Meta(pattern=_whole(PACKAGE_PATTERN))]
    deny: Annotated[tuple[PackageAct, ...], msgspec.Meta(max_length=len(KINDS))]


class Open(msgspec.Struct, tag="open", frozen=True, forbid_unknown_fields=True):
    """Assign a bundle to a zygote. Carries two descriptors: report socket, output."""

    z: Id
    python: Minor
    digest: Annotated[str, msgspec.Meta(pattern=_whole(DIGEST_PATTERN))]
    project: Name
    function: Name
    handler: Annotated[str, msgspec.Meta(pattern=_whole(HANDLER_PATTERN), max_length=512)]
    isolation: Isolation
    trust: Trust
    memory: Positive
    cpu: Annotated[float, msgspec.Meta(gt=0, le=1024)]
    processes: Annotated[int, msgspec.Meta(ge=1, le=100_000)]
    open_files: Annotated[int, msgspec.Meta(ge=16, le=1_000_000)]
    tmp: Positive
    response: Positive
    ports: Annotated[tuple[Port, ...], msgspec.Meta(max_length=32)] = ()
    """Ports of the function's own loopback interface that lead out by the egress proxy."""
    environment: Annotated[dict[Variable, Value], msgspec.Meta(max_length=MAX_VARIABLES)] = {}
    guard: Annotated[tuple[GuardRule, ...], msgspec.Meta(max_length=20)] = ()
    packages: Annotated[tuple[PackageRule, ...], msgspec.Meta(max_length=MAX_PACKAGES)] = ()
    shapes: Annotated[
        tuple[Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{16}\Z")], ...],
        msgspec.Meta(max_length=128),
    ] = ()
    """Shapes of statements, commands and URLs that are usual of the function, by their ids."""
    strict: bool = False
    """Whether all others are refused."""
    calls: Annotated[
        tuple[Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9_]{2,32}\Z")], ...],
        msgspec.Meta(max_length=128),
    ] = ()
    """System calls that are allowed and about which its filter asks the gateway."""
    refused: bool = True
    """Whether those are refused, whatever they are about. If not, nothing is restored."""
    layout: Layout = Layout.SHARED
    restorable: bool = False
    """Whether instances may be restored after a call, instead of forked for each."""
    beside: Id | None = None
    """Another zygote, of which it is to have neither the layout of memory nor the seed of hashes.
    It waits for that if need be."""


class Become(Open, tag="become", frozen=True, forbid_unknown_fields=True):
    """Make a dependency zygote, known by the number, the zygote of a function. No descriptors.

    What decides its confinement is as it was said when it was prepared. Answered as Open is.
    """


class PrepareDependencies(
    msgspec.Struct, tag="dependencies", frozen=True, forbid_unknown_fields=True
):
    """Import dependencies in a zygote that is no function's yet; see `runner/ahead.py`.

    Carries two descriptors, as Open does. Answered with Opened when they are imported, and with
    ZygoteEnded when they are not, or as soon as it is of no use any more.
    """

    z: Id
    python: Minor
    digest: Annotated[str, msgspec.Meta(pattern=_whole(DIGEST_PATTERN))]
    """Of a bundle that has them, of which nothing else is there."""
    project: Name
    modules: Annotated[
        tuple[
            Annotated[str, msgspec.Meta(pattern=MODULE_PATTERN, max_length=MAX_MODULE_NAME)], ...
        ],
        msgspec.Meta(min_length=1, max_length=MAX_MODULES),
    ]
    memory: Positive
    cpu: Annotated[float, msgspec.Meta(gt=0, le=1024)]
    processes: Annotated[int, msgspec.Meta(ge=1, le=100_000)]
    open_files: Annotated[int, msgspec.Meta(ge=16, le=1_000_000)]
    tmp: Positive
    ports: Annotated[tuple[Port, ...], msgspec.Meta(max_length=32)] = ()
    restorable: bool = False

    def fits(self, become: Open) -> bool:
        """Tell whether a zygote that was prepared so is confined as a function's own would be."""
        same = ("python", "project", "open_files", "tmp", "ports", "restorable")
        return (
            all(getattr(self, name) == getattr(become, name) for name in same)
            and become.memory >= self.memory
            and become.trust is Trust.NORMAL
            and become.layout is Layout.SHARED
            and become.beside is None
            and not (become.packages or become.calls or become.strict)
        )


class Spawn(msgspec.Struct, tag="spawn", frozen=True, forbid_unknown_fields=True):
    """Fork an instance. Carries two descriptors: the instance's socket, its output."""

    z: Id
    i: Id
    restorable: bool = False
    """Have it traced, so that it can be made ready again after a call."""


class Kill(msgspec.Struct, tag="kill", frozen=True, forbid_unknown_fields=True):
    """End an instance and all it started."""

    z: Id
    i: Id


class Measure(msgspec.Struct, tag="measure", frozen=True, forbid_unknown_fields=True):
    """Tell what instances have used so far; answered with Using."""

    z: Id
    instances: Annotated[tuple[Id, ...], msgspec.Meta(min_length=1, max_length=MAX_MEASURED)]


class Close(msgspec.Struct, tag="close", frozen=True, forbid_unknown_fields=True):
    """End a zygote and all its instances."""

    z: Id


class Weigh(msgspec.Struct, tag="weigh", frozen=True, forbid_unknown_fields=True):
    """Give a zygote's function one part of so many of the CPU that its project has."""

    z: Id
    parts: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]


class Prepare(msgspec.Struct, tag="prepare", frozen=True, forbid_unknown_fields=True):
    """Have an interpreter's base zygote and a blank zygote ready."""

    python: Minor


Request = Open | Become | PrepareDependencies | Spawn | Kill | Measure | Close | Weigh | Prepare


def descriptors_of(request: Request) -> int:
    """Return how many descriptors come with a request."""
    if isinstance(request, Become):
        return 0
    return 2 if isinstance(request, (Open, PrepareDependencies, Spawn)) else 0


class Opened(msgspec.Struct, tag="opened", frozen=True):
    """The zygote has imported its handler and takes Spawn."""

    z: int


class Fault(enum.StrEnum):
    """Whose doing it is that a zygote has ended."""

    FUNCTION = "function"
    """Its module cannot be imported, or ended the zygote by itself."""
    NODE = "node"
    """Anything else: it was asked to end, or the node cannot have it."""


class ZygoteEnded(msgspec.Struct, tag="zygote-ended", frozen=True):
    """The zygote and all its instances are gone. `reason` is for the owner, and decides nothing."""

    z: int
    reason: str
    fault: Fault = Fault.NODE


class SpawnFailed(msgspec.Struct, tag="spawn-failed", frozen=True):
    """No instance came of a Spawn."""

    z: int
    i: int
    reason: str


class Exited(msgspec.Struct, tag="exited", frozen=True):
    """An instance is gone with all it started. `status` is that of waitpid(2)."""

    z: int
    i: int
    status: int
    out_of_memory: bool


class Used(msgspec.Struct, tag="used", frozen=True):
    """What an instance and all that it started have used since the fork.

    Comes after Exited, or before ZygoteEnded: all of that is gone.
    """

    z: int
    i: int
    cpu_us: int | None
    """Microseconds of the CPU; None where no control group tells."""
    memory: int
    """The most bytes it held at once; 0 where that is not known."""


class Using(msgspec.Struct, tag="using", frozen=True):
    """What instances that live have used since the fork: number and microseconds of the CPU.

    Those that do not live any more are left out.
    """

    z: int
    used: tuple[tuple[int, int | None], ...]


class NotReady(msgspec.Struct, tag="not-ready", frozen=True):
    """An instance cannot be made ready, and is to be ended. `reason` is for the owner."""

    z: int
    i: int
    reason: str


class Held(msgspec.Struct, tag="held", frozen=True):
    """How many bytes of memory a zygote holds, its part of what it shares with others."""

    z: int
    memory: int


class Restorer(msgspec.Struct, tag="restorer", frozen=True):
    """Whether instances can be restored at all; `problem` is empty if they can.

    Then it carries a descriptor, by which the restorer itself is asked (`restorer/protocol.py`).
    """

    z: int
    """Of no zygote."""
    problem: str


class Interpreter(msgspec.Struct, tag="interpreter", frozen=True):
    """How an interpreter's base zygote is: `problem` is empty if it can make zygotes."""

    z: int
    """Of no zygote."""
    python: str
    problem: str


class Outdated(msgspec.Struct, tag="outdated", frozen=True):
    """What a zygote runs with was replaced on disk: have another take its place."""

    z: int


class RuntimeReplaced(msgspec.Struct, tag="runtime-replaced", frozen=True):
    """The host has other files than an interpreter runs with: its zygotes are being replaced."""

    z: int
    """Of no zygote."""
    python: str
    files: tuple[str, ...]
    """Some of them."""
    count: int
    """How many they are."""


Event = (
    Opened
    | ZygoteEnded
    | SpawnFailed
    | Exited
    | Used
    | Using
    | NotReady
    | Held
    | Restorer
    | Interpreter
    | Outdated
    | RuntimeReplaced
)
MAX_PACKET = 32 * 1024
_REQUESTS = msgspec.json.Decoder(Request)


class NotTakenError(InvalidInputError):
    """The supervisor takes no such request. What is in it came with a function."""


def require_taken(request: Request, packet: bytes) -> None:
    """Raise NotTakenError for a request of a function that the supervisor would not take.

    It ends the gateway for one, and with it the calls of all other functions. What else is
    requested has nothing in it that somebody chose.
    """
    if not isinstance(request, (Open, PrepareDependencies)):
        return
    of = f"{request.project}/{request.function}" if isinstance(request, Open) else request.project
    problem = f"{len(packet)} bytes, at most {MAX_PACKET} fit" if len(packet) > MAX_PACKET else ""
    try:
        _REQUESTS.decode(packet)
    except DECODING_ERRORS as error:
        problem = str(error)
    if problem:
        raise NotTakenError(
            f"The sandbox takes no {of} as it was declared: {problem}.",
            next_step="Change that in casemate.toml and deploy it again. A manifest that passes "
            "its check should be taken: please report it.",
        )
