"""Decoys: a secret, a token, a host name and a table row in each project, for intruders to touch.

They are made of the project's key by the vault, kept nowhere, and watched for everywhere that
something could ask for them. Not here: what is done about a touch, beyond telling of it.
"""

from casemate.decoys.decoys import Decoys
from casemate.decoys.making import made
from casemate.decoys.watching import Watch

__all__ = ["Decoys", "Watch", "made"]
