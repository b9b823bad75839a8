"""Who vouches for a host: the code's own texts, its checks, its settings; and is it public?"""

from __future__ import annotations

import ipaddress
import itertools
import os
import re
import socket
from typing import Any, NamedTuple

from ..core import Guard
from ..decoding import unquoted
from ..notes import Question, in_network
from ..origin import Span
from .structure import FOR_FEW, WORDS, Parts, resolved, split

_NAME = re.compile(r"(?<![a-z0-9_-])[a-z0-9_-]+(?:\.[a-z0-9_-]+)+(?::\d{1,5})?", re.IGNORECASE)
_IN_LETTERS = re.compile(r"(?:[\w-]{1,63}\.){1,10}[\w-]{1,63}")
_URL = re.compile(r"[a-z][a-z0-9+.-]{0,30}://[^\s\"'<>|]+", re.IGNORECASE)
_SEPARATORS = re.compile(r"[\s,;]+")
_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443, "ftp": 21}
_MAX_DIGITS = 5
_MAX_URL = 4096
_MAX_TEXT, _MAX_URLS = 16_384, 50
"""Characters of a text in which URLs are looked for, and how many of them."""
_MIN_PREFIX = 8
_NUMBERS = re.compile(r"(?:\d{1,3}\.){2,3}", re.ASCII)
"""How an address begins of which two or three numbers are the code's."""
_MAX_LABELS = 8
"""Of a host whose domains are looked at."""
_LOCAL_NAMES = re.compile(
    r"(?:.*\.)?(?:localhost|localdomain|local|internal|intranet|lan|corp|home|private|arpa)\.?"
)
_NAME_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_PATH_WORDS = re.compile(r"[^a-z0-9]+")
_SERVED_FOR_FEW = frozenset(
    ("debug", "diagnostics", "loopback", "metrics", "operator", "operators", "ops", "pprof")
)
"""Words of what a server in the function is for, or of its paths, besides these."""
_EMBEDDED = re.compile(r"(?:^|[.-])(\d{1,3}(?:[.-]\d{1,3}){3})(?=[.-])")
_LINKED = re.compile(r"(?:[\w-]{1,63}\.){1,10}(?:[^\W\d_]{2,63}|xn--[a-z0-9-]{1,59})")
_INWARD = re.compile(
    r"(?:[\w-]{1,63}\.){0,10}(?:test|onion|localtest\.me|lvh\.me|vcap\.me|lacolhost\.com"
    r"|nip\.io|sslip\.io|xip\.io|rbndr\.us|1u\.ms)"
)
"""Names that are used within networks, and domains of which names lead wherever these say. Those
that end in `invalid` are never there (RFC 6761, 6.4)."""
_LINK_PORTS = frozenset((80, 443, 8080, 8443))
_ADDRESS_CHECKS = ("is_private", "is_global")
_PROXIES = ("http_proxy", "https_proxy", "all_proxy")
_ELSEWHERE = "casemate-guard.invalid"
_BEGINNING = re.compile(r"https?://(?:[a-z0-9_-]{1,63}\.){1,10}[a-z]{2,63}")
"""What a URL begins with up to the end of a whole host."""
_AUTHORITY = re.compile(r"(?:[a-z][a-z0-9+.-]*:)?/{0,2}([^/?#]*)")


class Place(NamedTuple):
    """Where a URL leads."""

    scheme: str
    host: str
    port: int | None
    """None for that of a scheme which is not known here."""


def host_of(url: str) -> str:
    """Return a URL's host in lower case, as the most generous client reads it."""
    return normal(url[slice(*split(url).host)])


def hosts_in(text: str) -> set[str]:
    """Return the hosts of the URLs in a text, of the first of these."""
    found = itertools.islice(_URL.finditer(text[:_MAX_TEXT]), _MAX_URLS)
    return {host_of(one[0]) for one in found}


def normal(host: str) -> str:
    """Return a host in the form in which hosts are compared."""
    return host.strip("[]").rstrip(".").lower()


def address_of(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the address that a host is, in whatever form resolvers take; None for a name."""
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        pass
    try:
        # inet_aton reads 0x7f.1, 2130706433 and 017700000001, as resolvers do.
        return ipaddress.IPv4Address(socket.inet_aton(host)) if host[:1].isdigit() else None
    except (OSError, ValueError):
        return None


def is_public(host: str) -> bool:
    """Tell whether a host is neither this machine nor one in a private network, by its look."""
    host = normal(host)
    address: Any = address_of(host)
    if address is None:
        inside = _EMBEDDED.search(host)  # 10.0.0.1.nip.io and the like
        if inside is not None:
            address = address_of(inside[1].replace("-", "."))
        if address is None:
            return "." in host and not _LOCAL_NAMES.fullmatch(host)
    mapped = getattr(address, "ipv4_mapped", None) or getattr(address, "sixtofour", None)
    return bool((mapped or address).is_global) and not address.is_multicast


def is_meant_for_all(host: str) -> bool:
    """Tell whether a host is public, and no word of its name says that it is for few."""
    return is_public(host) and FOR_FEW.isdisjoint(WORDS.split(normal(host)))


def speaks_of_few(name: str) -> bool:
    """Tell whether a name of the code's says that what it stands for is for few: `ADMIN_PORT`."""
    words = {word.lower() for word in _NAME_WORDS.findall(name)}
    return not (FOR_FEW | _SERVED_FOR_FEW).isdisjoint(words)


def is_linked(host: str) -> bool:
    """Tell whether a host is a name that links may have, in whatever letters: a public one."""
    import unicodedata  # a library that hardly any function needs

    name = unicodedata.normalize("NFKC", normal(host))
    if _LINKED.fullmatch(name) is None or _INWARD.fullmatch(name) is not None:
        return False
    return address_of(name) is None and is_meant_for_all(name) and resolves_public(name)


def resolves_public(host: str) -> bool:
    """Tell whether all addresses of a host are public; in the sandbox the proxy sees to that."""
    if not is_public(host):
        return False
    try:
        found = socket.getaddrinfo(normal(host), None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return True
    return all(is_public(str(entry[4][0])) for entry in found)


def proxies() -> set[str]:
    """Return the hosts of the proxies that clients are told to use."""
    values = (os.environ.get(n) or os.environ.get(n.upper()) for n in _PROXIES)
    return {host_of(value) for value in values if value}


class Vouching:
    """Tells whether the function's code vouches for a host that the event has chosen."""

    def __init__(self, guard: Guard) -> None:
        """Ask the guard for checks, and the code for its texts."""
        self._guard = guard
        self._known: frozenset[Place] = frozenset()
        self._counted = -1
        self.served: set[tuple[str, int]] = set()
        """Where servers of the function's own code listen in this process."""

    def __call__(
        self,
        text: str,
        parts: Parts,
        span: Span,
        *,
        links: bool = False,
        visited: bool = False,
    ) -> bool:
        """Do so for the host of a URL. A port by itself is not vouched for by its host.

        `links`: nothing but what is there is read, so that a link may be to any public host.
        `visited`: it is the caller who goes there, so that each port of the web's may be.
        """
        host = normal(text[slice(*parts.host)])
        if not host:
            return False
        if span.start >= parts.host[1]:
            return self._guard.found_number(place_of(text, parts).port or -1)
        visited = visited and place_of(text, parts).port in _LINK_PORTS
        foreseen = self.is_foreseen(text, parts) or (visited and self._is_host_of_code(host))
        if (foreseen and not self.passes_by_fault(text, parts)) or self._told_apart(host):
            return True
        if self._is_choice(text, span):
            return True
        if links and (self._is_link(text, parts, span) or self._is_served(text, parts, span)):
            return True
        whole = span.start == 0 and span.end >= parts.authority[1] > parts.authority[0]
        given = text[: span.end] if whole else text
        own_port = visited or span.end <= parts.host[1]
        return self._checked(text, parts, given, own_port=own_port)

    def _is_choice(self, text: str, span: Span) -> bool:
        """Tell whether the whole URL stands, as it is, beside others in a list of the code's."""
        return (span.start, span.end) == (0, len(text)) and text in self._guard.constants.choices

    def _is_served(self, text: str, parts: Parts, span: Span) -> bool:
        """Tell whether a URL is of the one server that the code has begun here, as it has begun it.

        Who calls the function reaches by it nothing but code of the function's. Of several servers
        one may be for itself, as may be a path that says so.
        """
        place = place_of(text, parts)
        whole = span.start <= parts.authority[0] and span.end >= parts.authority[1]
        if not whole or place.scheme != "http":
            return False
        path = unquoted(text[parts.path :]).lower()
        words = {*_PATH_WORDS.split(path), *_PATH_WORDS.split(path.replace("-", ""))}
        few = FOR_FEW | _SERVED_FOR_FEW
        return self.served == {(place.host, place.port)} and few.isdisjoint(words)

    def _is_link(self, text: str, parts: Parts, span: Span) -> bool:
        """Tell whether a URL is a link to a public host that a pattern has found in a text.

        Not if the code has asked for its host: what passed by a fault was not meant (ADR 0176).
        """
        place = place_of(text, parts)
        if span.start > 0 or span.end < parts.authority[1] or place.port not in _LINK_PORTS:
            return False
        if place.scheme not in ("http", "https") or not is_linked(place.host):
            return False
        provenance = self._guard.provenance
        if not any(map(provenance.has_found, _of_both_schemes(text[: span.end]))):
            return False
        host, authority = text[slice(*parts.host)], text[slice(*parts.authority)]
        forms = {text, text.lower(), host, host.lower(), authority, authority.lower()}
        rest = text[parts.authority[0] :]  # behind `://`
        forms |= {rest, rest.lower()}
        return not any(
            _is_of_hosts(question) or not all(question.ask(one) for one in _others(form, host))
            for form in forms
            if host in form
            for question in provenance.asked_of(form)
        )

    def is_foreseen(self, text: str, parts: Parts | None = None) -> bool:
        """Tell whether code or settings hold the URL's very scheme, host and port.

        Of the code's texts only those count that are a host or a URL, not those that mention one;
        for a host that is not public only the settings. Nothing vouches for what is below a domain.
        """
        place = place_of(text, parts or split(text))
        if is_meant_for_all(place.host) and place in self._from_code():
            return True
        return place in self._settings()

    def passes_by_fault(self, text: str, parts: Parts) -> bool:
        """Tell whether the code asked for a URL that ends with its host, and this host goes on.

        `url.startswith("https://api.example.com")` is true of `https://api.example.com.evil.test`,
        which the code may hold as well: among what it has recorded of others. It may have asked for
        a host of what follows `://`.
        """
        host = normal(text[slice(*parts.host)])
        scheme, rest = text[: parts.authority[0]].lower(), text[parts.authority[0] :]
        asked = [
            before + one
            for form, before in {
                text: "",
                text.lower(): "",
                rest: scheme,
                rest.lower(): scheme,
            }.items()
            for question in self._guard.provenance.asked_of(form)
            if question.place < 0 and question.function.__name__ == "startswith"
            for one in map(str.lower, _asked_for(question))
            if _BEGINNING.fullmatch(before + one) is not None
            and text.lower().startswith(before + one)
        ]
        hosts = [host_of(one) for one in asked]
        return bool(hosts) and host not in hosts

    def _is_host_of_code(self, host: str) -> bool:
        return is_meant_for_all(host) and any(place.host == host for place in self._from_code())

    def _from_code(self) -> frozenset[Place]:
        texts = self._guard.constants.texts
        if len(texts) != self._counted:
            self._known, self._counted = _places_in(texts), len(texts)
        return self._known

    @staticmethod
    def _settings() -> frozenset[Place]:
        values = [v for n, v in os.environ.items() if n.lower() not in _PROXIES]
        return _places_in([part for v in values for part in _SEPARATORS.split(v)])

    def _checked(self, text: str, parts: Parts, given: str, *, own_port: bool) -> bool:
        """Tell whether the code found the host, or what holds it, in a collection or pattern.

        `given` is what the event has of the URL, if it has its host: the code may have added more.
        Where it looked at the host alone, the port has to be the scheme's own, one that the code
        has written (`own_port`), or a number that it found in a collection as well.
        """
        host, authority = text[slice(*parts.host)], text[slice(*parts.authority)]
        scheme = text[slice(*parts.scheme)]
        provenance = self._guard.provenance
        forms = {authority, f"{scheme}://{authority}", text, given, f"{scheme}://{authority}/"}
        forms |= {authority.lower(), text[: parts.query]}
        hosts = {host, host.strip("[]"), host.lower(), normal(host), _ascii(host)}
        named = {host, _in_letters(host)}
        hosts |= named
        port = place_of(text, parts).port
        usual = own_port or port in (None, _PORTS.get(scheme.lower()))
        if usual or (port is not None and self._guard.found_number(port)):
            forms |= hosts
        elif host == authority:
            forms.discard(host)
        for form in forms | hosts:
            # A check of the host alone would have let any other port pass as well.
            full = form in forms
            if full and self._guard.check_of(form) == "member":
                return True
            changed = _others(form, host) if full and host in form else []
            for question in provenance.asked_of(form):
                if self._is_asked_by_event(question):
                    continue
                domains = _domains(question)
                if any(_is_below(one, port, domains) for one in named):
                    return True
                if full and (_names(question, authority) or _is_within(question, host)):
                    return True
                if _cuts_label(question, host):
                    continue
                if changed and not any(question.ask(other) for other in changed):
                    return True
        return _is_below(host, port, self._found_above(host))

    def _found_above(self, host: str) -> list[str]:
        """Return the domains above a host that the code found in a collection, or compared.

        `".".join(host.split(".")[-2:]) in ALLOWED`: any host below them was meant.
        """
        labels = normal(host).split(".")[-_MAX_LABELS:]
        above = (".".join(labels[n:]) for n in range(1, len(labels) - 1))
        return [domain for domain in above if self._guard.check_of(domain) == "member"]

    def _is_asked_by_event(self, question: Question) -> bool:
        """Tell whether the event has brought what the host was compared with."""
        given = [a for n, a in enumerate(question.arguments) if n != question.place]
        pattern = getattr(getattr(question.function, "__self__", None), "pattern", None)
        given += [part for one in given if isinstance(one, tuple) for part in one]
        given += [getattr(one, "pattern", None) for one in given]
        texts = [one for one in (*given, pattern) if isinstance(one, (str, bytes))]
        # An empty one says nothing, and is of nobody.
        return any(not text or self._is_brought(text) for text in texts)

    def _is_brought(self, text: str | bytes) -> bool:
        """Tell whether a text is the event's, and no setting that says the same as it."""
        if self._guard.is_made_of_event(text):
            return True
        return self._guard.whole(text) is not None and text not in os.environ.values()

    def keeps_steps(self, text: str) -> bool:
        """Tell whether the code's checks of a URL or its path say the same without steps in it.

        `https://example.com/public/../internal` begins like what clients never ask for.
        """
        plain, parts = resolved(text), split(text)
        after = split(plain)
        forms = [(text, plain)]
        forms.append((text[parts.path : parts.query], plain[after.path : after.query]))
        return not any(
            not self._is_asked_by_event(question) and question.ask(form) and not question.ask(other)
            for form, other in forms
            for question in self._guard.provenance.asked_of(form)
        )

    def _told_apart(self, host: str) -> bool:
        """Tell whether the code looks at addresses, in which case public ones are meant."""
        holds = self._guard.constants.holds_word
        return any(holds(word) for word in _ADDRESS_CHECKS) and resolves_public(host)


def _names(question: Question, authority: str) -> bool:
    """Tell whether the code asked for a text whose host, with its port, is the very one of a URL.

    `"127.0.0.1:8090/" in url` says less than it was meant to, and this host is what was meant.
    """
    given = [a for n, a in enumerate(question.arguments) if n != question.place]
    given += [part for one in given if isinstance(one, tuple) for part in one]
    found = [_AUTHORITY.match(text.lower()) for text in given if isinstance(text, str)]
    return any(one is not None and one[1] == authority.lower() != "" for one in found)


def _cuts_label(question: Question, host: str) -> bool:
    """Tell whether what the code asked for begins within a label of the host that ends so.

    `host.endswith("files.example.com")` is true of `evilfiles.example.com`, which is not below it.
    """
    if question.place < 0 and question.function.__name__ == "endswith":
        ends = [one.lower() for one in _asked_for(question) if host.lower().endswith(one.lower())]
        starts = [len(host) - len(one) for one in ends if _NAME.fullmatch(one) is not None]
    else:
        found = question.find(host) if question.place >= 0 else None
        starts = [found.start()] if found is not None else []
    return any(
        start > 0 and re.fullmatch(r"[\w-]{2}", host[start - 1 : start + 1]) for start in starts
    )


def _is_of_hosts(question: Question) -> bool:
    """Tell whether what the code asked for has a name in it that a host may have."""
    return any(_NAME.search(text) is not None for text in _asked_for(question))


def _is_within(question: Question, host: str) -> bool:
    """Tell whether an address is in a network that the code asked for, or begins as it asked.

    Of all networks (less than eight bits) none is meant. Who asks for this machine's means it.
    """
    address = address_of(normal(host))
    if address is None or str(address) != normal(host):
        return False
    if question.function is in_network:
        network = ipaddress.ip_network(question.arguments[1])
        return network.prefixlen >= _MIN_PREFIX and in_network(str(address), str(network))
    if question.place >= 0 or question.function.__name__ != "startswith":
        return False
    return any(
        _NUMBERS.fullmatch(one) is not None and normal(host).startswith(one)
        for one in (text.rpartition("/")[2] for text in _asked_for(question))
    )


def _in_letters(host: str) -> str:
    """Return a host in the letters that `xn--` stands for (RFC 5890), as code has looked at it."""
    try:
        return host.encode("ascii").decode("idna") if "xn--" in host.lower() else host
    except UnicodeError:
        return host


def _ascii(host: str) -> str:
    """Return a host as it is sent: names in other scripts have another form there."""
    try:
        return host if host.isascii() else host.encode("idna").decode()
    except UnicodeError:
        return host


def _domains(question: Question) -> list[str]:
    """Return the names of hosts that the code asked for somewhere in a text, or at its end."""
    name = question.function.__name__
    if question.place < 0 and name != "endswith":
        return []
    texts = [text.lower() for text in _asked_for(question)]
    whole = [text.lstrip(".") for text in texts] if name == "endswith" else []
    return [*whole, *(one.partition(":")[0] for text in texts for one in _NAME.findall(text))]


def _asked_for(question: Question) -> list[str]:
    """Return the texts that the code asked for, those of patterns without their escapes."""
    pattern = getattr(getattr(question.function, "__self__", None), "pattern", None)
    given = [a for n, a in enumerate(question.arguments) if n != question.place]
    given += [part for one in given if isinstance(one, tuple) for part in one]
    given = [getattr(one, "pattern", one) for one in (*given, pattern)]
    texts = [one for one in given if isinstance(one, str) and len(one) <= _MAX_URL]
    return [one.replace("[.]", ".").replace("\\", "") for one in texts]


def _is_below(host: str, port: int | None, domains: list[str]) -> bool:
    """Tell whether a public host is one of these domains or below one, at a port of the web's.

    `host.endswith("example.com")` and `"example.com" in url` say less than they were meant to, and
    `www.example.com` was meant.
    """
    name = normal(host)
    if not domains or not is_meant_for_all(name) or port not in _LINK_PORTS:
        return False
    return any(is_public(one) and (name == one or name.endswith("." + one)) for one in domains)


def _others(form: str, host: str) -> list[str]:
    """Return a text with hosts in it that no check of the host must take for it."""
    labels = host.split(".")
    if len(labels) > 1 and not labels[-1].isdigit():
        registered = "evil" + ".".join(labels[-2:])
    else:
        registered = f"evil{host}"
    others = (_ELSEWHERE, registered, f"{host}.{_ELSEWHERE}", f"{host}@{_ELSEWHERE}", "10.0.0.1")
    return [form.replace(host, other, 1) for other in others]


def _of_both_schemes(url: str) -> tuple[str, str]:
    """Return a URL of HTTP as it is and with the other scheme: the code may have replaced it."""
    secure = url.startswith("https://")
    return url, f"http://{url[8:]}" if secure else f"https://{url[7:]}"


def place_of(text: str, parts: Parts) -> Place:
    """Return where a URL leads. Without a scheme and a port, to no place that anybody holds."""
    scheme = text[slice(*parts.scheme)].lower()
    written = text[parts.host[1] : parts.authority[1]].removeprefix(":")
    port = int(written) if written.isdecimal() and len(written) <= _MAX_DIGITS else None
    if not written:
        port = _PORTS.get(scheme)
    elif port is None:
        port = -1  # what is no number is no port that anybody foresaw
    return Place(scheme, normal(text[slice(*parts.host)]), port)


def _places_in(texts: Any) -> frozenset[Place]:
    """Return the places that texts are: URLs, and hosts, which stand for the usual ports."""
    found: set[Place] = set()
    for text in texts:
        if len(text) > _MAX_URL:
            continue
        if not text.isascii() and _IN_LETTERS.fullmatch(text):
            text = _ascii(text)  # noqa: PLW2901 - as it is in a URL that is sent
        if _NAME.fullmatch(text):
            host, _, port = text.lower().partition(":")
            for scheme, own in _PORTS.items():
                found.add(Place(scheme, normal(host), int(port) if port else own))
        elif _URL.fullmatch(text):
            found.add(place_of(text, split(text)))
    return frozenset(found)
