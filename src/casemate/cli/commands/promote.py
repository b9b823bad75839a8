"""`casemate promote`: who gets which version."""

from __future__ import annotations

import re

from casemate.cli.commands.ls import shares
from casemate.cli.errors import UsageError
from casemate.cli.operation_command import Call, answered
from casemate.cli.options import new_app
from casemate.cli.terminal import print_line
from casemate.model.deployment import Alias
from casemate.operations.functions import SetAlias, Target

app = new_app()

_TARGET = re.compile(r"v?([1-9][0-9]{0,14})(?:=([1-9][0-9]{0,2})%?)?")
_NEXT = "Give VERSION alone, or VERSION=PERCENT for each, such as `8=5 7=95`."


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


@answered(
    app,
    SetAlias,
    read={"targets": parse_targets},
    examples="""\
Everyone gets version 8
$ casemate promote hello 8
One in twenty gets version 8
$ casemate promote hello 8=5 7=95
Another alias, reached as hello@beta
$ casemate promote hello 8 --alias beta
""",
)
def promote(changed: Alias, call: Call) -> None:
    """Send callers to a version, or to several by weight.

    The percentages add up to 100. The change takes effect with the next call; calls that are
    running end where they are.
    """
    print_line(f"{call.name}@{changed.name} now points to {shares(changed)}.")
