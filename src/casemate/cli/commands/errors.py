"""`casemate errors`: what a caller did not get to see."""

from __future__ import annotations

from casemate.cli.behind import note_behind
from casemate.cli.client import NodeClient
from casemate.cli.error_shown import print_error
from casemate.cli.errors import MissingError
from casemate.cli.operation_command import Call, Instead, answered
from casemate.cli.options import JsonOption, new_app
from casemate.cli.terminal import (
    BOLD,
    note,
    print_document,
    print_json,
    print_line,
    print_table,
)
from casemate.cli.text import moment, version_name
from casemate.model.error_group import ErrorGroup
from casemate.model.invocation import ErrorRecord
from casemate.model.principal import Action
from casemate.model.recording import ErrorSnapshot
from casemate.model.refusals import REFUSED
from casemate.operations.error_groups import ErrorGroups, ListErrorGroups
from casemate.operations.login import Whoami
from casemate.operations.policies import Decide
from casemate.operations.records import Errors, ListErrors, ShowError, ShowErrorSnapshot

app = new_app("List errors, and look one up by the id that a caller got.")


@answered(
    app,
    ListErrorGroups,
    examples="""\
$ casemate errors ls
$ casemate errors ls hello --since 7d
$ casemate errors ls --each --limit 20 --outcome timeout --json
""",
    instead=Instead(ListErrors, "each", "List single errors, the newest first."),
)
def ls(found: ErrorGroups | Errors, call: Call) -> None:
    """List errors, grouped by type, the frames of the function's own code, and the line there.

    Messages and line numbers do not count, so that other values and versions make no new groups.
    Refused calls are no errors of the function's code. They are grouped by their reason, and have
    an id, too: `NotAuthenticated`, `NotAllowed`, `NotFound`, `MethodNotAllowed`, `InvalidRequest`,
    `ContractBroken`, `HostileEvent`, `TooLarge`, `NotJson`, `Throttled`, `Unavailable`, `Conflict`,
    `NoRoomToKeep`.

    `trend` compares the newer half of the time with the older. `new` means that it occurred only in
    the newest quarter, `gone` that it occurred neither there nor in the last ten minutes. With
    --json: `groups`, or `errors` with --each.
    """
    if isinstance(found, Errors):
        _each(found)
    else:
        _groups(found)
        _note_reach(found, call.operation)


def _each(found: Errors) -> None:
    several = any(error.node for error in found.errors)
    print_table(
        ("at", "function", "outcome", "id", *(("node",) if several else ()), "what"),
        [
            (
                moment(error.at),
                version_name(error.project, error.function, error.version),
                error.outcome.value,
                error.id,
                *([error.node] * several),
                f"{error.type}: {error.message}".rstrip(": "),
            )
            for error in found.errors
        ],
        below=("id", *(("node",) if several else ()), "what"),
        empty="No error matches.",
    )
    note_behind(found.behind)


def _groups(found: ErrorGroups) -> None:
    print_table(
        ("last", "function", "times", "trend", "versions", "what", "first", "latest"),
        [
            (
                moment(each.last_at),
                version_name(each.project, each.function, 0),
                str(each.count),
                each.trend.value,
                " ".join(str(version) for version in each.versions if version),
                _what(each),
                moment(each.first_at),
                each.latest,
            )
            for each in found.groups
        ],
        below=("what", "first", "latest"),
        empty="No error matches.",
    )


def _what(group: ErrorGroup) -> str:
    if not group.place:
        return f"{group.type}, a refused call" if group.type in REFUSED else group.type
    place = f"{group.type} at {group.place}"
    return f"{place}: {group.line}" if group.line else place


def _note_reach(found: ErrorGroups, wanted: ListErrorGroups) -> None:
    """Tell how far back was looked; without a bound and with room left, that is as far as it goes.

    The time that a trend is of may begin before the first error.
    """
    if not found.looked_at:
        return
    if found.looked_at < wanted.limit:
        count = "the one error" if found.looked_at == 1 else f"all {found.looked_at} errors"
        whole = wanted == ListErrorGroups(limit=wanted.limit)
        note(f"Counted: {count} that the node keeps{'' if whole else ' of what was asked for'}.")
        return
    note(
        f"Counted: the newest {found.looked_at} errors, since {moment(found.since)}. "
        "Older ones are not; --limit says how many are."
    )


@answered(app, ShowError, examples="$ casemate errors show err_1f2e3d")
def show(found: ErrorRecord, call: Call, *, json: JsonOption = False) -> None:
    """Show everything about an error: type, message, trace, and what its frames held.

    Callers get only the id. What is shown here may contain their data. What the frames held is
    masked, and shown only to those who may `error:snapshot`; the node records that you saw it.
    """
    snapshot = _snapshot(found, call.client)
    if json:
        from msgspec import to_builtins  # not above: help is shown without it

        print_json({**to_builtins(found), "snapshot": to_builtins(snapshot)})
        return
    of = version_name(found.project, found.function, 0)
    version = f" version {found.version}" if found.version else ""
    print_line(f"{'no function' if of == '-' else of}{version}: {found.outcome}", BOLD)
    print_line(f"  at          {moment(found.at)}")
    if found.invocation:
        print_line(f"  invocation  {found.invocation}")
    print_line()
    print_error(found)
    if snapshot is not None:
        print_line()
        print_line("values in the function's frames, the innermost first", BOLD)
        print_document(snapshot.values.rstrip())


def _snapshot(error: ErrorRecord, client: NodeClient) -> ErrorSnapshot | None:
    """Return what the frames held; None where there is none, or it is not for who asks.

    It is asked first whether it is: what is not allowed would be recorded as tried.
    """
    if not error.project:
        return None
    try:
        may = Decide(
            principal=client.call(Whoami()).principal,
            action=Action.ERROR_SNAPSHOT.value,
            resource=f"project:{error.project}",
        )
        if not client.call(may).allowed:
            return None
        return client.call(ShowErrorSnapshot(project=error.project, id=error.id))
    except MissingError:
        return None
