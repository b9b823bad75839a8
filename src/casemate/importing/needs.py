"""What a function's code needs of AWS, of servers and of its settings, in the words of a manifest.

`audit.privileges` reads the code; here is what of it becomes grants, or has to be changed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from casemate.audit.model import Place
from casemate.audit.privileges import HOLE, Details, Open, plain
from casemate.audit.privileges import Call as Called
from casemate.importing.aws_calls import CALLS, FREE, TELLING, Call

BROUGHT = {
    "boto3": "boto3",
    "botocore": "boto3",
    "aws_lambda_powertools": "aws-lambda-powertools",
}
"""Packages by the modules that Lambda, or a layer of AWS's own, brings along."""
OPENFAAS_SECRETS = "/var/openfaas/secrets/"


@dataclass(frozen=True)
class Use:
    """One call of AWS."""

    service: str
    method: str
    name: str
    """Of the resource, as a text of the template; with HOLE if that is not known."""
    place: Place
    call: Call | None = None
    """What is known of it; None if it has no counterpart."""


@dataclass(frozen=True)
class Contact:
    """One call of a server. The host is empty where it is not known."""

    host: str
    port: int
    place: Place


@dataclass
class Needs:
    """All that one function needs."""

    uses: list[Use] = field(default_factory=list)
    undecided: list[tuple[str, Place]] = field(default_factory=list)
    """Calls that only boto3 has, on something that is not known."""
    open: list[Open] = field(default_factory=list)
    """What may use AWS besides, and how is not known."""
    reads: list[tuple[str, Place]] = field(default_factory=list)
    """All places that read a variable of the environment."""
    contacts: list[Contact] = field(default_factory=list)
    secret_files: list[tuple[str, Place]] = field(default_factory=list)
    packages: set[str] = field(default_factory=set)
    """Of those that Lambda or a layer brings along, what is imported."""
    libraries: frozenset[str] = frozenset()
    """All that are imported, by their first names."""
    unread: tuple[str, ...] = ()
    """Files that cannot be parsed."""
    why: str = ""
    """Why there may be more, if so."""

    @property
    def variables(self) -> set[str]:
        """Return the variables of the environment that are read."""
        return {name for name, _ in self.reads}


def needs_of(details: Details) -> Needs:
    """Return what becomes of what a function's code calls and reads."""
    own = {(c.place, c.operation, c.resource) for c in details.calls if c.own}
    return Needs(
        uses=[
            _use(each)
            for each in details.calls
            if plain(each.operation) not in FREE
            and (each.own or (each.place, each.operation, each.resource) not in own)
        ],
        undecided=[(each.method, each.place) for each in details.lost if each.method in TELLING],
        open=[
            each
            for each in details.open
            if not any(each.what == f"{file} cannot be read" for file in details.unread)
        ],
        reads=[(each.name, each.place) for each in details.variables],
        contacts=[_contact(each.name, each.place) for each in details.addresses],
        secret_files=[
            (each.name.removeprefix(OPENFAAS_SECRETS), each.place)
            for each in details.files
            if each.name.startswith(OPENFAAS_SECRETS)
        ],
        packages={BROUGHT[name] for name in BROUGHT if name in details.libraries},
        libraries=frozenset(details.libraries),
        unread=details.unread,
        why=details.why,
    )


def _use(called: Called) -> Use:
    name, call = CALLS.get(
        (called.service, plain(called.operation)),
        (_method(called.operation), None),
    )
    # With other credentials it is about what another account has.
    call = call if called.own else None
    return Use(called.service, name, called.resource, called.place, call)


def _method(operation: str) -> str:
    """Return the name of an operation as a method: `DescribeDBInstances`, `ListBuckets`."""
    made = operation[:1].lower()
    for before, each, behind in zip(operation, operation[1:], operation[2:] + " ", strict=False):
        begins = each.isupper() and (not before.isupper() or behind.islower())
        made += f"_{each.lower()}" if begins else each.lower()
    return made


def _contact(address: str, place: Place) -> Contact:
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return Contact("", 443, place)
    known = bool(host) and parts.scheme in ("http", "https")
    if not known or address.startswith(HOLE) or HOLE in parts.netloc or "$" in parts.netloc:
        return Contact("", 443, place)
    return Contact(host, port or (443 if parts.scheme == "https" else 80), place)
