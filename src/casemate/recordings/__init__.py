"""Recordings: events, capability answers and replies of invocations that failed, and of a sample.

Sealed with the project's key, bounded in count, bytes and days. Not here: replaying them.
"""

from casemate.recordings.recordings import Recordings

__all__ = ["Recordings"]
