"""`casemate promote`: who gets which version."""

from __future__ import annotations

import re
from typing import Annotated

import msgspec
import typer

from casemate.cli import watching
from casemate.cli.client import NodeClient, connect
from casemate.cli.commands.ls import shares
from casemate.cli.errors import CommandError, UsageError
from casemate.cli.operation_command import asked
from casemate.cli.options import JsonOption, new_app
from casemate.cli.terminal import print_json, print_line
from casemate.model.deployment import LIVE, Alias
from casemate.operations.functions import SetAlias, ShowFunction, Target
from casemate.operations.metrics import ShowMetrics
from casemate.operations.trials import StartTrial

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


@asked(
    app,
    SetAlias,
    read={"targets": parse_targets},
    examples="""\
Everyone gets version 8
$ casemate promote hello 8
One in twenty gets version 8
$ casemate promote hello 8=5 7=95
One in ten gets it for a minute, and then everyone or nobody
$ casemate promote hello 8 --weight 10 --watch 60
Another alias, reached as hello@beta
$ casemate promote hello 8 --alias beta
""",
)
def promote(
    wanted: SetAlias,
    *,
    weight: Annotated[
        int | None,
        typer.Option(
            "--weight",
            metavar="PERCENT",
            min=1,
            max=99,
            help="The share of the one version that is named; the rest stays with the one that is "
            f"live. With --watch {watching.DEFAULT_WEIGHT} where it is not given.",
        ),
    ] = None,
    watch: Annotated[
        int | None,
        typer.Option(
            "--watch",
            metavar="SECONDS",
            min=watching.LEAST_SECONDS,
            max=watching.MOST_SECONDS,
            help="Compare errors and latency of both versions for this time, then send all "
            "callers to the version, or none.",
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Send callers to a version, or to several by weight.

    The percentages add up to 100. The change takes effect with the next call; running calls end
    where they are.

    With --watch the version is a canary: it is promoted unless, by more than chance, more of its
    calls fail or they take longer than those of the previous version. In that case, and with fewer
    than 20 calls of either, all calls go back to the previous version and the exit code is 1.
    Whatever happens to this command, the node ends the trial by itself half a minute after that
    time.
    """
    if weight is None and watch is None:
        with connect() as client:
            changed = client.call(wanted)
        if json:
            print_json(changed)
        else:
            _print(changed)
        return
    _require_one(wanted)
    with connect() as client:
        if watch is None:
            changed = client.call(_shared(client, wanted, weight or watching.DEFAULT_WEIGHT))
            if json:
                print_json(changed)
            else:
                _print(changed)
            return
        tried = _tried(client, wanted, weight, watch)
    if json:
        print_json(tried)
    else:
        watching.print_tried([tried])
    if tried.result is not watching.Result.PROMOTED:
        raise typer.Exit(1)


def _require_one(wanted: SetAlias) -> None:
    if len(wanted.targets) > 1 or wanted.targets[0].weight != 100:
        raise UsageError(
            "--weight and --watch are for one version, named without its share.",
            next_step="Such as: casemate promote hello 8 --weight 10 --watch 60",
        )
    if wanted.name != LIVE:
        raise UsageError(f"--weight and --watch are for the alias {LIVE} alone.")


def _shared(client: NodeClient, wanted: SetAlias, weight: int) -> SetAlias:
    """Return what gives one version a share beside the version that is live alone."""
    shown = ShowFunction(project=wanted.project, function=wanted.function)
    live = next((alias for alias in client.call(shown).aliases if alias.name == LIVE), None)
    if live is None or len(live.targets) != 1:
        raise CommandError(
            f"{wanted.project}/{wanted.function} has no version that is live alone.",
            next_step=_NEXT,
        )
    one, other = wanted.targets[0].version, live.targets[0].version
    if one == other:
        raise CommandError(
            f"All callers get version {one} already.",
            next_step=f"See its versions: casemate show {wanted.project}/{wanted.function}",
        )
    targets = (Target(version=other, weight=100 - weight), Target(version=one, weight=weight))
    return msgspec.structs.replace(wanted, targets=targets)


def _tried(
    client: NodeClient, wanted: SetAlias, weight: int | None, seconds: int
) -> watching.Tried:
    """Have a version tried, and watch it."""
    project, function = wanted.project, wanted.function
    client.call(ShowMetrics(project=project, function=function))  # who may not see them is told now
    begun = client.call(
        StartTrial(
            project=project,
            function=function,
            version=wanted.targets[0].version,
            terms=watching.terms(weight, seconds),
        )
    )
    return watching.watch(client, [begun], seconds)[0]


def _print(changed: Alias) -> None:
    name = f"{changed.project}/{changed.function}"
    print_line(f"{name}@{changed.name} now points to {shares(changed)}.")
