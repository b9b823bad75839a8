"""Decoys: a secret, a token, a host name and a table row in each project, for intruders to touch.

The vault derives them from the project's key. They are stored nowhere, and watched for wherever
somebody could request them. Not here: reactions to a touch, beyond reporting it.
"""

from casemate.decoys.decoys import Decoys
from casemate.decoys.making import made
from casemate.decoys.watching import Watch

__all__ = ["Decoys", "Watch", "made"]
