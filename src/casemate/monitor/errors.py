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


class RefusedError(UndeliveredError):
    """What is sent is not taken as it is: sent again, it would be refused again."""


class TooLargeError(RefusedError):
    """It is refused for its size."""


class BusyError(UndeliveredError):
    """It asks to come back later."""

    seconds = 0.0
    """When, if it says that."""
