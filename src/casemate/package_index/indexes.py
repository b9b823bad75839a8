"""Which indexes a project has, and with which logins."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import unquote, urlsplit, urlunsplit

import msgspec

from casemate.model.loopback import is_loopback
from casemate.package_index.errors import PackagePolicyError
from casemate.package_index.lending import Lend, login_of, nobody_lends
from casemate.package_index.policy import Policy
from casemate.package_index.upstream import Login, origin_of

DEFAULT_INDEX = "https://pypi.org/simple"


class Index(msgspec.Struct, frozen=True, kw_only=True):
    """One index. `page` says that its address is one page of files of all projects."""

    name: str
    url: str
    page: bool = False

    def address_of(self, project: str) -> str:
        """Return where the list of a project's files is."""
        return self.url if self.page else f"{self.url.rstrip('/')}/{project}/"


def indexes_of(
    options: Iterable[str],
    policy: Policy,
    environ: Mapping[str, str],
    lend: Lend = nobody_lends,
) -> tuple[tuple[Index, ...], dict[str, Login]]:
    """Return the indexes of a project, and logins by origin.

    `options` are lines of a requirements file. Without any that names a default, that of the
    environment is taken, or PyPI; with `--no-index` there are none but pages of files
    (`--find-links`). A login that is a secret is asked of `lend`, unless the environment has one.
    Raises PackagePolicyError, and what `lend` does.
    """
    found: dict[str, Index] = {}
    logins: dict[str, Login] = {}
    default = environ.get("UV_DEFAULT_INDEX") or environ.get("UV_INDEX_URL") or DEFAULT_INDEX
    more: list[tuple[str, bool]] = []
    without = False
    for line in options:
        option, _, value = line.partition(" ")
        if option == "--no-index":
            without = True
        elif option in ("-i", "--index-url"):
            default = value
        elif option == "--extra-index-url":
            more.append((value, False))
        elif option in ("-f", "--find-links") and "://" in value:
            more.append((value, True))
    named = [(name, settings.url, False) for name, settings in policy.index.items()]
    wanted = [*named, ("", default, False), *(("", *each) for each in more)]
    if without:
        wanted = [each for each in wanted if each[2]]
    for name, url, page in wanted:
        plain, login = _split(url if page else url.rstrip("/"))
        if plain in found:
            continue
        found[plain] = Index(name=name or plain, url=plain, page=page)
        login = _from_environment(name, environ) or login
        if login is None and name and (secret := policy.index[name].secret):
            _protected(plain)  # before anybody is asked for it
            login = login_of(name, plain, secret, lend)
        if login is not None:
            logins[_protected(plain)] = login
    return tuple(found.values()), logins


def _split(url: str) -> tuple[str, Login | None]:
    """Return an address without its credentials, and these."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError as error:
        raise PackagePolicyError("The address of an index is not valid.") from error
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or not host:
        raise PackagePolicyError(
            "The address of an index is not http(s).",
            next_step="Correct UV_DEFAULT_INDEX, or the requirements.",
        )
    host = f"[{host}]" if ":" in host else host
    plain = urlunsplit((parts.scheme, host + port, parts.path, parts.query, ""))
    if parts.username is None:
        return plain, None
    return plain, Login(user=unquote(parts.username), password=unquote(parts.password or ""))


def _from_environment(name: str, environ: Mapping[str, str]) -> Login | None:
    """Return the login of an index that has a name, from where uv looks for it too."""
    if not name:
        return None
    start = f"UV_INDEX_{re.sub(r'[^A-Z0-9]', '_', name.upper())}"
    user, password = environ.get(f"{start}_USERNAME"), environ.get(f"{start}_PASSWORD")
    if password is None and user is None:
        return None
    return Login(user=user or "", password=password or "")


def _protected(url: str) -> str:
    """Return the origin that a login is for; raise where it would go over the network in clear."""
    parts = urlsplit(url)
    if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        raise PackagePolicyError(
            f"The password of the index at {parts.hostname} would be sent in clear.",
            next_step="Use https.",
        )
    return origin_of(url)
