"""`casemate nodes`: the nodes that share a control store."""

from __future__ import annotations

from casemate.cli.operation_command import Call, answered
from casemate.cli.options import new_app
from casemate.cli.terminal import YELLOW, note, print_line, print_table
from casemate.cli.text import moment
from casemate.model.nodes import ClusterNode, NodeState, ProjectPlace
from casemate.operations.nodes import DrainNode, ListNodes, Nodes, PlaceProject, RemoveNode

app = new_app("See, drain and remove nodes that share a control store; place projects.")


@answered(app, ListNodes, examples="$ casemate nodes ls\n$ casemate nodes ls --json")
def ls(found: Nodes) -> None:
    """List the nodes, and the state of each as the store knows it.

    SINCE is when a node was last started, START how often. TOLD UNTIL says up to when the asked
    node has records of its calls, ENTRIES up to where it has heads of its journal. Below are the
    databases in which projects live, as the asked node sees them.
    """
    versions = {one.version for one in found.nodes if one.state is not NodeState.GONE}
    print_table(
        ("name", "state", "seen", "version", "since", "start", "told until", "entries", "address"),
        [
            (
                one.name + _marks(one),
                _state(one),
                f"{one.silent:.0f} s ago" if one.seen_at else "ended",
                one.version,
                moment(one.started_at),
                str(one.incarnation),
                "-" if one.told_until is None else moment(one.told_until),
                "-" if one.entries is None else str(one.entries),
                one.address,
            )
            for one in found.nodes
        ],
        below=("start", "told until", "entries", "address"),
        empty="There are no nodes.",
    )
    for one in found.nodes:
        if one.problem:
            print_line(f"{one.name}: {one.problem}.", YELLOW)
    if len(versions) > 1:
        print_line(f"Several versions serve: {', '.join(sorted(versions))}.", YELLOW)
    if any(one.asked for one in found.nodes):
        note("*: the one that answers; 1: what one node alone has to do is its.")
    if found.databases:
        print_line("")
        print_table(
            ("database", "projects", "moving", "state"),
            [
                (one.name, str(one.projects), str(one.moving), one.problem or "there")
                for one in found.databases
            ],
            empty="",
            below=("state",),
        )


@answered(
    app,
    DrainNode,
    examples="$ casemate nodes drain node-1\n$ casemate nodes drain node-1 --undo",
)
def drain(found: ClusterNode) -> None:
    """Let a node take no new calls and events; running ones finish.

    Within 3 s it takes no events and is not ready, so that callers are sent elsewhere; calls that
    still come are answered for 15 s more. This survives restarts, until `--undo`.
    """
    if not found.draining:
        print_line(f"{found.name} takes calls again, within seconds.")
        return
    print_line(f"{found.name} is not ready within 3 s, and takes no calls 15 s later.")
    note(f"Afterwards: casemate nodes drain {found.name} --undo")


@answered(
    app,
    PlaceProject,
    examples="$ casemate nodes place shop west\n$ casemate nodes place shop main",
)
def place(found: ProjectPlace) -> None:
    """Place a project in a database; it need not be deployed yet.

    Its data is moved there and compared, and not served meanwhile. After an interruption run the
    command again to continue, or name the former database to go back.
    """
    if not found.moving_to:
        print_line(f"{found.project} lives in {found.database}.")
        return
    print_line(f"{found.project} is being moved from {found.database} to {found.moving_to}.")
    note("When it is there: casemate nodes ls. It goes on without you.")


@answered(app, RemoveNode, removed="{it.name}", examples="$ casemate nodes rm node-1")
def rm(call: Call) -> None:
    """Forget a node that is gone: it has ended, or the store has not heard of it for 15 s."""
    print_line(f"{call.operation.name} is forgotten.")


def _marks(one: ClusterNode) -> str:
    marks = "*" * one.asked + "1" * one.first
    return f" {marks}" if marks else ""


def _state(one: ClusterNode) -> str:
    drained = one.draining and one.state is NodeState.GONE
    return "gone, drained" if drained else one.state.value
