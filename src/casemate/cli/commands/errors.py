"""`casemate errors`: what a caller did not get to see."""

from __future__ import annotations

from casemate.cli.operation_command import answered
from casemate.cli.options import new_app
from casemate.cli.terminal import BOLD, RED, note, print_line, print_table, print_text
from casemate.cli.text import moment, version_name
from casemate.model.invocation import ErrorRecord
from casemate.operations.error_groups import ErrorGroups, ListErrorGroups
from casemate.operations.records import Errors, ListErrors, ShowError

app = new_app("List errors, and look up the one that a caller got the id of.")


@answered(
    app,
    ListErrors,
    examples="""\
$ casemate errors ls
$ casemate errors ls hello --since 1h
$ casemate errors ls --outcome timeout --json
""",
)
def ls(found: Errors) -> None:
    """List the latest errors, the newest first, without their traces.

    Refused calls are among them: they have an id, too.
    """
    print_table(
        ("at", "function", "outcome", "id", "what"),
        [
            (
                moment(error.at),
                version_name(error.project, error.function, error.version),
                error.outcome.value,
                error.id,
                f"{error.type}: {error.message}".rstrip(": "),
            )
            for error in found.errors
        ],
        below=("id", "what"),
        empty="There are no errors that fit.",
    )


@answered(
    app,
    ListErrorGroups,
    name="groups",
    examples="$ casemate errors groups\n$ casemate errors groups shop --since 7d --json",
)
def groups(found: ErrorGroups) -> None:
    """List errors by what is the same of them: type, and frames of the function's own code.

    Neither messages nor line numbers count, so that values and versions make no new ones.
    """
    print_table(
        ("last", "function", "times", "trend", "versions", "what", "first", "latest"),
        [
            (
                moment(each.last_at),
                version_name(each.project, each.function, 0),
                str(each.count),
                each.trend.value,
                " ".join(map(str, each.versions)),
                f"{each.type} at {each.place}" if each.place else each.type,
                moment(each.first_at),
                each.latest,
            )
            for each in found.groups
        ],
        below=("what", "first", "latest"),
        empty="There are no errors that fit.",
    )
    if found.looked_at:
        note(f"Of the newest {found.looked_at} errors, since {moment(found.since)}.")


@answered(app, ShowError, examples="$ casemate errors show err_1f2e3d")
def show(found: ErrorRecord) -> None:
    """Show all there is to know of an error: type, message, trace.

    Callers get only the id: what is shown here may hold data of theirs.
    """
    print_line(f"{found.project}/{found.function} version {found.version}: {found.outcome}", BOLD)
    print_line(f"  at          {moment(found.at)}")
    print_line(f"  invocation  {found.invocation}")
    print_line()
    told = f"{found.type}: {found.message}".rstrip()
    trace = found.trace.rstrip()
    # A trace of Python ends with this very line.
    if trace.endswith(told):
        trace = trace.removesuffix(told).rstrip()
    if trace:
        print_text(trace)
    print_line(told, RED)
