"""Masks data that must not be stored, recognised by its shape: service tokens and personal data.

Text in, text out: it reads no settings and keeps nothing but a key that dies with the process. The
vault finds the secrets that it knows, whatever they look like (`casemate.vault.redaction`); this
package finds the ones that the vault does not know.
"""

from casemate.masking.kinds import ALWAYS, BY_CHOICE, KINDS
from casemate.masking.masker import InvocationMasker, Masker

__all__ = ["ALWAYS", "BY_CHOICE", "KINDS", "InvocationMasker", "Masker"]
