"""`casemate rm`: remove a function."""

from __future__ import annotations

from contextlib import suppress

from casemate.cli.client import connect
from casemate.cli.errors import CommandError, UsageError
from casemate.cli.names import FunctionName, resolve
from casemate.cli.options import FunctionArgument, JsonOption, YesOption, command, new_app
from casemate.cli.prompts import confirm
from casemate.cli.terminal import note, print_json, print_line
from casemate.operations.delivery import ListFunctionDeadLetters
from casemate.operations.functions import RemoveFunction, RemoveVersion, ShowFunction

app = new_app()


@command(
    app, examples="$ casemate rm hello\n$ casemate rm shop/cart --yes\n$ casemate rm shop/cart@3"
)
def rm(function: FunctionArgument, yes: YesOption = False, json: JsonOption = False) -> None:
    """Remove a function from the node, or one version of it: FUNCTION@3.

    All its versions and aliases go with it, and cannot be brought back except by deploying again.
    A version is removed only if no alias leads to it.
    """
    name = resolve(function, qualified=True)
    if name.qualifier is not None:
        _remove_version(name, yes=yes, json=json)
        return
    with connect() as client:
        found = client.call(ShowFunction(project=name.project, function=name.function))
        versions = len(found.versions)
        plural = "" if versions == 1 else "s"
        confirm(f"Remove {name} with {versions} version{plural} from {client.url}?", yes=yes)
        client.call(RemoveFunction(project=name.project, function=name.function))
    if json:
        print_json({"removed": str(name), "versions": versions})
    else:
        print_line(f"{name} is removed.")
        if _has_letters(name):
            note(
                f"Events of it that were given up are kept: `casemate dlq ls {name}` lists them, "
                f"`casemate dlq purge {name} --all` deletes them."
            )


def _has_letters(name: FunctionName) -> bool:
    """Tell whether dead letters are left, which nothing tries again once the function is gone."""
    left = ListFunctionDeadLetters(project=name.project, function=name.function, limit=1)
    with suppress(CommandError), connect() as client:  # it is removed, whatever this tells
        return bool(client.call(left).letters)
    return False


def _remove_version(name: FunctionName, *, yes: bool, json: bool) -> None:
    if name.qualifier is None or not name.qualifier.isdigit():
        raise UsageError(
            f"{name} names an alias, expected a version such as {name.function}@3.",
            next_step="`casemate show` lists the versions.",
        )
    version = RemoveVersion(
        project=name.project, function=name.function, number=int(name.qualifier)
    )
    with connect() as client:
        confirm(f"Remove the version {name} from {client.url}?", yes=yes)
        client.call(version)
    if json:
        print_json({"removed": str(name), "versions": 1})
    else:
        print_line(f"{name} is removed.")
