"""Web hooks: requests of repositories and storage servers, proven by a secret, become events.

It is: the endpoint `/hooks/PROJECT/FUNCTION/NAME` and one file for each kind of sender.
It is not: a way around the path; what is kept here is admitted and inspected when it is delivered.
"""

from casemate.triggers.hooks.declared import HOOKS_PREFIX
from casemate.triggers.hooks.endpoint import MAX_HOOK_BODY, Hooks

__all__ = ["HOOKS_PREFIX", "MAX_HOOK_BODY", "Hooks"]
