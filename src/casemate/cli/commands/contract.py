"""`casemate contract`: propose a contract from recorded events, and try one on events."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from casemate.cli.client import connect
from casemate.cli.errors import CommandError
from casemate.cli.names import FunctionName, find_manifest, require_manifest, resolve
from casemate.cli.options import FunctionArgument, JsonOption, ManifestOption, command, new_app
from casemate.cli.recorded_data import recorded_data
from casemate.cli.terminal import GREEN, RED, note, print_json, print_line, print_text
from casemate.cli.text import quantity
from casemate.decoding import DECODING_ERRORS
from casemate.kernel.placing import write_whole

if TYPE_CHECKING:
    from casemate.contracts import Violation
    from casemate.model.function import FunctionSpec

app = new_app("Propose a contract from recorded events, and try one on events.")

MAX_FILE = 64 * 1024 * 1024
MAX_EVENTS = 100_000

FilesArgument = Annotated[
    list[Path],
    typer.Argument(
        metavar="FILE...",
        help="Files with events' data: a JSON value each, an array of several, or JSON lines.",
    ),
]

RecordedArgument = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="[FILE]...",
        help="Files with events' data: a JSON value each, an array of several, or JSON lines. "
        "Default: what the node has recorded.",
    ),
]


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """What `casemate contract check --json` prints of each event."""

    file: str
    number: int
    """Counts from 1 within the file."""
    accepted: bool
    path: str = ""
    rule: str = ""
    more: tuple[str, ...] = ()
    """What else it breaks, as far as it is told: `PATH: RULE`."""
    untold: int = 0
    """How many more there are."""
    only_first: bool = False
    """Others were not looked for, as that could take long for an event of its size."""


@command(
    app,
    examples="$ casemate contract infer receive --out contracts/receive.json\n"
    "$ casemate contract infer receive events.jsonl --out contracts/receive.json\n"
    "$ casemate contract infer receive --trigger queue-1 one.json two.json\n"
    "$ casemate contract infer receive --trigger 'POST /orders' bodies.jsonl",
)
def infer(
    function: FunctionArgument,
    files: RecordedArgument = None,
    trigger: Annotated[
        str | None,
        typer.Option(
            "--trigger",
            help="What it is for: the name of a trigger, or a route such as `POST /orders`. "
            "Default: direct calls.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="Write it to this file, replacing its content, and print nothing.",
        ),
    ] = None,
    manifest: ManifestOption = None,
) -> None:
    """Print a contract that all the recorded events satisfy, with a little room.

    They come from files, or without any from the node's recordings (`recordings:read`): of those
    that ended well a share is recorded, as `[function.NAME.recordings]` in casemate.toml says.

    It is a proposal: what was not seen is not accepted. Read it, widen it where needed, and name
    its file in casemate.toml. If the manifest already has a contract there, the output also says
    what the proposal would refuse and that contract accepts. With --out this works even for the
    same file, which a shell redirection would empty first.
    """
    from casemate.contracts import infer as inferred

    name = resolve(function)
    spec = _spec(manifest, name.function, trigger)
    before = _present(spec, trigger)
    if files:
        events = [value for file in files for value in _events(file)]
        if not events:
            raise CommandError(
                "There are no events in these files.",
                next_step="Record some: one JSON value on each line.",
            )
    else:
        events = _recorded(name, spec, trigger)
    text = msgspec.json.format(msgspec.json.encode(inferred(events)), indent=2).decode()
    place = f"[function.{name.function}]"
    if trigger:
        kind = "http" if " " in trigger else "KIND"
        place = f"[[function.{name.function}.{kind}]] of {trigger}"
    if out is None:
        print_text(text)
        done, file = "Save it and name it", "FILE.json"
    else:
        _write(out, text)
        done, file = f"It is in {out}. Name it", str(out)
    note(f'From {len(events)} events. {done} under {place}: contract = "{file}".')
    for line in _tightened(before, text):
        note(f"tighter  {line}")


@command(
    app,
    examples="$ casemate contract check contracts/receive.json events.jsonl\n"
    "$ casemate contract check contracts/receive.json a.json b.json --json",
)
def check(
    contract: Annotated[Path, typer.Argument(metavar="CONTRACT", help="The contract's file.")],
    files: FilesArgument,
    json: JsonOption = False,
) -> None:
    """Say for each event whether a contract accepts it, and which rule refuses it.

    Exit code 1 if one is refused. Contents of events are not printed. As much is told as a caller
    of the node is told: of a large event only the first rule that it breaks, of a very large one
    only that it breaks one.
    """
    from casemate.contracts import Contract

    compiled = Contract(_text(contract))
    found: list[Judged] = []
    for file in files:
        for number, value in enumerate(_events(file), 1):
            broken = compiled.broken_by(value)
            path, rule = (broken.path or "/", _rule(broken)) if broken is not None else ("", "")
            found.append(
                Judged(
                    file=str(file),
                    number=number,
                    accepted=broken is None,
                    path=path,
                    rule=rule,
                    more=tuple(map(str, broken.more)) if broken is not None else (),
                    untold=broken.untold if broken is not None else 0,
                    only_first=broken is not None and broken.only_first,
                )
            )
    refused = [one for one in found if not one.accepted]
    if json:
        print_json(found)
    else:
        for one in refused:
            print_line(f"{one.file}:{one.number}  refused  {_shown(one)}", RED)
        if not refused:
            all_ = "The event is" if len(found) == 1 else f"All {len(found)} events are"
            print_line(f"{all_} accepted.", GREEN)
    if refused:
        raise CommandError(
            f"{len(refused)} of {quantity(len(found), 'event')} would be refused.",
            next_step="Widen the contract where these events are meant.",
        )


def _recorded(name: FunctionName, spec: FunctionSpec | None, trigger: str | None) -> list[Any]:
    with connect() as client:
        events = recorded_data(client, name, spec, trigger)
    if not events:
        raise CommandError(
            f"The node has recorded no events of {name} for {trigger or 'direct calls'} that "
            "ended well.",
            next_step=f"Write `sample = 1.0` under [function.{name.function}.recordings], deploy, "
            "and run this again once some came; or name files with events.",
        )
    return events


def _rule(broken: Violation) -> str:
    return f"{broken.rule}, at most {broken.bound}" if broken.bound else broken.rule


def _shown(one: Judged) -> str:
    told = "; ".join((f"{one.path}: {one.rule}", *one.more))
    if one.only_first:
        from casemate.contracts import ONLY_FIRST

        return f"{told} {ONLY_FIRST}"
    return f"{told}; and {one.untold} more" if one.untold else told


def _tightened(before: str, after: str) -> list[str]:
    from casemate.contracts import tightened

    return tightened(before, after) if before else []


def _spec(manifest: Path | None, function: str, trigger: str | None) -> FunctionSpec | None:
    """Return what the manifest says of a function; none where there is no manifest."""
    from casemate.manifest import ManifestError, load

    if manifest is None and trigger is None and find_manifest() is None:
        return None  # a proposal needs no manifest
    try:
        project = load(require_manifest(manifest), unwritten_contracts=True)
    except ManifestError:
        if manifest is not None or trigger is not None:
            raise
        return None  # nor one that can be read
    spec = project.function(function)
    if spec is None:
        raise CommandError(
            f"The manifest declares no function {function}.",
            next_step="Name one of its functions, or the manifest with --manifest.",
        )
    return spec


def _present(spec: FunctionSpec | None, trigger: str | None) -> str:
    """Return the contract that the manifest has for this; empty without a manifest or contract."""
    from casemate.contracts import DIRECT, contracts_of

    if spec is None:
        return ""
    if trigger is None:
        return spec.contract
    known = {what: text for what, text in contracts_of(spec).items() if what != DIRECT}
    if trigger not in known:
        names = ", ".join(known)
        raise CommandError(
            f"{spec.name} has no trigger or route {trigger}.",
            next_step=f"It has: {names}." if names else "It has none: leave out --trigger.",
        )
    return known[trigger]


def _write(file: Path, text: str) -> None:
    try:
        write_whole(file, (text if text.endswith("\n") else f"{text}\n").encode())
    except OSError as error:
        raise CommandError(
            f"{file} cannot be written: {error.strerror}.", next_step="Give another --out."
        ) from error


def _events(file: Path) -> list[Any]:
    text = _text(file)
    try:
        value = msgspec.json.decode(text)
    except DECODING_ERRORS:
        return _lines(file, text)
    found = value if isinstance(value, list) else [value]
    _require_few(file, len(found))
    return found


def _lines(file: Path, text: str) -> list[Any]:
    found = []
    lines = text.split("\n")
    _require_few(file, len(lines))
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            found.append(msgspec.json.decode(line))
        except DECODING_ERRORS as error:
            raise CommandError(
                f"{file}: line {number} is not JSON.",
                next_step="Write one JSON value for the whole file, or one on each line.",
            ) from error
    return found


def _require_few(file: Path, count: int) -> None:
    if count > MAX_EVENTS:
        raise CommandError(
            f"{file} has more than {MAX_EVENTS} events.", next_step="Take a sample of them."
        )


def _text(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            data = opened.read(MAX_FILE + 1)
        if len(data) <= MAX_FILE:
            return data.decode()
    except OSError as error:
        raise CommandError(
            f"{file} cannot be read: {error.strerror}.", next_step="Name a file you can read."
        ) from error
    except UnicodeDecodeError as error:
        raise CommandError(f"{file} is not UTF-8 text.", next_step="Look at the file.") from error
    raise CommandError(
        f"{file} is larger than {MAX_FILE // 1024 // 1024} MiB.",
        next_step="Take a sample of the events.",
    )
