"""Login of a pipeline: by the ID token that its CI system gives the job."""

from __future__ import annotations

import os
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

import httpx2

from casemate.cli.bounded_answer import bounded_answer, text_in
from casemate.cli.client import NodeClient
from casemate.cli.credentials import is_safe_url
from casemate.cli.errors import CommandError, DeniedError, UsageError
from casemate.cli.login_requests import post
from casemate.decoding import DECODING_ERRORS
from casemate.operations.login import OpenedToken, WorkloadLogin

TOKEN = "CASEMATE_ID_TOKEN"  # noqa: S105 - the name of a variable
"""Variable with the ID token itself: `id_tokens` of GitLab's jobs fill it."""
GITHUB_URL = "ACTIONS_ID_TOKEN_REQUEST_URL"
GITHUB_TOKEN = "ACTIONS_ID_TOKEN_REQUEST_TOKEN"  # noqa: S105 - the name of a variable
"""Variables of a GitHub job with the permission `id-token: write`."""
SECONDS = 15.0
MAX_ANSWER_BYTES = 64 * 1024
_NO_ANSWER = (httpx2.HTTPError, httpx2.InvalidURL, *DECODING_ERRORS)


def login(client: NodeClient, name: str, audience: str) -> OpenedToken:
    """Open a session of the workload `name`; raises CommandError where the job has no ID token."""
    return post(client, WorkloadLogin(name=name, id_token=id_token(os.environ, audience)))


def id_token(environment: Mapping[str, str], audience: str) -> str:
    """Return the ID token of this job for an audience.

    Raises UsageError where the CI system gives none, DeniedError and CommandError where it does
    not answer as it should.
    """
    if found := environment.get(TOKEN, "").strip():
        return found
    url, bearer = environment.get(GITHUB_URL, ""), environment.get(GITHUB_TOKEN, "")
    if not url or not bearer:
        raise UsageError(
            f"This job has no ID token: there is neither {TOKEN} nor {GITHUB_URL}.",
            next_step=f"GitLab: `id_tokens: {{{TOKEN}: {{aud: {audience}}}}}` in the job. "
            "GitHub: `permissions: {id-token: write}`.",
        )
    if not is_safe_url(url):
        raise DeniedError(
            f"{GITHUB_URL} is not https, so it is not asked.",
            next_step="Run this in a job of GitHub Actions, which sets it.",
        )
    joint = "&" if urlsplit(url).query else "?"
    try:
        answer = _asked(f"{url}{joint}audience={quote(audience, safe='')}", bearer)
        return text_in(answer, "value")
    except _NO_ANSWER as error:
        raise CommandError(
            f"The CI system gives no ID token ({type(error).__name__}).",
            next_step="Try the job again; it needs `permissions: {id-token: write}`.",
        ) from error


def _asked(url: str, bearer: str) -> bytes:
    status, answer = bounded_answer(
        "GET", url, SECONDS, MAX_ANSWER_BYTES, headers={"authorization": f"bearer {bearer}"}
    )
    if status != httpx2.codes.OK:
        raise httpx2.HTTPError(f"status {status}")
    return answer
