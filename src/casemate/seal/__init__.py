"""Stage 5: the answer that leaves, and the record that stays.

Callers get the function's answer or an error id; type, message and trace go to the record only.
Not the transport. May import `model` and the ports of `recorder` and `vault`.
"""

from casemate.seal.close import Seal
from casemate.seal.redaction import Redactor

__all__ = ["Redactor", "Seal"]
