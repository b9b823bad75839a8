"""The control API: `/api/v1`, what owners use to deploy, inspect and operate a node.

Not the path of an invocation (`casemate.invocation`), and not the logic of a change: that is
behind `Control`, which the node implements. Imports `model` and Starlette, nothing else of ours.
"""

from casemate.api.app import create_app
from casemate.api.authentication import CHECKED
from casemate.api.control import StartFailedError
from casemate.model.node import NodeStatus

__all__ = [
    "CHECKED",
    "NodeStatus",
    "StartFailedError",
    "create_app",
]
