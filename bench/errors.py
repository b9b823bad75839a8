"""What can go wrong while measuring. Each error costs one figure, not the whole run."""

from __future__ import annotations

from casemate.model.errors import CasemateError


class BenchError(CasemateError):
    """A measurement could not be made."""


class ToolMissingError(BenchError):
    """A program that the measurements need is not installed."""


class PeerInstallError(BenchError):
    """A peer's environment could not be installed."""


class StartError(BenchError):
    """A target did not start, or gave no right answer in time."""


class DeployError(BenchError):
    """Deploying functions to the node failed."""


class MemoryUnreadableError(BenchError):
    """The memory of a process could not be read, so the sum would be too small."""


class WrongAnswerError(BenchError):
    """An answer that had to be right was wrong."""
