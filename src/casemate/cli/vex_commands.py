"""`casemate advisories vex` and `take-vex`: what is said of holes, to others and by others."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from casemate.cli.advisories_app import app
from casemate.cli.client import connect
from casemate.cli.errors import CommandError, UsageError
from casemate.cli.names import resolve
from casemate.cli.options import FunctionArgument, JsonOption, command
from casemate.cli.terminal import note, print_json, print_json_text, print_line
from casemate.cli.times import seconds_of
from casemate.operations.advisories import (
    ExceptAdvisory,
    ListAdvisoryExceptions,
    ListLiveHoles,
)
from casemate.operations.functions import ShowFunction

_FORMATS = ("openvex", "cyclonedx")


@command(
    app,
    examples="$ casemate advisories vex checkout\n"
    "$ casemate advisories vex shop/checkout --format cyclonedx",
)
def vex(
    function: FunctionArgument,
    format: Annotated[
        str, typer.Option("--format", metavar="NAME", help="`openvex` or `cyclonedx`.")
    ] = "openvex",
) -> None:
    """Print what is known about the vulnerabilities of a live function, as VEX.

    A vulnerability whose exception came with a justification is `not_affected`, all others are
    `affected`.
    """
    from casemate.vulnerabilities import vex as writing

    if format not in _FORMATS:
        raise UsageError(f"{format!r} is not a format.", next_step="Give openvex or cyclonedx.")
    name = resolve(function)
    with connect() as client:
        live = client.call(ListLiveHoles(project=name.project))
        exceptions = client.call(ListAdvisoryExceptions(project=name.project)).exceptions
        if not any(one.function == name.function for one in live.holes):
            # Nothing is said of a function that is not there: an empty document would vouch for it.
            client.call(ShowFunction(project=name.project, function=name.function))
    holes = [one for one in live.holes if one.function == name.function]
    if format == "openvex":
        found = writing.openvex(holes, exceptions, client.url, time.time())
    else:
        found = writing.cyclonedx(holes, exceptions, time.time())
    print_json_text(found.decode())


@command(
    app,
    name="take-vex",
    examples="$ casemate advisories take-vex vendor.openvex.json checkout --for 90d",
)
def take_vex(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="OpenVEX or CycloneDX in JSON.")],
    function: FunctionArgument,
    for_: Annotated[
        str, typer.Option("--for", metavar="TIME", help="How long they hold: at most `180d`.")
    ],
    json: JsonOption = False,
) -> None:
    """Record an exception for each vulnerability that does not affect a function, by a VEX
    document.

    Each `not_affected` with a justification, about a PyPI package, becomes an exception of yours,
    with the document's words as the reason. Anything else in the document is counted and left out.
    A statement that cannot be understood refuses the whole document.
    """
    from casemate.vulnerabilities.vex import MAX_BYTES, read_vex

    seconds = seconds_of(for_)
    if seconds is None:
        raise UsageError(f"--for is {for_!r}.", next_step="Such as: --for 90d, at most 180d.")
    name = resolve(function)
    try:
        with file.open("rb") as opened:
            read = read_vex(opened.read(MAX_BYTES + 1))
    except OSError as error:
        raise CommandError(f"{file} cannot be read: {error.strerror}.") from error
    made = []
    with connect() as client:
        for each in read.statements:
            reason = f"VEX {file.name}: {each.detail or each.justification}"
            made.append(
                client.call(
                    ExceptAdvisory(
                        project=name.project,
                        function=name.function,
                        advisory=each.vulnerability,
                        package=each.package,
                        version=each.version,
                        reason=reason[:500],
                        justification=each.justification,
                        seconds=seconds,
                    )
                )
            )
    if json:
        print_json({"exceptions": made, "others": read.others})
        return
    for exception in made:
        print_line(f"{exception.id}  {exception.advisory} in {exception.package}")
    print_line(f"{len(made)} exceptions were recorded for {name}.")
    if read.others:
        note(f"{read.others} statements say something else than not_affected, and were left out.")
