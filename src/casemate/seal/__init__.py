"""Stage 5: the answer that leaves, and the record that stays.

Callers get the function's answer or an error id; type, message and trace go to the record only.
Not the transport. May import `model` and the ports of `store`.
"""

from casemate.seal.close import Seal

__all__ = ["Seal"]
