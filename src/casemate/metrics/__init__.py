"""Metrics of functions: counted where things happen, written in the format of Prometheus.

Not the numbers of the node's own parts, which those parts provide, and not the records of each
invocation. Imports only `model`.
"""

from casemate.metrics.figures import Figures
from casemate.metrics.registry import Registry

__all__ = ["Figures", "Registry"]
