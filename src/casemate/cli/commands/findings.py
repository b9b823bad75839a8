"""`casemate findings`: what the rules of detection have found on the node."""

from __future__ import annotations

from casemate.cli.client import connect
from casemate.cli.operation_command import answered, asked
from casemate.cli.options import JsonOption, new_app
from casemate.cli.terminal import (
    BOLD,
    note,
    print_json,
    print_line,
    print_prose,
    print_table,
    print_text,
)
from casemate.cli.text import moment, quantity
from casemate.model.errors import NotFoundError
from casemate.operations.findings import FindingPage, ListFindings, ShowFinding

app = new_app("See what the rules of detection have found.")
_NAMES = frozenset({"name", "ip", "uid"})
"""Last parts of fields that say no more than their value: `resources.0.name=shop/pay`."""


def about(entity: str) -> str:
    """Return who and what a finding is of without the fields of events that said so.

    `actor.user.name=user:ada unmapped.run=run_1` is `user:ada run:run_1`. With --json it is as the
    rule has it.
    """
    shown = []
    for word in entity.split():
        path, equals, value = word.partition("=")
        field = path.rpartition(".")[2].removesuffix("_uid")
        plain = field in _NAMES or ":" in value
        shown.append((value if plain else f"{field}:{value}") if equals else word)
    return " ".join(shown)


@answered(
    app,
    ListFindings,
    examples="$ casemate findings ls\n$ casemate findings ls --level high --since 7d\n"
    "$ casemate findings ls shop --json",
)
def ls(found: FindingPage) -> None:
    """List what was found, the newest first.

    The node runs the rules over everything that happens, from its first start on. Findings are in
    the journal, too. A rule is told of once an hour for whom or what it is of; the events that came
    since are in the column `times`.
    """
    several = any(each.node for each in found.findings)
    print_table(
        ("at", "level", "rule", "times", "id", *(("node",) if several else ()), "of", "title"),
        [
            (
                moment(each.at),
                each.level,
                each.rule,
                str(each.count + each.again),
                each.id,
                *([each.node] * several),
                about(each.entity),
                each.title,
            )
            for each in found.findings
        ],
        empty="Nothing that fits was found.",
        below=("times", *(("node",) if several else ()), "of", "title"),
    )
    if found.more:
        note(f"There are more: --before {found.findings[-1].id}")


@asked(
    app,
    ShowFinding,
    examples="$ casemate findings show 9f2c51aa03b1e7d4\n"
    "$ casemate findings show 9f2c51aa03b1e7d4 --json",
)
def show(wanted: ShowFinding, *, json: JsonOption = False) -> None:
    """Show a finding, and the journal entries that led to it."""
    with connect() as client:
        found = client.call(wanted)
    if json:
        print_json(found)
        return
    print_line(f"{found.level}: {found.title}", BOLD)
    print_text(f"rule: {found.rule}; technique: {', '.join(found.techniques) or '-'}")
    print_prose(f"of: {about(found.entity) or '-'}; project: {found.project or '-'}")
    print_text(f"at: {moment(found.at)}; events: {found.count}")
    if found.again:
        since = quantity(found.again, "more event")
        print_text(f"since: {since}, the last at {moment(found.latest_at)}")
    if found.node:
        print_text(f"found by the node {found.node}, in whose journal these are:")
    for each in found.events:
        print_text(f"casemate journal show {each}")
    note(f"What it means: casemate detect explain {found.rule}{_own(found.rule)}")


def _own(rule: str) -> str:
    """Return what `detect explain` needs besides the name of a rule; empty: it comes with Casemate.

    The node's rules of its own are in a folder that its settings name, known to who runs it.
    """
    from casemate.detection import with_own

    try:
        with_own().named(rule)
    except NotFoundError:
        return (
            " --rules FILE\n"
            "It is a rule of the node's own: FILE has it, in the folder that `rules` names in the "
            "file of `casemate serve --config`."
        )
    return ""
