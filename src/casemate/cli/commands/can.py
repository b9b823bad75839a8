"""`casemate can`: ask the node what somebody may do."""

from __future__ import annotations

from typing import Annotated

import typer

from casemate.cli.client import connect
from casemate.cli.errors import ExitCode, NotUnderstoodError, UsageError
from casemate.cli.operation_command import asked
from casemate.cli.options import JsonOption, new_app
from casemate.cli.terminal import GREEN, RED, print_json, print_labelled, print_line
from casemate.operations.policies import Answer, Decide

app = new_app()


@asked(
    app,
    Decide,
    examples="""\
$ casemate can user:ada function:deploy function:shop/cart
$ casemate can function:shop/resize bucket:read bucket:shop/uploads --why
$ casemate can anonymous:public function:invoke function:shop/cart
""",
)
def can(
    wanted: Decide,
    *,
    why: Annotated[bool, typer.Option("--why", help="Name the policies that decide this.")] = False,
    json: JsonOption = False,
) -> None:
    """Tell whether somebody may do something. Exit code 0 means yes, 1 means no.

    It is 2 if the question is not understood, and 3 if there is nobody of that name.

    The node decides with its present roles, grants and policies. Everybody may ask about
    themselves; asking about others takes `policy:read`.
    """
    with connect() as client:
        try:
            answer = client.call(wanted)
        except NotUnderstoodError as error:
            # Not as a "no" ends: whoever asks in a script has to be able to tell them apart.
            raise UsageError(error.message, next_step=error.next_step) from error
    if json:
        print_json(answer)
    else:
        print_line("allow" if answer.allowed else "deny", GREEN if answer.allowed else RED)
        for line in _why(answer) if why else ():
            print_labelled("", line, 0)
    if not answer.allowed:
        raise typer.Exit(ExitCode.FAILURE)


def _roles(answer: Answer) -> list[str]:
    """Say which roles would allow it, as they are given: where the resource is."""
    _, _, place = answer.resource.partition(":")
    project = place.partition("/")[0]
    roles = [f"{role}@{project}" if project else role for role in answer.roles]
    kind, _, name = answer.principal.partition(":")
    lines = [f"roles that would allow it: {', '.join(roles)}"]
    if kind == "user":
        lines.append(
            f"`casemate users roles {name} --role ROLE` gives one; name each to keep as well"
        )
    else:
        lines.append(
            "a token keeps its roles: `casemate tokens add NAME --role ROLE` makes another"
        )
    return lines


def _why(answer: Answer) -> list[str]:
    """Return what decided, one reason a line."""
    lines = [f"error: {error}" for error in answer.errors]
    if not answer.errors:
        lines += [f"by {reason}" for reason in answer.reasons]
    if not lines:
        lines.append("no policy allows it")
    if answer.roles:
        lines += _roles(answer)
    if answer.principal.startswith("function:") and not answer.granted:
        lines.append("its live version is not granted this")
    return lines
