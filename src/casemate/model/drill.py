"""The projects that a drill plays in, and that nothing else is in."""

from __future__ import annotations

from typing import Final

DRILL_PROJECT: Final = "casemate-drill"
DRILL_PROJECTS: Final = frozenset((DRILL_PROJECT, f"{DRILL_PROJECT}-blocked"))
"""With the one that is not there, which a drill knocks at."""
