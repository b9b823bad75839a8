"""One function of an application as the tables of a manifest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from casemate.audit.model import Application, Function, Place, Platform
from casemate.audit.privileges import EVERY, HOLE, Details, Open
from casemate.importing.aws_calls import SERVICES
from casemate.importing.code import Source
from casemate.importing.environment import Environment
from casemate.importing.grants import Granting, left_out
from casemate.importing.needs import Needs, needs_of
from casemate.importing.outcome import Made, Notes, shown, shown_place
from casemate.importing.resources import Resources
from casemate.model.function import SUPPORTED_PYTHONS

KEEP_ON_AWS = (
    "no counterpart: keep it on AWS with a key from the vault and an egress grant "
    "(docs/howto/run-aws-handlers.md)"
)
_POWERTOOLS = ":layer:AWSLambdaPowertoolsPython"
"""In the name of the layer that brings aws-lambda-powertools."""
_MAX_OPEN = 20
_DEFAULT_MEMORY = {"serverless": 1024}
"""MiB where nothing is said; Lambda itself gives 128."""


@dataclass
class Draft:
    """One function, as far as it is made."""

    name: str
    function: Function
    source: Source
    table: dict[str, Any]
    environment: Environment
    needs: Needs = field(default_factory=Needs)


def settings_of(function: Function, application: Application, notes: Notes) -> dict[str, Any]:
    """Return version of Python and limits."""
    made: dict[str, Any] = {}
    version = function.runtime.lower().removeprefix("python")
    if version in SUPPORTED_PYTHONS:
        made["python"] = version
    elif version not in ("", "3"):
        notes.leave(
            function.place,
            f"{function.name}: there is no Python {version} here",
            f"it runs on the newest of {', '.join(SUPPORTED_PYTHONS)} that the node has: test it",
        )
    limits: dict[str, Any] = {}
    memory = function.memory
    if memory is None and function.platform is Platform.AWS and function.knows("memory"):
        memory = _DEFAULT_MEMORY.get(application.importer, 128)
    if memory is not None:
        limits["memory"] = f"{max(16, min(memory, 65_536))}MB"
    if function.timeout is not None:
        limits["timeout"] = f"{max(10, int(min(function.timeout, 900) * 1000))}ms"
        if limits["timeout"].endswith("000ms"):
            limits["timeout"] = limits["timeout"].removesuffix("000ms") + "s"
    if function.concurrency is not None:
        limits["concurrency"] = max(1, min(function.concurrency, 1_000))
        if function.concurrency < 1:
            what = f"{function.name} is switched off by a concurrency of 0"
            notes.leave(
                function.place, what, "take it out of casemate.toml, or leave it undeployed"
            )
    storage = function.settings.get("storage")
    if isinstance(storage, (int, float)) and storage > 0:
        limits["tmp"] = f"{max(1, min(int(storage), 16_384))}MB"
    return {**made, **({"limits": limits} if limits else {})}


_FEATURES = (
    (
        "layers",
        "its layers",
        "put their packages into its requirements, and their files beside its code",
    ),
    ("file_system", "its network file system", "keep files in a bucket of the project"),
    ("boundary", "the boundary of its permissions", "write a policy (docs/howto/write-a-role.md)"),
    ("published", "publishing by an alias", "use `casemate deploy` and `casemate promote`"),
    ("code_signing", "its code signing", "see docs/explanation/signatures.md"),
)


def features(function: Function, notes: Notes) -> None:
    """Tell of what the platform gave the function and this one does not."""
    if function.network.attached is not False:
        notes.leave(
            function.place,
            f"{function.name} is attached to a network of its own (VPC)",
            "grant each server that it reaches as egress, with private = true and an exception",
        )
    for key, what, next in _FEATURES:
        found = function.settings.get(key)
        if key == "layers" and found and all(_POWERTOOLS in each for each in found):
            continue  # of which requirements are made
        if found:
            blocking = key in ("layers", "file_system")
            notes.leave(function.place, f"{function.name}: {what}", next, blocking=blocking)


def delivery_of(
    function: Function,
    resources: Resources,
    consumed: list[str],
    receives: dict[str, tuple[int, str]],
) -> dict[str, Any]:
    """Return attempts, and where what was given up goes."""
    made: dict[str, Any] = {}
    attempts = function.settings.get("attempts")
    if isinstance(attempts, (int, float)):
        made["attempts"] = max(1, min(int(attempts) + 1, 100))
    target = resources.logical(str(function.settings.get("dead_letter_target") or ""))
    for queue in consumed:
        count, logical = receives.get(queue, (0, ""))
        if count:
            made["attempts"] = max(1, min(count, 100))
        target = resources.logical(logical) or target
    if target is not None and target.kind in ("queue", "topic") and target.name not in consumed:
        made["on_failure"] = [f"{target.kind}:{target.name}"]
    return made


def receives_of(application: Application, resources: Resources) -> dict[str, tuple[int, str]]:
    """Return for each queue how often a message is tried, and the queue that it goes to then."""
    found = {}
    for asset in application.of_kind("queue"):
        known = resources.logical(asset.name)
        count = asset.settings.get("receives")
        if known is not None and isinstance(count, (int, float)):
            target = str(asset.settings.get("dead_letter_target") or "")
            found[known.name] = (int(count), target)
    return found


def needs_and_grants(
    draft: Draft,
    details: Details,
    resources: Resources,
    notes: Notes,
    holds: Callable[[str], bool],
) -> dict[str, Any]:
    """Tell what to change in the code by what it calls and reads, and return the grants.

    `holds` tells whether the value of a secret stands in a text.
    """
    function = draft.function
    draft.needs = needs = needs_of(details)
    granting = Granting(function, resources, notes, draft.source.place)
    granting.take(needs)
    for variable, secret in draft.environment.secrets.items():
        if variable in needs.variables:
            granting.secret(secret)
    declared = set(function.settings.get("secrets") or ())
    for name, _ in needs.secret_files:
        known = resources.demand("secret", name, function.place) if name in declared else None
        if known is not None:
            granting.secret(known.name)
    for name in sorted(declared - {name for name, _ in needs.secret_files} - {""}):
        what = f"{function.name}: nothing was seen to read the secret {name}, so it is not granted"
        notes.leave(function.place, what, "grant it if it is needed, and read it by context.secret")
    if "flask" in str(function.settings.get("lang") or "") and "flask" in needs.libraries:
        what = f"{function.name}: the request of Flask, which its template gives, is not there"
        notes.leave(function.place, what, "take what it reads of flask.request from the event")
    _changes(draft, resources, notes)
    left_out(function, needs, notes)
    _open(draft, notes, holds)
    for file in needs.unread:
        what = f"{function.name}: what its code needs is not known, for it cannot be parsed"
        notes.leave(
            draft.source.place(Place(file)), what, "mend it, and add the grants", blocking=True
        )
    if needs.why:
        what = f"{function.name} may have more code than is read: {needs.why}"
        notes.leave(function.place, what, "add the grants that are missing", blocking=True)
    return granting.table()


def _open(draft: Draft, notes: Notes, holds: Callable[[str], bool]) -> None:
    """Tell what may use more of what the role allows, and how is not known."""
    allowed = {
        action.partition(":")[0].lower()
        for statement in draft.function.permissions
        for action in statement.actions
    }
    allowed &= SERVICES | {EVERY}
    told: list[Open] = [
        each
        for each in draft.needs.open
        if allowed and (each.service == EVERY or each.service in allowed or EVERY in allowed)
    ]
    for each in told[:_MAX_OPEN]:
        why = "there is a text here that holds a secret" if holds(each.what) else each.what
        what = f"{draft.function.name}: {why}, so what it needs besides is not known"
        next = "nothing was granted for it; add the grants that are missing to casemate.toml"
        notes.leave(draft.source.place(each.place), what, next)


def _changes(draft: Draft, resources: Resources, notes: Notes) -> None:
    needs, place_of = draft.needs, draft.source.place
    for use in needs.uses:
        what = f"{use.service}: {use.method}"
        if use.call is None:
            notes.change(place_of(use.place), what, KEEP_ON_AWS)
            continue
        known = resources.find(use.call.kind, use.name) if HOLE not in use.name else None
        name = f'"{known.name}"' if known is not None else "NAME"
        notes.change(place_of(use.place), what, use.call.instead.format(name))
    for method, place in needs.undecided:
        instead = "what it is called on is not known: see docs/reference/context.md"
        notes.change(place_of(place), method, instead)
    for variable, place in needs.reads:
        if variable in draft.environment.secrets:
            secret = draft.environment.secrets[variable]
            notes.change(place_of(place), f"the variable {variable}", f'context.secret("{secret}")')
    for name, place in needs.secret_files:
        known = resources.find("secret", name)
        secret = known.name if known is not None else name
        notes.change(
            place_of(place), f"the file of the secret {name}", f'context.secret("{secret}")'
        )


def made_of(draft: Draft, grants: Mapping[str, Any], secrets: tuple[str, ...]) -> Made:
    """Return what is told of a function."""
    table = draft.table
    told = []
    for kind, entries in grants.items():
        for each in entries:
            if isinstance(each, str):
                told.append(f"{kind} {each}")
            elif "host" in each:
                told.append(f"egress {each['host']}:{each.get('port', 443)}")
            else:
                prefixes = f" {' '.join(each['prefixes'])}" if "prefixes" in each else ""
                told.append(f"{kind} {each['name']} {','.join(each['actions'])}{prefixes}")
    return Made(
        name=draft.name,
        was=shown(draft.function.name),
        place=shown_place(draft.function.place),
        handler=table["handler"],
        source=table["source"],
        routes=tuple(f"{each['method']} {each['path']}" for each in table.get("http", ())),
        triggers=tuple(
            shown(f"{kind} {each.get(kind) or each.get('cron') or each.get('every')}")
            for kind in ("schedule", "queue", "topic", "bucket", "table")
            for each in table.get(kind, ())
        ),
        grants=tuple(map(shown, told)),
        secrets=secrets,
    )
