"""`casemate detect`: the rules that find attacks in the journal, and what they find in its past."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from casemate.cli.client import NodeClient, connect
from casemate.cli.errors import CommandError
from casemate.cli.options import JsonOption, command, new_app
from casemate.cli.terminal import (
    BOLD,
    note,
    print_json,
    print_line,
    print_prose,
    print_table,
    print_text,
    print_written,
    progress,
)
from casemate.cli.text import moment
from casemate.cli.times import moment_of

if TYPE_CHECKING:
    from casemate.detection import Finding, Rules

app = new_app("Find attacks in the journal, by rules.")

_TOLD = 1000
"""After so many events it is said how many were read."""

RulesOption = Annotated[
    list[Path] | None,
    typer.Option("--rules", metavar="FILE", help="Rules of your own (Sigma, YAML). Repeatable."),
]


def _rules(files: list[Path] | None) -> Rules:
    """Return the shipped rules and those of files. Raises RuleError, CommandError."""
    from casemate.detection import with_own
    from casemate.detection.documents import MAX_BYTES

    texts = []
    for file in files or ():
        try:
            with file.open("rb") as opened:
                # One byte more than may be: the rest of a file that is too large is not read.
                texts.append((opened.read(MAX_BYTES + 1), file.name))
        except OSError as error:
            raise CommandError(
                f"{file} cannot be read: {error.strerror}.", next_step="Give a file with rules."
            ) from error
    return with_own(*texts)


@command(
    app,
    examples="""\
$ casemate detect ls
$ casemate detect ls --rules own.yml --json
""",
)
def ls(rules: RulesOption = None, json: JsonOption = False) -> None:
    """List the rules: those that come with Casemate, and your own."""
    from casemate.detection import Level

    found = _rules(rules).reporting()
    if json:
        print_json(found)
        return
    gravest = list(Level)[::-1]
    found.sort(key=lambda about: (gravest.index(about.level or Level.INFORMATIONAL), about.name))
    print_table(
        ("level", "rule", "technique", "title"),
        [
            (str(about.level), about.name, ", ".join(about.techniques), about.title)
            for about in found
        ],
        empty="There are no rules.",
        below=("title",),
    )


@command(
    app, examples="$ casemate detect explain metadata-tried\n$ casemate detect explain flood --json"
)
def explain(
    rule: Annotated[str, typer.Argument(metavar="RULE", help="Its name, or its id.")],
    rules: RulesOption = None,
    json: JsonOption = False,
) -> None:
    """Explain what a rule finds and may mistake for it, with an attack and a benign twin."""
    from casemate.detection import examples

    known = _rules(rules)
    about = known.named(rule).about
    example: dict[str, Any] = examples().get(about.name) or {}
    if json:
        from msgspec import to_builtins

        techniques = list(about.techniques)
        print_json({**to_builtins(about), "techniques": techniques, "examples": example})
        return
    print_line(f"{about.name}: {about.title}", BOLD)
    if about.description:
        for line in about.description.rstrip().split("\n"):
            print_prose(line)
    print_text(f"level: {about.level or '-'}; technique: {', '.join(about.techniques) or '-'}")
    print_text(f"id: {about.id}; {about.place}")
    if about.name not in known.told:
        print_text("It is a part of correlations, and not told of by itself.")
    for text in about.falsepositives:
        print_prose(f"not an attack: {text}")
    for pair in (example, *example.get("others", [])):
        for kind, title in (("attack", "found"), ("twin", "not found")):
            for each in pair.get(kind, []):
                print_written(f"{title}: {_fact(each)}")
    for text, others in example.get("instead", {}).items():
        print_text(f"as well, in place of {text!r}:")
        for other, near in others.items():
            twins = ", ".join(near if isinstance(near, list) else (near,))
            print_written(f"found: {other}; not found: {twins}")


def _fact(example: dict[str, Any]) -> str:
    """Return a fact of an example on one line."""
    [(kind, fields)] = [(key, value) for key, value in example.items() if isinstance(value, dict)]
    shown = " ".join(f"{key}={value}" for key, value in fields.items())
    times = f"{example['times']} times, every {example['every']} s: " if "times" in example else ""
    at = f"at {example['at']} " if "at" in example else ""
    return f"{at}{times}{kind} {shown}"


@command(
    app,
    examples="""\
$ casemate detect test --since 7d
$ casemate detect test passwords-sprayed --since 30d
$ casemate detect test --rules own.yml --json
""",
)
def test(
    rule: Annotated[
        str | None, typer.Argument(metavar="RULE", help="Only this rule, by name or id.")
    ] = None,
    rules: RulesOption = None,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="TIME", help="Not before: `10m`, `2h`, `7d`, or a time."),
    ] = None,
    project: Annotated[
        str | None, typer.Option("--project", metavar="PROJECT", help="Only events of it.")
    ] = None,
    limit: Annotated[
        int,
        typer.Option(
            "--limit", min=1, max=500_000, help="How many of the newest events to look at."
        ),
    ] = 50_000,
    json: JsonOption = False,
) -> None:
    """Run the rules over the journal of the node, and print what they find.

    The rules run here; the node only provides its journal. A rule reports the same entity once an
    hour, with a count of what came in between.
    """
    from casemate.detection import Detector

    known = _rules(rules)
    if rule is not None:
        known = known.only(rule)
    from_ = moment_of(since, "--since")
    with connect() as client, progress("Reading the journal ...") as shown:
        history, more = _history(client, project, from_, limit, shown.update)
    if more is not None:
        what = "; --limit gives more" if more == limit else ", which are all that there is room for"
        note(f"Only the newest {more} events were looked at{what}.")
    detector = Detector(known)
    found = detector.with_since(detector.see_all(history))
    if detector.forgotten:
        note(f"{detector.forgotten} entities were forgotten for want of room: a flood, perhaps.")
    _print(found, json=json)
    if rules and not json:
        _tell_silent(known, found)


def _tell_silent(known: Rules, found: list[Finding]) -> None:
    """Say which of the rules that were given found nothing: the others come with Casemate."""
    from casemate.detection import shipped_rules

    others = {about.name for about in shipped_rules().reporting()} | {one.rule for one in found}
    silent = [about.name for about in known.reporting() if about.name not in others]
    if silent:
        note(f"Of your rules nothing was found by: {', '.join(silent)}.")


def _history(
    client: NodeClient,
    project: str | None,
    since: float | None,
    limit: int,
    tell: Callable[[str], None],
) -> tuple[Iterator[dict[str, Any]], int | None]:
    """Return the events of the journal, oldest first, and how many these are if there are more.

    The node gives the newest first; they wait encoded, in a tenth of the memory.
    """
    from msgspec.json import decode, encode

    from casemate.cli.journal_pages import MAX_KEPT_BYTES, pages
    from casemate.operations.journal import ListJournal

    kept: list[bytes] = []
    size, more = 0, False
    for entry in pages(client, ListJournal(project=project, since=since), None):
        if entry.event is None:
            continue
        event = encode(entry.event)
        size += len(event)
        if len(kept) == limit or size > MAX_KEPT_BYTES:
            more = True
            break
        kept.append(event)
        if len(kept) % _TOLD == 0:
            tell(f"Reading the journal ... {len(kept)} events")
    return map(decode, reversed(kept)), len(kept) if more else None


def _print(found: list[Finding], *, json: bool) -> None:
    if json:
        print_json(found)
        return
    print_table(
        ("at", "level", "rule", "times", "entity", "events"),
        [
            (
                moment(one.at),
                str(one.level),
                one.rule,
                str(one.count),
                one.entity,
                " ".join(one.events[:3]) + (" ..." if len(one.events) > 3 else ""),
            )
            for one in found
        ],
        empty="The rules found nothing.",
        below=("entity", "events"),
    )
