"""What protects functions from each other and the host from them, or what is accepted instead."""

from __future__ import annotations

import contextlib
import os
import resource
import socket

from casemate.kernel import linux, machines
from casemate.kernel.cgroups import Driver
from casemate.model.errors import ProtectionMissingError
from casemate.model.loopback import is_loopback
from casemate.model.protection import ProtectionStatus
from casemate.sandbox.cgroups import open_driver
from casemate.sandbox.identities import Identities
from casemate.supervisor.function_ids import function_ids
from casemate.supervisor.host import kept_memory
from casemate.supervisor.log import report
from casemate.supervisor.options import RISKS, ServeOptions

_NAMES = ("user namespaces", "seccomp", "landlock", "cgroups", "shared-uid", "shared-files")
_PROTECTIONS = {"shared-uid": "own user ids", "shared-files": "own inodes"}
"""What is given up with a risk that is not called by the protection's name."""


def require_host() -> None:
    """Raise ProtectionMissingError on a host that the system-call filter is not made for."""
    try:
        machines.current()
    except machines.UnknownMachineError as error:
        raise ProtectionMissingError(
            str(error), next_step="Run the node on such a host."
        ) from error


def require_tls(listener: socket.socket, options: ServeOptions) -> bool:
    """Return whether to speak TLS. Raises ProtectionMissingError where that is no choice."""
    address, _, _zone = listener.getsockname()[0].partition("%")
    if options.learn and not is_loopback(address):
        raise ProtectionMissingError(
            f"A node that learns grants lets functions do what they like; {options.host} can "
            "be reached from other machines.",
            next_step="Leave out --host",
        )
    if is_loopback(address):
        return options.tls_certificate is not None or bool(options.tls_names)
    return "plaintext" not in options.accepted_risks


def claim_ids(options: ServeOptions, *, root: bool) -> Identities | None:
    """Return the user ids of functions, None where they share one and that is accepted.

    Raises ProtectionMissingError.
    """
    if root:
        # What all functions together may have pending is bounded by what started them.
        for name in (resource.RLIMIT_SIGPENDING, resource.RLIMIT_NPROC):
            with contextlib.suppress(OSError, ValueError):
                resource.setrlimit(name, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    if "shared-uid" in options.accepted_risks:
        return None
    return Identities(function_ids(options.function_ids))


def open_protections(options: ServeOptions, memory: int) -> tuple[Driver | None, bool]:
    """Return the control groups and whether Landlock is used, as the host and operator say."""
    accepted = options.accepted_risks
    for risk in accepted:
        report(f"risk accepted by the operator: {risk}: {RISKS[risk]}")
    landlock = linux.landlock_abi() > 0
    if not landlock and "landlock" not in accepted:
        raise ProtectionMissingError(
            "This kernel has no Landlock, which confines an instance to its own files.",
            next_step="Boot with lsm=landlock,..., or accept it: --accept-risk landlock",
        )
    # Last: what is refused above must leave no control group behind.
    cgroups = None if "cgroups" in accepted else open_driver(f"casemate-{os.getpid()}")
    if cgroups is not None:
        try:
            cgroups.bound(memory - kept_memory(memory))
        except OSError as error:
            report(f"functions together have no bound on their memory: {error}")
    return cgroups, landlock and "landlock" not in accepted


def statuses_of(accepted: tuple[str, ...]) -> tuple[ProtectionStatus, ...]:
    """Return what holds, for the operator to see."""
    return tuple(
        ProtectionStatus(
            name=_PROTECTIONS.get(name, name),
            holds=name not in accepted,
            required=True,
            accepted=name in accepted,
        )
        for name in _NAMES
    )
