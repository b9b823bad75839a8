"""Numbers of what functions do: counted where it happens, written as Prometheus reads them.

Not the numbers of the node's parts, which are asked of them, and not what is kept of each
invocation. Imports `model` alone.
"""

from casemate.metrics.figures import Figures
from casemate.metrics.registry import Registry

__all__ = ["Figures", "Registry"]
