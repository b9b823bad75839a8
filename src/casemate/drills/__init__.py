"""Attacks that are played on a live node, on a project of their own, to see what becomes of them.

What it is: the catalogue (one entry an attack), the project that is attacked, the runner, and the
report of a run. What it is not: a simulation. Nothing is written to the journal but what happens.
"""

from pathlib import Path

PROJECT = Path(__file__).parent / "project"
"""Folder of the functions that attack and are attacked."""
ATTACKER = PROJECT / "attacker.py"
"""The function that tries to get out."""
