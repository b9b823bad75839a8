"""`casemate grants`: what a function is granted, what of it it used, and the tighter manifest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import typer

from casemate.admission.grants import describe, suggest
from casemate.cli.errors import CommandError
from casemate.cli.grant_report import narrowed, unused
from casemate.cli.names import require_manifest
from casemate.cli.operation_command import Call, answered, name_of
from casemate.cli.options import JsonOption, ManifestOption, new_app
from casemate.cli.terminal import (
    BOLD,
    DIM,
    GREEN,
    YELLOW,
    note,
    print_json,
    print_line,
    print_prose,
    print_table,
    print_text,
)
from casemate.cli.text import moment
from casemate.model.denial import Denial, GrantUse
from casemate.model.grant import Grant
from casemate.operations.grants import FunctionGrants, ShowGrants

app = new_app("See what functions are granted, and what they use.")


@answered(
    app,
    ShowGrants,
    examples="$ casemate grants show cart\n$ casemate grants show shop/cart --version 7",
)
def show(found: FunctionGrants, call: Call) -> None:
    """Show what a function is granted and used, what its packages did, and what was denied.

    `allowed` is how often this version asked and was let through: whether what it then did
    succeeded (the secret is set, the host answers) is not told by it, and stands in `casemate
    errors ls`. `unused` is what no version has used, `not yet` what only others have.
    """
    print_line(f"{call.name}  version {found.version}, since {moment(found.deployed_at)}", BOLD)
    print_line()
    print_table(
        ("grant", "action", "below", "allowed", "last"),
        _use_rows(found),
        empty="It is granted nothing.",
        below=("last",),
    )
    for grant in found.events:
        print_line(f"by events  {describe(grant)}")
    for grant in (*found.granted, *found.events):
        if grant.exception:
            print_prose(f"EXCEPTION  {describe(grant)}", YELLOW)
    for grant, actions in unused(found.granted, (*found.uses, *found.others)):
        print_prose(f"unused     {grant.text}: {', '.join(actions)}", DIM)
    idle = unused(found.granted, found.uses)
    for line in _used_by_others(idle, found.others):
        print_prose(f"not yet    {line}", DIM)
    if idle and found.uses:
        print_prose(f"`casemate grants suggest {call.name}` writes the grants without these.", DIM)
    if found.packages:
        print_line()
        print_table(
            ("package", "did", "times", "last"),
            [(p.package, p.act, str(p.count), moment(p.last_at)) for p in found.packages],
            empty="",
        )
    print_line()
    print_table(
        ("denied", "resource", "version", "times", "last", "why"),
        _denied_rows(found.denials),
        empty="Nothing was denied to it lately.",
        below=("resource", "why"),
    )


def _denied_rows(denials: Iterable[Denial]) -> list[tuple[str, ...]]:
    """Return each thing that was denied once; on record is each call to which it was."""
    times: Counter[tuple[str, str, str, str]] = Counter()
    last: dict[tuple[str, str, str, str], float] = {}
    for one in denials:
        what = (one.action, one.resource, str(one.version or ""), one.reason)
        times[what] += one.count
        last[what] = max(one.at, last.get(what, one.at))
    return [
        (action, resource, version, str(count), moment(last[action, resource, version, why]), why)
        for (action, resource, version, why), count in times.items()
    ]


def _used_by_others(
    idle: Iterable[tuple[Grant, list[str]]], others: Iterable[GrantUse]
) -> Iterator[str]:
    """Tell of what this version has not used the newest other one that has."""
    newest = {(use.grant, use.action): use.version for use in others}
    for grant, actions in idle:
        for action in actions:
            if version := newest.get((grant.text, action)):
                yield f"{grant.text}: {action}, which version {version} used"


def _use_rows(found: FunctionGrants) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for grant in found.granted:
        for action in grant.actions:
            uses = [u for u in found.uses if (u.grant, u.action) == (grant.text, action)]
            by_prefix = {use.prefix: use for use in uses}
            for prefix in grant.prefixes or ("",):
                use = by_prefix.get(prefix)
                count, last = (str(use.count), moment(use.last_at)) if use else ("never", "")
                rows.append((grant.text, action, prefix, count, last))
    return rows


@answered(
    app,
    ShowGrants,
    name="suggest",
    examples="$ casemate grants suggest cart\n$ casemate grants suggest cart --write",
)
def suggest_grants(
    found: FunctionGrants,
    call: Call,
    *,
    write: Annotated[
        bool,
        typer.Option(
            "--write", help="Write it into casemate.toml; everything else there stays as it is."
        ),
    ] = False,
    manifest: ManifestOption = None,
    json: JsonOption = False,
) -> None:
    """Print the tightest grants that cover what a version has used.

    First let the version do everything that it is for: what was never used is left out. The
    manifest is written only if it says what the version is granted, so that nothing newer is lost.
    """
    if found.granted and not found.uses:
        raise CommandError(
            f"No use of any grant of {call.name} version {found.version} is recorded yet.",
            next_step="Let it do all that it is for, then ask again.",
        )
    tighter = suggest(found.granted, found.uses)
    written = _write(call.operation, found, tighter, manifest) if write else None
    if json:
        print_json(
            {
                "function": call.name,
                "version": found.version,
                "granted": found.granted,
                "suggested": tighter,
                "written": written,
            }
        )
        return
    _print_suggestion(call.operation, found, tighter)
    if written is not None:
        note(f"Written to {written}. Deploy it to make it so.", GREEN)


def _print_suggestion(
    wanted: ShowGrants, found: FunctionGrants, tighter: tuple[Grant, ...]
) -> None:
    from casemate.manifest import grants_text

    print_text(grants_text(wanted.function, tighter).rstrip("\n"))
    if tighter == found.granted:
        note(f"Version {found.version} of {name_of(wanted)} used all that it is granted.")
        return
    kept = {grant.text for grant in tighter}
    lines = [describe(grant) for grant in found.granted if grant.text not in kept]
    note(f"This is less than version {found.version} is granted:")
    for line in [*(f"without {line}" for line in lines), *narrowed(found.granted, tighter)]:
        note(f"  {line}")


def _write(
    wanted: ShowGrants, found: FunctionGrants, tighter: tuple[Grant, ...], manifest: Path | None
) -> str:
    from casemate.manifest import ManifestEditor

    path, name = require_manifest(manifest), name_of(wanted)
    editor = ManifestEditor(path)
    spec = editor.project.function(wanted.function)
    if editor.project.name != wanted.project or spec is None:
        raise CommandError(
            f"{path} does not declare {name}.",
            next_step="Name its manifest with --manifest.",
        )
    if spec.grants != found.granted:
        raise CommandError(
            f"{path} grants {name} something else than version {found.version} has, so it was "
            "changed since; nothing was written.",
            next_step="Deploy it first, or change it by hand.",
        )
    if tighter != spec.grants:
        editor.write({wanted.function: tighter})
    return str(path)


@answered(app, ShowGrants, fixed={"version": 0}, examples="$ casemate grants approvals cart")
def approvals(found: FunctionGrants, call: Call, *, json: JsonOption = False) -> None:
    """List who approved which grants of a function, and when."""
    if json:
        print_json({"function": call.name, "approvals": found.approvals})
        return
    print_table(
        ("version", "approved", "by", "grant"),
        [
            (str(approval.version), moment(approval.at), approval.by, describe(grant))
            for approval in found.approvals
            for grant in approval.added
        ],
        empty="Nothing was approved: no version was granted more than the one before.",
        below=("grant",),
    )
