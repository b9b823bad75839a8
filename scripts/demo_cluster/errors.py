"""What is said when the demo does not go as it should."""

from __future__ import annotations


class DemoError(Exception):
    """Something did not go as it should. Says what to do."""
