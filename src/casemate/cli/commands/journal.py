"""`casemate journal`: what happened, and the proof that nothing of it was changed."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from casemate.cli.client import NodeClient, connect
from casemate.cli.errors import CommandError, ExitCode, MissingError, UsageError
from casemate.cli.journal_pages import MAX_SHOWN_BYTES, PAGE, following, pages
from casemate.cli.options import JsonOption, command, new_app
from casemate.cli.terminal import (
    BOLD,
    RED,
    note,
    print_json,
    print_json_line,
    print_line,
    print_row,
    print_table,
    print_text,
    progress,
)
from casemate.cli.text import moment
from casemate.cli.times import moment_of
from casemate.decoding import decodable
from casemate.kernel.placing import write_whole
from casemate.operations.journal import (
    JournalEntry,
    JournalVerdict,
    ListJournal,
    ProveJournalEntry,
    ShowJournalHead,
    VerifyJournal,
)

app = new_app("See what happened, and prove that none of it was changed.")

_FOLLOW_SECONDS = 1.0
_SEVERITIES = {1: "info", 2: "low", 3: "medium", 4: "high", 5: "critical"}

ProjectOption = Annotated[
    str | None, typer.Option("--project", metavar="PROJECT", help="Only those of this project.")
]
SinceOption = Annotated[
    str | None,
    typer.Option("--since", metavar="TIME", help="Not before: `10m`, `2h`, `7d`, or a time."),
]
UntilOption = Annotated[
    str | None, typer.Option("--until", metavar="TIME", help="Until: given like --since.")
]
KindOption = Annotated[
    str | None,
    typer.Option("--kind", metavar="KIND", help="Only this kind, such as `SignedIn` or `Denial`."),
]


_COLUMNS = ("index", "at", "severity", "what", "who", "from", "times", "id", "on")


def _row(entry: JournalEntry) -> tuple[str, ...]:
    try:
        return _read(entry)
    except (AttributeError, KeyError, TypeError, IndexError) as error:
        raise CommandError(
            f"The node sent an entry of its journal, {entry.index}, that is not understood here.",
            next_step="Compare `casemate --version` with the version of the node.",
        ) from error


def _read(entry: JournalEntry) -> tuple[str, ...]:
    event: dict[str, Any] = entry.event or {}
    resource = (event.get("resources") or [{}])[0].get("name", "")
    own = event.get("unmapped", {})
    what = event.get("message") or own.get("operation") or own.get("risk") or resource
    if own.get("unfinished"):
        # What it was done to is told by no other entry, if it was done.
        what = f"{what} (unfinished) {own.get('what', '')}".rstrip()
    return (
        str(entry.index),
        moment(event["time"] / 1000) if event else "",
        _SEVERITIES.get(event.get("severity_id", 0), ""),
        str(event.get("activity_name", "(erased)")),
        str(event.get("actor", {}).get("user", {}).get("name", "")),
        str(event.get("src_endpoint", {}).get("ip", "")),
        str(event.get("count", 1)) if event else "",
        entry.id,
        str(what),
    )


def _print(entries: list[JournalEntry]) -> None:
    print_table(
        _COLUMNS,
        [_row(entry) for entry in entries],
        below=("id", "on", "who"),
        empty="Nothing that fits was recorded.",
    )


@command(
    app,
    examples="""\
$ casemate journal search
$ casemate journal search ada --kind SignedIn --since 7d
$ casemate journal search --project shop --limit 100 --json
""",
)
def search(
    text: Annotated[
        str | None, typer.Argument(metavar="TEXT", help="Only entries that hold this text.")
    ] = None,
    project: ProjectOption = None,
    kind: KindOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100_000, help="How many.")] = 20,
    json: JsonOption = False,
) -> None:
    """List what happened, the newest first.

    The journal has everything that matters for security, from the first call on: sign-ins, deploys,
    changes, approvals, denials, uses of grants, blocked injections.
    """
    wanted = ListJournal(
        project=project,
        kind=kind,
        search=text,
        since=moment_of(since, "--since"),
        until=moment_of(until, "--until"),
    )
    with connect() as client, progress("Looking through the journal ..."):
        found = list(pages(client, wanted, limit, most_bytes=MAX_SHOWN_BYTES))
    if json:
        print_json({"entries": found})
        return
    _print(found)


def _found(client: NodeClient, entry: str) -> JournalEntry:
    """Return the entry with an index or id."""
    if entry.isascii() and entry.isdigit():
        page = client.call(ListJournal(before=int(entry) + 1, limit=1))
        found = [each for each in page.entries if each.index == int(entry)]
    else:
        named = pages(client, ListJournal(search=entry), PAGE, most_bytes=MAX_SHOWN_BYTES)
        holding = list(named)
        found = [each for each in holding if each.id == entry]
    if not found:
        raise MissingError(
            f"The journal has no entry {entry}.",
            next_step="Look for it: casemate journal search",
        )
    return found[0]


@command(app, examples="$ casemate journal show 41\n$ casemate journal show 9f2c51aa03b1e7d4-17")
def show(
    entry: Annotated[str, typer.Argument(metavar="ENTRY", help="Its index, or its id.")],
    json: JsonOption = False,
) -> None:
    """Show an entry in full, as an OCSF event."""
    with connect() as client:
        found = _found(client, entry)
    if json:
        print_json(found)
        return
    print_line(f"entry {found.index}, {found.id}", BOLD)
    if found.event is None:
        note("The key of its project was erased: nobody can read it now.")
        return
    print_json(found.event)


@command(
    app,
    examples="""\
$ casemate journal prove 41
$ casemate journal prove 9f2c51aa03b1e7d4-17 --out evidence
""",
)
def prove(
    entry: Annotated[str, typer.Argument(metavar="ENTRY", help="Its index, or its id.")],
    out: Annotated[
        Path,
        typer.Option("--out", metavar="NAME", help="Where to write NAME.tlog-proof, NAME.entry."),
    ] = Path("entry"),
    json: JsonOption = False,
) -> None:
    """Write the proof that an entry is in the journal, for anybody to verify.

    NAME.tlog-proof has the format of C2SP's tlog-proof. NAME.entry is what it proves, encrypted as
    it stands in the journal. The signing key is printed; pass it on by another way.
    """
    with connect() as client:
        index = _found(client, entry).index
        proven = client.call(ProveJournalEntry(index=index))
        key = client.call(ShowJournalHead()).key
    files = [out.with_name(f"{out.name}.tlog-proof"), out.with_name(f"{out.name}.entry")]
    for file, content in zip(files, (proven.proof.encode(), proven.entry), strict=True):
        try:
            write_whole(file, content)
        except OSError as error:
            raise CommandError(
                f"{file} cannot be written: {error.strerror}.",
                next_step="Make room, or name another place with --out; then run it again.",
            ) from error
    if json:
        print_json({"index": index, "files": [str(each) for each in files], "key": key})
        return
    print_line(f"entry {index} is proven by {files[0]} and {files[1]}")
    print_line(f"key: {key}")


@command(
    app,
    examples="""\
$ casemate journal verify
$ casemate journal verify --checkpoint last-week.txt
$ casemate journal verify --data /var/lib/casemate --key "$KEY" --checkpoint last-week.txt
""",
)
def verify(
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Verify the folder of a stopped node."),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option("--key", help="With --data: the journal's key, which `head` prints."),
    ] = None,
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option(
            "--checkpoint", help="A file of checkpoints that were kept elsewhere. Repeatable."
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Find whatever was edited, removed, reordered, cut off or rolled back, and say where.

    Every hash is computed again and compared with what was signed. A checkpoint that was kept
    elsewhere reveals even somebody who could change all files of a node. Nodes of a cluster keep
    each other's checkpoints, and findings about the others are reported, too. The exit code is 1 if
    anything was found.
    """
    if (data is None) != (key is None):
        raise UsageError(
            "--data and --key go together.",
            next_step="Give both; `casemate journal head` printed the key.",
        )
    with progress("Reading the whole journal ..."):
        if data is not None and key is not None:
            verdict = _verified_folder(data, key, checkpoint or [])
        else:
            verdict = _verified_node(checkpoint or [])
    if json:
        print_json(verdict)
    elif verdict.findings:
        for each in verdict.findings:
            place = f"{each.first} to {each.end - 1}" if each.end > each.first else "-"
            print_line(f"{each.kind}: entries {place}: {each.text}", RED)
        if verdict.more:
            note("There are more; only the first are listed.")
    else:
        waiting = f", {verdict.unsigned} more wait for a signature" if verdict.unsigned else ""
        print_line(f"all {verdict.size} signed entries are as they were written{waiting}")
    if not json:
        _print_others(verdict)
    if verdict.findings or any(one.problem for one in verdict.others):
        raise typer.Exit(ExitCode.FAILURE)


def _print_others(verdict: JournalVerdict) -> None:
    for one in verdict.others:
        if one.problem:
            print_line(f"node {one.node}: {one.problem} (found {moment(one.problem_at)})", RED)
        else:
            known = f"{one.entries} entries, known until {moment(one.until)}"
            print_line(f"node {one.node}: its journal went on from each head that it told; {known}")


def _notes_of(files: list[Path]) -> tuple[str, ...]:
    """Return all checkpoints of these files; a file without any is none of them."""
    from casemate.journal.kept import MAX_KEPT, MAX_KEPT_BYTES, notes_in

    found: list[str] = []
    for file in files:
        try:
            with file.open("rb") as opened:
                data = opened.read(MAX_KEPT_BYTES + 1)
            notes = notes_in(data.decode("utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(
                f"{file} cannot be read: {error}.", next_step="Give a file with a checkpoint."
            ) from error
        if not notes or len(data) > MAX_KEPT_BYTES:
            raise CommandError(
                f"{file} holds no checkpoint, or over {MAX_KEPT_BYTES} bytes.",
                next_step="Give a file with a checkpoint.",
            )
        found += notes
    if len(found) > MAX_KEPT:
        raise CommandError(
            f"The files hold {len(found)} checkpoints, expected at most {MAX_KEPT}.",
            next_step="Give fewer of them at once.",
        )
    return tuple(found)


def _verified_folder(data: Path, key_text: str, files: list[Path]) -> JournalVerdict:
    import msgspec

    from casemate.journal import verify as verify_journal
    from casemate.journal.checkpoint import opened_checkpoint
    from casemate.journal.note import parse_key

    key = parse_key(key_text)
    if not data.is_dir():
        # A node's folder whose journal is gone is a finding; a name that was mistyped is none.
        raise UsageError(f"{data} is not a folder.", next_step="Name the data folder of the node.")
    kept = [opened_checkpoint(note, key) for note in _notes_of(files)]
    found = verify_journal(data / "journal", key, kept)
    return msgspec.convert(found, decodable(JournalVerdict), from_attributes=True)


def _verified_node(files: list[Path]) -> JournalVerdict:
    notes = _notes_of(files)
    with connect() as client:
        return client.call(VerifyJournal(checkpoints=notes))


@command(app, examples="$ casemate journal head > checkpoint.txt")
def head(json: JsonOption = False) -> None:
    """Print the newest signed checkpoint. Kept elsewhere, it reveals any change to earlier entries.

    The key goes to the error output, so that the output is only the checkpoint.
    """
    with connect() as client:
        found = client.call(ShowJournalHead())
    if json:
        print_json(found)
        return
    if not found.checkpoint:
        raise CommandError(
            "The journal has no checkpoint yet.", next_step="Wait a second and try again."
        )
    print_text(found.checkpoint.removesuffix("\n"))
    note(f"key: {found.key}")


@command(
    app,
    examples="""\
$ casemate journal export > journal.ndjson
$ casemate journal export --format csv --since 30d > journal.csv
""",
)
def export(
    format: Annotated[
        str, typer.Option("--format", help="`ndjson`: one OCSF event a line; or `csv`.")
    ] = "ndjson",
    project: ProjectOption = None,
    kind: KindOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
) -> None:
    """Write the journal's events to the output, the newest first."""
    if format not in ("ndjson", "csv"):
        raise UsageError(f"--format is {format!r}.", next_step="Give ndjson or csv.")
    wanted = ListJournal(
        project=project,
        kind=kind,
        since=moment_of(since, "--since"),
        until=moment_of(until, "--until"),
    )
    with connect() as client:
        if format == "csv":
            print_row(_COLUMNS)
        for entry in pages(client, wanted, None):
            if format == "csv":
                print_row(_row(entry))
            elif entry.event is not None:
                print_json_line(entry.event, compact=True)


@command(app, examples="$ casemate journal follow\n$ casemate journal follow --kind Denial --json")
def follow(
    project: ProjectOption = None, kind: KindOption = None, json: JsonOption = False
) -> None:
    """Print what happens as it is recorded, until Ctrl-C."""
    with connect() as client:
        seen = client.call(ShowJournalHead()).size
        while True:
            size = client.call(ShowJournalHead()).size
            # Nothing is looked for where nothing came, nor behind what was looked at before.
            for entry in following(client, ListJournal(project=project, kind=kind), seen, size):
                if json:
                    print_json_line(entry, compact=True)
                else:
                    print_line("  ".join(each for each in _row(entry) if each))
            seen = size
            time.sleep(_FOLLOW_SECONDS)
