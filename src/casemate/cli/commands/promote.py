"""`casemate promote`: who gets which version."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from casemate.cli.client import connect
from casemate.cli.commands.ls import shares
from casemate.cli.errors import UsageError
from casemate.cli.names import resolve
from casemate.cli.options import FunctionArgument, JsonOption, command, new_app
from casemate.cli.terminal import print_json, print_line
from casemate.model.deployment import LIVE
from casemate.operations.functions import SetAlias, Target

app = new_app()

_TARGET = re.compile(r"v?([1-9][0-9]{0,14})(?:=([1-9][0-9]{0,2})%?)?")
_NEXT = "Give VERSION alone, or VERSION=PERCENT for each, such as `8=5 7=95`."


@command(
    app,
    examples="""\
Everyone gets version 8
$ casemate promote hello 8
One in twenty gets version 8
$ casemate promote hello 8=5 7=95
Another alias, reached as hello@beta
$ casemate promote hello 8 --alias beta
""",
)
def promote(
    function: FunctionArgument,
    targets: Annotated[
        list[str],
        typer.Argument(
            metavar="VERSION[=PERCENT]", help="Versions and the share of callers each gets."
        ),
    ],
    alias: Annotated[str, typer.Option("--alias", help="The alias to point there.")] = LIVE,
    json: JsonOption = False,
) -> None:
    """Send callers to a version, or to several by weight.

    The percentages add up to 100. The change takes effect with the next call; calls that are
    running end where they are.
    """
    name = resolve(function)
    wanted = SetAlias(
        project=name.project, function=name.function, name=alias, targets=parse_targets(targets)
    )
    with connect() as client:
        changed = client.call(wanted)
    if json:
        print_json(changed)
    else:
        print_line(f"{name}@{changed.name} now points to {shares(changed)}.")


def parse_targets(texts: list[str]) -> tuple[Target, ...]:
    """Return the targets that `8=5 7=95` or `8` mean. Raises UsageError."""
    targets = []
    for text in texts:
        match = _TARGET.fullmatch(text)
        if match is None or (match[2] is None and len(texts) > 1):
            raise UsageError(
                f"{text!r} is not a version with its share in per cent.", next_step=_NEXT
            )
        targets.append(Target(version=int(match[1]), weight=int(match[2] or 100)))
    total = sum(target.weight for target in targets)
    if total != 100:
        raise UsageError(f"The shares add up to {total} %, expected 100 %.", next_step=_NEXT)
    if len({target.version for target in targets}) != len(targets):
        raise UsageError("A version is named more than once.", next_step=_NEXT)
    return tuple(targets)
