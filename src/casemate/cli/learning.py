"""Learning what functions need: a run on a development node that lets uses through and notes them.

Only `casemate dev` does this, on an address of this machine; a node that others use never does.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from casemate.admission.grants import describe, learned
from casemate.cli.client import NodeClient
from casemate.cli.credentials import Credentials
from casemate.cli.deployed import deployed_functions
from casemate.cli.errors import CommandError, UsageError
from casemate.cli.grant_report import function_grants
from casemate.cli.names import FunctionName
from casemate.cli.terminal import GREEN, YELLOW, note, print_text
from casemate.model.function import FunctionSpec, Project
from casemate.model.grant import ACTIONS, Grant, GrantKind
from casemate.model.loopback import is_loopback
from casemate.model.trigger import QueueTrigger
from casemate.operations.messages import ShowQueue
from casemate.operations.metrics import ShowMetrics
from casemate.operations.records import ListInvocations

_SETTLE_SECONDS: Final = 30.0
"""Time that what a command has caused gets to be done."""
_LOOK_SECONDS: Final = 0.3


def require_learnable(
    host: str, command: Sequence[str] | None, *, learn: bool, write: bool
) -> None:
    """Refuse options that do not go together."""
    if not learn and (command or write):
        raise UsageError(
            "A command to run and --write are only for --learn.",
            next_step="Run: casemate dev --learn -- COMMAND",
        )
    if learn and not is_loopback(host):
        raise UsageError(
            f"--learn lets functions do what they are not granted, which {host} would offer to "
            f"other machines; expected one of 127.0.0.1, ::1, localhost.",
            next_step="Leave --host out.",
        )


def with_everything_declared(spec: FunctionSpec, project: Project) -> FunctionSpec:
    """Return a function that is granted, beside its own grants, all that the project declares.

    So the buckets, tables, queues and topics that it may turn out to use are made for the run.
    What it uses of them is noted, and that alone is proposed afterwards.
    """
    own = {grant.text for grant in spec.grants}
    declared = [
        Grant(kind=kind, name=name, actions=ACTIONS[kind])
        for kind, names in project.resources.names().items()
        for name in names
    ]
    kinds = list(GrantKind)
    grants = [*spec.grants, *(grant for grant in declared if grant.text not in own)]
    grants.sort(key=lambda grant: (kinds.index(grant.kind), grant.name))
    return msgspec.structs.replace(spec, grants=tuple(grants))


def run_command(command: Sequence[str], credentials: Credentials) -> int:
    """Run the tests, or whatever shall use the functions; return the exit code."""
    environment = {
        **os.environ,
        "CASEMATE_URL": credentials.url,
        "CASEMATE_KEY": credentials.key or "",
    }
    try:
        return subprocess.run(command, env=environment, check=False).returncode
    except OSError as error:
        raise CommandError(
            f"{command[0]} cannot be run: {error.strerror}.",
            next_step="Check the command after `--`.",
        ) from error


def let_settle(client: NodeClient, manifest: Path) -> None:
    """Wait until what the command has caused is done: calls that run, events that are kept.

    What it asks for without waiting, and what triggers bring, uses grants as well.
    """
    from casemate.manifest import load

    project = load(manifest)
    ends, told = time.monotonic() + _SETTLE_SECONDS, False
    while left := _left(client, project):
        if time.monotonic() >= ends:
            note(f"Not waited for any longer: {left}; what they use is not known.", YELLOW)
            return
        if not told:
            note(f"Waiting, for up to {_SETTLE_SECONDS:.0f} s: {left}.")
            told = True
        time.sleep(_LOOK_SECONDS)


def _left(client: NodeClient, project: Project) -> str:
    """Say what runs or waits, nothing if nothing does."""
    running = len(client.call(ListInvocations(project=project.name, limit=1)).running)
    consumed = {
        trigger.queue
        for spec in project.functions
        for trigger in spec.triggers
        if isinstance(trigger, QueueTrigger)
    }
    waiting = sum(
        client.call(ShowQueue(project=project.name, queue=queue)).waiting for queue in consumed
    )
    if not running and not waiting:
        # Of the node, which knows it as it was some seconds ago.
        shown = client.call(ShowMetrics(project=project.name))
        waiting = sum(one.inbox + one.waiting for one in shown.functions)
    counted = ((running, "call", "runs"), (waiting, "event", "waits"))
    return " and ".join(
        f"{count} {what} that {does}" if count == 1 else f"{count} {what}s that {does[:-1]}"
        for count, what, does in counted
        if count
    )


def propose(client: NodeClient, manifest: Path, *, write: bool) -> None:
    """Print the grants that cover what each function used, and write them if `write`."""
    from casemate.manifest import ManifestEditor, grants_text

    editor = ManifestEditor(manifest)
    project = editor.project
    proposed: dict[str, tuple[Grant, ...]] = {}
    for spec in project.functions:
        used = _learned(client, project, spec)
        if used is None:
            continue
        sound = [grant for grant in used if _missing(grant, project) is None]
        for grant in used:
            missing = _missing(grant, project)
            if missing is not None:
                note(f"Left out of {spec.name}: {describe(grant)}: {missing}.", YELLOW)
        proposed[spec.name] = tuple(sound)
        if sound or spec.grants:
            print_text(grants_text(spec.name, sound))
    present = {spec.name: spec.grants for spec in project.functions}
    changed = {name: grants for name, grants in proposed.items() if present[name] != grants}
    if not proposed:
        note("Nothing was learned: let the command, or a client, invoke the functions.", YELLOW)
    elif not changed:
        note("The grants in the manifest are what was used.")
    elif write:
        editor.write(changed)
        note(f"Written to {manifest}: read it before you deploy it.", GREEN)


def _learned(client: NodeClient, project: Project, spec: FunctionSpec) -> tuple[Grant, ...] | None:
    """Return the grants that cover what all versions of the run used; None if there is none.

    Each save of the code while learning makes a version. Nothing used gives no grants.
    """
    name = FunctionName(project.name, spec.name)
    deployed = deployed_functions(client).get(name)
    if deployed is None:
        note(f"{spec.name} was not deployed, so nothing is known of it.", YELLOW)
        return None
    uses = [
        use
        for version in deployed.versions
        for use in function_grants(client, name, version=version.number).uses
    ]
    if not uses and not _was_invoked(client, name):
        note(f"{spec.name} was not invoked, so its grants stay as they are.", YELLOW)
        return None
    return learned(uses, spec.grants)


def _was_invoked(client: NodeClient, name: FunctionName) -> bool:
    wanted = ListInvocations(project=name.project, function=name.function, limit=1)
    return bool(client.call(wanted).invocations)


def _missing(grant: Grant, project: Project) -> str | None:
    """Return what a manifest lacks for a grant that a run has shown, None if nothing."""
    from casemate.manifest import is_private

    declared = project.resources.names()
    if grant.kind in declared and grant.name not in declared[grant.kind]:
        return f"declare it with [{grant.kind.value}.{grant.name}] first"
    if grant.kind is GrantKind.FUNCTION and project.function(grant.name) is None:
        return "the manifest has no such function"
    if grant.kind is GrantKind.EGRESS and not grant.private:
        host = grant.name.rpartition(":")[0]
        if is_private(host):
            return 'grant it by hand with private = true and exception = "why"'
    return None
