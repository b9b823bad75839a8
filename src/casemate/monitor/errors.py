"""What goes wrong when something is to be noticed, or told to people."""

from __future__ import annotations

from casemate.model.errors import CasemateError, InvalidInputError, UnavailableError


class MonitorError(CasemateError):
    """The monitor cannot do this."""


class MonitorUnavailableError(UnavailableError):
    """There is no monitor at the moment, or it has too much to do."""


class SettingsError(InvalidInputError):
    """The settings are not what the node takes."""


class UndeliveredError(MonitorError):
    """A channel did not take an alert."""
