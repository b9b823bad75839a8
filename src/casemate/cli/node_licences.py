"""`casemate advisories licences`: which licences packages of functions may have on a node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec
import typer

from casemate.cli.advisories_app import app
from casemate.cli.client import connect
from casemate.cli.errors import UsageError
from casemate.cli.options import JsonOption, command
from casemate.cli.terminal import print_json, print_line, print_table
from casemate.decoding import decodable
from casemate.model.licence import LicenceRules
from casemate.model.vulnerability import LicenceFinding
from casemate.operations.advisories import SetLicenceRules, ShowAdvisories


@command(
    app,
    examples="""\
$ casemate advisories licences
Only these, and what states none is let through
$ casemate advisories licences --allow MIT --allow Apache-2.0 --unknown allowed
One more; any again
$ casemate advisories licences --add 'GPL-2.0-only WITH Classpath-exception-2.0'
$ casemate advisories licences --any
""",
)
def licences(
    allow: Annotated[
        list[str] | None,
        typer.Option("--allow", metavar="ID", help="Only this and the others given. Repeatable."),
    ] = None,
    add: Annotated[
        list[str] | None,
        typer.Option("--add", metavar="ID", help="This as well. Repeatable."),
    ] = None,
    unknown: Annotated[
        str | None,
        typer.Option(
            "--unknown",
            metavar="WHAT",
            help="Packages whose licence is not known are `refused`, or `allowed`.",
        ),
    ] = None,
    any_: Annotated[bool, typer.Option("--any", help="Take the rule back.")] = False,
    json: JsonOption = False,
) -> None:
    """Show or set which licences the packages of functions may have.

    Without a rule nothing is refused. With a rule, a deploy is refused if the licence expression of
    a package is not satisfied by the allowed licences: one side of OR, both sides of AND. An
    unknown licence is refused unless --unknown says otherwise. What is live stays live, and
    `casemate advisories live` lists it.
    """
    if (any_ and (allow or add or unknown)) or (allow and add):
        raise UsageError(
            "It is not clear what the rule is to be.",
            next_step="Give --allow, or --add, or --any.",
        )
    with connect() as client:
        found = client.call(ShowAdvisories()).licences
        if any_ or allow or add or unknown:
            found = client.call(_wanted(found, allow or [], add or [], unknown, any_=any_))
    if json:
        print_json(found)
    else:
        print_rule(found)


def _wanted(
    found: LicenceRules,
    allow: Sequence[str],
    add: Sequence[str],
    unknown: str | None,
    *,
    any_: bool,
) -> SetLicenceRules:
    before = found.allowed
    if before is None and not (allow or any_):
        raise UsageError(
            "There is not a rule about licences yet, so nothing can be added to it.",
            next_step="Give all that is allowed: --allow MIT --allow Apache-2.0",
        )
    allowed = None if any_ else [*(allow or before or ()), *add]
    wanted = {"allowed": allowed, "unknown": "refused" if any_ else unknown or found.unknown}
    try:
        return msgspec.convert(wanted, decodable(SetLicenceRules))
    except msgspec.ValidationError as error:
        raise UsageError(
            f"That is not a rule about licences: {error}.",
            next_step="See casemate advisories licences --help",
        ) from error


def print_rule(rules: LicenceRules) -> None:
    """Print which licences may be."""
    if rules.allowed is None:
        print_line("licences: no rule, any may be")
        return
    print_line(f"licences allowed: {', '.join(rules.allowed) or 'none'}")
    print_line(f"unknown licences: {rules.unknown}")


def print_licences(found: Sequence[tuple[str, LicenceFinding]]) -> None:
    """Print licences of packages of functions that may not be, if there are any."""
    if not found:
        return
    print_table(
        ("function", "package", "licence", "verdict", "why"),
        [
            (
                name,
                f"{one.package} {one.version}",
                one.id.removeprefix("licence:"),
                one.verdict.value,
                one.why,
            )
            for name, one in found
        ],
        empty="",
        below=("why",),
    )
