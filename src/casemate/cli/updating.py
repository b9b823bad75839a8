"""`casemate deps update`: the smallest change of the locks that clears known holes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from casemate.cli import lock_trial, watching
from casemate.cli.building import Workspace
from casemate.cli.canary import (
    DEFAULT_SECONDS,
    Canary,
    WatchOption,
    WeightOption,
    tell_left,
)
from casemate.cli.errors import UsageError
from casemate.cli.lock_updates import ProjectLocks, Updated, Wish
from casemate.cli.node_update import update_node
from casemate.cli.options import JsonOption, ManifestOption
from casemate.cli.terminal import GREEN, YELLOW, note, print_json, print_line
from casemate.cli.update_report import document, print_replayed, print_update

EXAMPLES = (
    "$ casemate deps update\n"
    "$ casemate deps update thumbnail --apply\n"
    '$ casemate deps update --apply --test "pytest -q tests" --replay\n'
    "$ casemate deps update --apply --deploy --weight 10 --watch 300\n"
    "$ casemate deps update --node --apply --deploy\n"
    "$ casemate deps update --all --json"
)


WhatArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[FUNCTION|PATH]",
        help="A function, or a project's folder. Default: the whole project here. With --node: a "
        "folder with projects in it. Default: this one.",
    ),
]
SecurityOption = Annotated[
    bool,
    typer.Option("--security", help="Only what clears known vulnerabilities (the default)."),
]
AllOption = Annotated[
    bool, typer.Option("--all", help="Take the newest versions that rules and requirements allow.")
]
ApplyOption = Annotated[
    bool,
    typer.Option("--apply", help="Try it out on a copy, then write lock and requirements."),
]
TestOption = Annotated[
    str | None,
    typer.Option(
        "--test",
        metavar="COMMAND",
        help="What must pass in the sandbox before anything is written. Default: pytest, if there "
        "are tests. It begins with `python` or `pytest`.",
    ),
]
ReplayOption = Annotated[
    bool,
    typer.Option(
        "--replay",
        help="Replay recorded events of the node on both; the answers must be the same.",
    ),
]
DeployOption = Annotated[
    bool,
    typer.Option(
        "--deploy",
        help="Then deploy it as a canary, promoted unless it does worse than the live version.",
    ),
]
NodeOption = Annotated[
    bool,
    typer.Option(
        "--node",
        help="For every function of the node with known vulnerabilities whose project is in the "
        "folder.",
    ),
]


def update(
    what: WhatArgument = None,
    manifest: ManifestOption = None,
    security: SecurityOption = False,
    everything: AllOption = False,
    apply: ApplyOption = False,
    test: TestOption = None,
    replay: ReplayOption = False,
    deploy: DeployOption = False,
    weight: WeightOption = None,
    watch: WatchOption = None,
    node: NodeOption = False,
    json: JsonOption = False,
) -> None:
    """Find the smallest change of the locks that clears known vulnerabilities, and what it costs.

    Smallest means the fewest packages, then the smallest steps, including indirect dependencies,
    among what may be installed. What cannot be cleared is named with the reason. Without --apply
    nothing is changed. With it, the functions are built and tested with the new lock, on a copy of
    the project, in the sandbox without network; then either each file is written atomically, or
    none is. The exit code is 1 as long as vulnerabilities are open: without --apply those that
    exist, with it those that remain.

    With --deploy, functions whose live version is the same as here get the new packages for a share
    of their calls, as with casemate promote --watch. If none is promoted, the files stay as they
    were.
    """
    wish = _wish(security, everything, apply, test, replay, deploy, weight, watch)
    if node:
        if manifest is not None:
            raise UsageError("--node and --manifest exclude each other.")
        update_node(Path(what) if what is not None else Path(), wish, json=json)
        return
    locks = ProjectLocks(_workspace(manifest, what))
    if not locks:
        if json:
            print_json(document((), (), ()))
        else:
            print_line("There are no packages of others.")
        return
    updates = locks.work_out(newest=wish.newest)
    if not json:
        for each in updates:
            print_update(each)
    done = locks.apply(wish) if wish.apply else Updated(updates)
    if json:
        print_json(document(updates, done.written, done.replayed, done.tried))
    else:
        _print(done)
    _end(done, wish, json=json)


def _wish(
    security: bool,
    everything: bool,
    apply: bool,
    test: str | None,
    replay: bool,
    deploy: bool,
    weight: int | None,
    watch: int | None,
) -> Wish:
    if security and everything:
        raise UsageError("--security and --all exclude each other.", next_step="Give one of them.")
    if (test is not None or replay or deploy) and not apply:
        raise UsageError("--test, --replay and --deploy are for --apply.", next_step="Add --apply.")
    if (weight is not None or watch is not None) and not deploy:
        raise UsageError("--weight and --watch are for --deploy.", next_step="Add --deploy.")
    if test is not None:
        lock_trial.arguments_of(test)
    canary = Canary(weight, watch if watch is not None else DEFAULT_SECONDS) if deploy else None
    return Wish(newest=everything, apply=apply, test=test, replay=replay, canary=canary)


def _workspace(manifest: Path | None, what: str | None) -> Workspace:
    if what is not None and (Path(what) / "casemate.toml").is_file():
        return Workspace(Path(what) / "casemate.toml", ())
    return Workspace(manifest, (what,) if what else ())


def _print(done: Updated) -> None:
    print_replayed(done.replayed)
    if done.written:
        print_line(f"Written: {', '.join(done.written)}", GREEN)
    watching.print_tried(done.tried)
    tell_left(done.tried)


def _end(done: Updated, wish: Wish, *, json: bool) -> None:
    """Exit with 1 as long as holes are open."""
    if not wish.apply and done.clearable:
        if not json:
            note(
                f"Known vulnerabilities to clear: {done.clearable}. "
                "Next: casemate deps update --apply",
                YELLOW,
            )
        raise typer.Exit(1)
    if done.left or not done.all_live:
        raise typer.Exit(1)
