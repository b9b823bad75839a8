"""`casemate ls`: what is deployed."""

from __future__ import annotations

from casemate.cli.deployed import live_version
from casemate.cli.operation_command import answered
from casemate.cli.options import new_app
from casemate.cli.terminal import print_table
from casemate.cli.text import moment
from casemate.model.deployment import LIVE, Alias, DeployedFunction, Version
from casemate.operations.functions import Functions, ListFunctions

app = new_app()


@answered(app, ListFunctions, examples="$ casemate ls\n$ casemate ls --json")
def ls(found: Functions) -> None:
    """List the functions of the node.

    Callers of a public function are `everyone`, or `everyone by routes` if direct calls (/invoke)
    need a token. `its project` is an internal function: its triggers and functions of its project.
    """
    print_table(
        ("function", "live", "deployed", "callers", "routes"),
        [(f"{f.project}/{f.name}", *_columns(f)) for f in found.functions],
        empty="There are no functions that you may see. Next: `casemate deploy` in a project's "
        "folder; `casemate whoami` shows your roles.",
        below=("routes",),
    )


def shares(alias: Alias) -> str:
    """Return where an alias points, as `7=95 8=5`, or just `8` where that gets everyone."""
    if len(alias.targets) == 1:
        return str(alias.targets[0].version)
    return " ".join(f"{target.version}={target.weight}" for target in alias.targets)


def _columns(function: DeployedFunction) -> tuple[str, str, str, str]:
    live = next((shares(alias) for alias in function.aliases if alias.name == LIVE), "none")
    version = live_version(function)
    if version is None:
        return live, "", "", ""
    routes = ", ".join(f"{trigger.method} {trigger.path}" for trigger in version.spec.http)
    return live, moment(version.created_at), _callers(function, version), routes


def _callers(function: DeployedFunction, version: Version) -> str:
    if function.quarantine is not None:
        return "nobody: quarantine"
    if version.spec.internal:
        return "its project"
    if not version.spec.public:
        return "token"
    return "everyone" if version.spec.direct else "everyone by routes"
