"""Attacks that are played on a live node, on a project of their own, to see what the node does.

It is the catalogue (one entry for each attack), the attacked project, the runner, and the report
of a run. It is not a simulation: the journal gets only what really happens.
"""

from pathlib import Path

PROJECT = Path(__file__).parent / "project"
"""Folder of the functions that attack and are attacked."""
ATTACKER = PROJECT / "attacker.py"
"""The function that tries to get out."""
