"""Casemate: the serverless platform you run yourself that is secure before you configure it."""

__version__ = "0.1.0"
