"""Every kind of what is masked, by the name that a manifest and a mark have for it."""

from __future__ import annotations

TOKENS = (
    "aws-key",
    "github-token",
    "gitlab-token",
    "slack-token",
    "stripe-key",
    "google-key",
    "package-token",
    "service-key",
    "casemate-token",
    "jwt",
    "private-key",
    "authorization",
    "url-password",
)
PERSONAL = ("email", "card", "iban")
ALWAYS = (*TOKENS, *PERSONAL)
"""What is masked unless a function's manifest says otherwise, with a reason."""
BY_CHOICE = (
    "br-cpf",
    "de-tax-id",
    "es-dni",
    "fr-nir",
    "it-fiscal-code",
    "nl-bsn",
    "pl-pesel",
    "se-personnummer",
    "uk-nino",
    "us-ssn",
)
"""Numbers of persons in a country: masked where a manifest names them, because elsewhere numbers
of another meaning look the same."""
KINDS = (*ALWAYS, *BY_CHOICE)
