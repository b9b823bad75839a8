"""What must not be stored, known by its shape: tokens of services, and data of persons.

Text in, text out: no settings are read here, and nothing is kept but a key that dies with the
process. Secrets that a project told the vault are found by the vault, whatever they look like
(`casemate.vault.redaction`); here is what nobody told it.
"""

from casemate.masking.kinds import ALWAYS, BY_CHOICE, KINDS
from casemate.masking.masker import InvocationMasker, Masker

__all__ = ["ALWAYS", "BY_CHOICE", "KINDS", "InvocationMasker", "Masker"]
