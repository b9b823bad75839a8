"""`casemate rm`: remove a function."""

from __future__ import annotations

from casemate.cli.client import connect, path_of
from casemate.cli.names import resolve
from casemate.cli.options import FunctionArgument, JsonOption, YesOption, command, new_app
from casemate.cli.prompts import confirm
from casemate.cli.terminal import print_json, print_line
from casemate.model.deployment import DeployedFunction

app = new_app()


@command(app, examples="$ casemate rm hello\n$ casemate rm shop/cart --yes")
def rm(function: FunctionArgument, yes: YesOption = False, json: JsonOption = False) -> None:
    """Remove a function from the node.

    All its versions and aliases go with it, and cannot be brought back except by deploying again.
    """
    name = resolve(function)
    path = path_of("functions", *name[:2])
    with connect() as client:
        found = client.get(path, DeployedFunction)
        versions = len(found.versions)
        plural = "" if versions == 1 else "s"
        confirm(f"Remove {name} with {versions} version{plural} from {client.url}?", yes=yes)
        client.ask("DELETE", path)
    if json:
        print_json({"removed": str(name), "versions": versions})
    else:
        print_line(f"{name} is removed.")
