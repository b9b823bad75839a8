"""What is on a node: its functions and the versions that are live.

Apart from `deployment`, whose comparing of grants takes long to load.
"""

from __future__ import annotations

from http import HTTPStatus

from casemate.cli.client import NodeClient
from casemate.cli.errors import MissingError
from casemate.cli.names import FunctionName
from casemate.model.deployment import LIVE, DeployedFunction, Version
from casemate.operations.functions import ListFunctions, ShowFunction


def deployed_functions(client: NodeClient) -> dict[FunctionName, DeployedFunction]:
    """Return what is on the node, by name."""
    listed = client.call(ListFunctions()).functions
    return {FunctionName(f.project, f.name): f for f in listed}


def require_function(client: NodeClient, project: str, function: str, *, line: str) -> None:
    """Raise MissingError if there is no such function: a wrong name has no records either.

    `line` is the command that takes a project as well, by --project.
    """
    answer = client.request(ShowFunction(project=project, function=function))
    if answer.status_code == HTTPStatus.NOT_FOUND:
        if any(name.project == function for name in deployed_functions(client)):
            raise MissingError(
                f"There is no function {project}/{function}; {function} is a project.",
                next_step=f"For the whole project: `casemate {line} --project {function}`.",
            )
        raise MissingError(
            f"There is no function {project}/{function}.",
            next_step="`casemate ls` lists the functions that exist.",
        )


def live_version(function: DeployedFunction) -> Version | None:
    """Return the version that gets the largest share of the callers, or None."""
    numbers = {version.number: version for version in function.versions}
    for alias in function.aliases:
        if alias.name == LIVE and alias.targets:
            return numbers.get(max(alias.targets, key=lambda target: target.weight).version)
    return None
