"""Versions brought live with a share of the calls: promoted or gone back, by function.

What an update of locks tries differs from what is live by its packages alone: the folder has to
build to the very bundles that are live before anything is tried. It is written to the folder once
it is live, so that whatever ends this process before leaves the folder as it was, and the same
command goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from casemate.cli import watching
from casemate.cli.client import NodeClient, connect
from casemate.cli.deployed import deployed_functions
from casemate.cli.deployment import Wanted, deploy
from casemate.cli.errors import CommandError
from casemate.cli.names import FunctionName
from casemate.cli.terminal import YELLOW, note
from casemate.cli.text import moment
from casemate.model.deployment import LIVE, Alias, DeployedFunction, TrialTerms
from casemate.model.errors import CasemateError
from casemate.operations.functions import ShowFunction
from casemate.operations.metrics import ShowMetrics

if TYPE_CHECKING:
    from casemate.build.bundle import BuiltBundle

DEFAULT_SECONDS = 60

WeightOption = Annotated[
    int | None,
    typer.Option(
        "--weight",
        metavar="PERCENT",
        min=1,
        max=99,
        help=f"The canary's share of the calls; else {watching.DEFAULT_WEIGHT}.",
    ),
]
WatchOption = Annotated[
    int | None,
    typer.Option(
        "--watch",
        metavar="SECONDS",
        min=watching.LEAST_SECONDS,
        max=watching.MOST_SECONDS,
        help=f"How long it is watched; else {DEFAULT_SECONDS}.",
    ),
]


class Pair(NamedTuple):
    """A function as the folder builds it, before and after an update."""

    name: FunctionName
    old: BuiltBundle
    new: BuiltBundle


class Canary(NamedTuple):
    """How what was deployed is tried."""

    weight: int | None
    """Per cent of the calls; None: the default."""
    seconds: int

    @property
    def terms(self) -> TrialTerms:
        """What the node is told."""
        return watching.terms(self.weight, self.seconds)

    def watch(self, client: NodeClient, names: Sequence[FunctionName]) -> list[watching.Tried]:
        """Watch functions of which a version was just deployed by these terms."""
        return watching.watch(client, [_live(client, name) for name in names], self.seconds)

    def bring_live(
        self, pairs: Sequence[Pair], write: Callable[[], list[str]]
    ) -> tuple[list[str], list[watching.Tried]]:
        """Try the functions of an update; return what was written, and what came of it.

        Nothing is written unless all can be tried and one is promoted, or an earlier run has
        brought one live and was ended before it wrote. Raises CommandError if what is live is not
        what the folder holds.
        """
        with connect() as client:
            wanted, live = _wanted(client, pairs)
            require_numbers(client, [one.name for one in wanted])
            # First what is live already: whatever becomes of the others.
            written = _written(write, live) if live else []
            tried = self._tried(client, wanted) if wanted else []
        promoted = [one.function for one in tried if one.result is watching.Result.PROMOTED]
        if promoted and not live:
            written = _written(write, promoted)
        return written, tried

    def _tried(self, client: NodeClient, wanted: Sequence[Wanted]) -> list[watching.Tried]:
        deploy(client, wanted, force=False, trial=self.terms)
        return self.watch(client, [one.name for one in wanted])


def _written(write: Callable[[], list[str]], live: Sequence[str]) -> list[str]:
    """Write an update whose functions are live. Raises CommandError, saying that they are."""
    try:
        return write()
    except CasemateError as error:
        raise CommandError(
            f"The update of {', '.join(live)} is live, and not in the files: {error.message}",
            next_step="Fix that, and run the command again: what is live by then is only written.",
        ) from error


def require_numbers(client: NodeClient, names: Sequence[FunctionName]) -> None:
    """Raise DeniedError if this key may not see what trials are decided by."""
    for name in names:
        client.call(ShowMetrics(project=name.project, function=name.function))


def _wanted(client: NodeClient, pairs: Sequence[Pair]) -> tuple[list[Wanted], list[str]]:
    """Return what is to be tried, functions that are live as they were built here; and the names
    of those whose update an earlier run has brought live already.
    """
    there = deployed_functions(client)
    found: list[Wanted] = []
    live: list[str] = []
    for name, old, new in pairs:
        before = there.get(name)
        if before is None:
            note(f"{name} is not on the node, so it is not tried.", YELLOW)
        elif Wanted(name, new, before).is_live:
            note(f"{name} has the update already, by an earlier run.")
            live.append(str(name))
        else:
            _require_as_here(name, old, before)
            found.append(Wanted(name, new, before))
    if not found and not live:
        raise CommandError(
            "None of the functions is on the node; nothing is written.",
            next_step="Leave out --deploy, then: casemate deploy",
        )
    return found, live


def _require_as_here(name: FunctionName, old: BuiltBundle, before: DeployedFunction) -> None:
    """Raise CommandError unless all callers of a function get what the folder holds."""
    if Wanted(name, old, before).is_live:
        return
    trial = next((one.trial for one in before.aliases if one.name == LIVE and one.trial), None)
    if trial is not None:
        raise CommandError(
            f"Version {trial.version} of {name} is being tried until {moment(trial.until)}; "
            "nothing is written.",
            next_step=f"Wait for that, or end it: casemate promote {name} {trial.back}",
        )
    raise CommandError(
        f"What is here is not what all callers of {name} get, so more than packages would change; "
        "nothing is written.",
        next_step=f"Deploy it first (casemate deploy {name.function}), or leave out --deploy.",
    )


def _live(client: NodeClient, name: FunctionName) -> Alias:
    """Return where `live` of a function leads to."""
    asked = ShowFunction(project=name.project, function=name.function)
    return next(alias for alias in client.call(asked).aliases if alias.name == LIVE)


def tell_left(tried: Sequence[watching.Tried]) -> None:
    """Say what is to be done about functions that were not promoted."""
    for one in tried:
        if one.result is watching.Result.UNDECIDED:
            again = f"`casemate promote {one.function} {one.version} --watch 3600`"
            note(f"{one.function}: too little is known to tell. For longer: {again}", YELLOW)
        elif one.result is watching.Result.GONE_BACK:
            seen = f"`casemate errors ls {one.function} --version {one.version}`"
            note(f"{one.function}: what failed of version {one.version}: {seen}", YELLOW)
