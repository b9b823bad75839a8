"""What is on a node: its functions and the versions that are live.

Apart from `deployment`, whose comparing of grants takes long to load.
"""

from __future__ import annotations

from casemate.cli.client import NodeClient
from casemate.cli.names import FunctionName
from casemate.model.deployment import LIVE, DeployedFunction, Version
from casemate.operations.functions import ListFunctions


def deployed_functions(client: NodeClient) -> dict[FunctionName, DeployedFunction]:
    """Return what is on the node, by name."""
    listed = client.call(ListFunctions()).functions
    return {FunctionName(f.project, f.name): f for f in listed}


def live_version(function: DeployedFunction) -> Version | None:
    """Return the version that gets the largest share of the callers, or None."""
    numbers = {version.number: version for version in function.versions}
    for alias in function.aliases:
        if alias.name == LIVE and alias.targets:
            return numbers.get(max(alias.targets, key=lambda target: target.weight).version)
    return None
