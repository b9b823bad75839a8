"""Is data of the event markup on a page, where the code meant text?"""

from __future__ import annotations

import bisect
import html
import json
import operator
import re
from collections.abc import Callable, Collection, Sequence

from ..nosql.languages import JAVASCRIPT
from ..origin import Span
from ..quoted import STRING, tokenize
from ..quoted import judge as judge_script
from ..spans import escaped, neutral
from ..verdict import Verdict
from ..written.kinds import Kind
from ..written.languages import judge_inserted
from . import styles
from .places import Part, Place, parts

FindSpans = Callable[[str], Sequence[Span]]
LeadsAway = Callable[[str, Span], bool]
"""Takes what a page has browsers go to by themselves, as a header `Refresh` has it, and data."""
FIX = (
    "escape what goes into a page: html.escape(value), or a template that does so by itself "
    "(jinja2.Environment(autoescape=True)); for scripts json.dumps(value).replace('<', '\\\\u003c')"
)
_FIX_URL = "allow addresses that begin with https:// or / alone, and escape them: html.escape(url)"

_OPENS = re.compile(r"<[A-Za-z/!?]")
_ACTIVE = re.compile(
    r"<\s{0,5}/?\s{0,5}(?:script|iframe|frame|object|embed|applet|svg|math|form|input|button|style|"
    r"link|meta|base|img|image|video|audio|source|template|portal|marquee|details|body|html|a)\b|"
    r"[\s\"'/<]on[a-z]{3,30}\s{0,5}=|(?:java|vb)script\s{0,5}:|srcdoc\s{0,5}=|<!",
    re.IGNORECASE,
)
_TAG_ALONE = re.compile(r"</?([A-Za-z]{1,10}) ?/?>")
"""A tag without attributes."""
_PLAIN = re.compile(r"[\w ,.:@%+-]*")
_BREAKS_BARE = re.compile(r"[\s>\"'=<`]")
_BEGUN = re.compile(r"[A-Za-z-]{0,40}=[\"'](?=.)")
_HANDLER = re.compile(r"on[a-z]")
_ADDRESSES = frozenset(
    ("href", "src", "action", "formaction", "data", "xlink:href", "poster", "background", "to")
)
_SCHEME = re.compile(r"(?:javascript|vbscript|data):", re.IGNORECASE)
_UNSEEN = re.compile(r"[\x00-\x20]+")
_MAY_RUN = re.compile(r"script\s{0,5}(?::|&colon;|&#)|data\s{0,5}(?::|&colon;|&#)", re.IGNORECASE)
_DECIDES = "decides the scheme of an address on the page"
_MAX_SPANS = 500
"""Parts from outside for which it is asked whether the page has them by itself."""
_MAX_ADDRESSES = 100
_MAX_HANDLER = 1024
"""Characters of a script in an attribute in whose literals data may stand."""
_MAX_STYLE = 4096
"""Characters of a style that is looked at as a whole, and of an address to go on to."""
_REFRESH = re.compile(r"\s{0,9}\d{1,9}\s{0,9}[;,]\s{0,9}url\s{0,9}=", re.IGNORECASE)
"""How the text of an element begins that has browsers go elsewhere."""
_IS_REFRESH = re.compile(r"\bhttp-equiv\s{0,9}=\s{0,9}[\"']?refresh\b", re.IGNORECASE)
_MIN_SURE = 16
"""Characters of markup that is in a page and in the event by no chance."""
_CLOSED = re.compile(r"(?: ?/?>[^<]*+)?+")
"""After a value: no more of its tag, and then text, as a link has that shows where it leads."""
_ENDS_SCRIPT = re.compile(r"</script|<!--", re.IGNORECASE)
_ENDS_RAW = re.compile(r"</(?:title|textarea)", re.IGNORECASE)
_FOREIGN = re.compile(r"<(?:svg|math)\b|\A\s{0,99}<\?xml", re.IGNORECASE)
"""What may have a script that is read as markup is."""
_LONGEST_END = 10
"""Characters of the longest of these."""
_IN_PARAMETER = re.compile(r"[?&][\w.\[\]-]{1,64}=[^&#\s]{0,200}\Z")
_MAX_PARAMETER = 300
_OF_MAILS = frozenset(("attach", "bcc", "cc", "to"))
"""Parameters of `mailto:` by which others get a mail, or it gets a file."""
_PARAMETERS = re.compile(r"&([\w.\[\]-]{1,64})=")
_start = operator.attrgetter("start")


def judge(
    page: str,
    spans: Sequence[Span],
    cleaned: Collection[str],
    tags: frozenset[str] = frozenset(),
    leads_away: LeadsAway | None = None,
) -> Verdict | None:
    """Return a verdict if `spans` are markup. `cleaned`: what a sanitizer has let through.

    `tags`: elements that the code lets pass where they have no attributes.
    """
    spans = [_within_quotes(page, s) for s in spans]
    texts = {(page[s.start : s.end], s.exact) for s in spans[:_MAX_SPANS]}
    own = {t for t, exact in texts if _is_own(page, t, cleaned, exact=exact)}
    doubtful = [
        s
        for s in spans
        if not s.vouched and not _is_plain(part := page[s.start : s.end]) and part not in own
    ]
    if not doubtful:
        return None
    meant = parts(neutral(page, doubtful))
    for span in doubtful:
        at = bisect.bisect_right(meant, span.start, key=_start) - 1
        place = meant[at] if at >= 0 else Part(Place.TEXT, 0, 0)
        words = _harm(page, span, place, tags)
        if words is not None:
            fix = _FIX_URL if "address" in words else FIX
            return Verdict(span.origin, words, fix)
        if leads_away is not None and _is_sent_on(page, span, place, leads_away):
            return Verdict(span.origin, "decides where the page sends its reader", _FIX_URL)
    return None


def _within_quotes(page: str, span: Span) -> Span:
    """Leave out of a piece that a library made of data how the page's own attribute begins.

    The `=` of a form (`site=https://...`) is found again in `href="https://...`, and so is the end
    of a name (`name=Ann` in `value="Ann`): the code has begun that name.
    """
    if span.exact or not span.is_piece:
        return span
    begun = _BEGUN.match(page, span.start, span.end)
    own = begun is not None and page[span.start - 1 : span.start].isalpha()
    return span._replace(start=begun.end()) if begun is not None and own else span


def _is_own(page: str, text: str, cleaned: Collection[str], *, exact: bool) -> bool:
    """Tell whether a text of the event is the page's own as well, or was cleaned."""
    if _is_plain(text):
        return False
    if any(text in clean for clean in cleaned):
        return True
    # Found by search alone, it can be the template's: a page that has it escaped has put the
    # event's there.
    if exact or (len(text) >= _MIN_SURE and _ACTIVE.search(text)):
        return False
    return any(form in page for form in escaped(text))


def _is_plain(text: str) -> bool:
    return _PLAIN.fullmatch(text) is not None and ":" not in text


def _harm(  # noqa: PLR0911 - one place each
    page: str, span: Span, part: Part, tags: frozenset[str]
) -> str | None:
    text = page[span.start : span.end]
    if part.place is Place.TEXT:
        if tags:
            text = _TAG_ALONE.sub(lambda m: " " if m[1].lower() in tags else m[0], text)
        harmful = _OPENS.search(text) and (span.exact or _ACTIVE.search(text))
        return "is markup on the page" if harmful else None
    if part.place is Place.RAW:
        ends = _ends(_ENDS_RAW, page, span, part)
        return "ends the element that it stands in" if ends else None
    if part.place is Place.COMMENT:
        return "ends a comment of the page" if ">" in text else None
    if part.place is Place.SCRIPT:
        return _in_script(page, span, part)
    if part.place is Place.STYLE:
        return styles.in_sheet(text)
    if part.place is Place.QUOTED:
        if part.quote in text and not _runs_over(page, span, part):
            return "ends the attribute that it stands in"
        return _in_value(page, span, part)
    if part.place is Place.BARE:
        if _BREAKS_BARE.search(text):
            return "ends an attribute without quotes"
        return _in_value(page, span, part)
    return "is part of a tag" if not text.isalnum() else None


def _runs_over(page: str, span: Span, part: Part) -> bool:
    """Tell whether a piece that a library made of data was read on past the value's end.

    It adds nothing to the tag, and no other.
    """
    if span.exact or not span.is_piece or span.start < part.start:
        return False
    after = page[page.index(part.quote, span.start, span.end) + 1 : span.end]
    return _CLOSED.fullmatch(after) is not None


def _in_value(page: str, span: Span, part: Part) -> str | None:
    text = html.unescape(page[span.start : span.end])
    begins = part.attribute in _ADDRESSES and not page[part.start : span.start].strip()
    if begins and _SCHEME.match(_UNSEEN.sub("", text)):
        return _DECIDES
    if part.attribute in _ADDRESSES and "=" in text and _adds(page, span, part):
        return "adds a parameter to an address on the page"
    if part.attribute == "style":
        return _in_style(page, span, part)
    if part.attribute == "srcdoc" and _OPENS.search(text):
        return "is markup on a page within the page"
    if _HANDLER.match(part.attribute) and not _PLAIN.fullmatch(text):
        return _in_handler(page, span, part)
    return None


def _adds(page: str, span: Span, part: Part) -> bool:
    """Tell whether data in a parameter of an address goes on with one that the code has as well.

    Of a mail's, which anybody may have in a link, with any other: `&bcc=`.
    """
    if part.end - part.start > _MAX_STYLE:
        return False
    before, text, after = _divided(page, span, part)
    if not span.exact and before.endswith("&"):  # a piece begins behind the sign, as escaped
        before, text = before[:-1], f"&{text}"
    if _IN_PARAMETER.search(before[-_MAX_PARAMETER:]) is None:
        return False
    names = set(_PARAMETERS.findall(text))
    if before.lstrip().lower().startswith("mailto:") and not names.isdisjoint(_OF_MAILS):
        return True
    return any(f"{sign}{name}=" in f"{before} {after}" for name in names for sign in "?&")


def _divided(page: str, span: Span, part: Part) -> tuple[str, str, str]:
    """Return what is before, in and after data in an attribute, as a browser reads it."""
    start, end = max(part.start, span.start), min(span.end, part.end)
    cut = ((part.start, start), (start, end), (end, part.end))
    before, text, after = (html.unescape(page[a:b]) for a, b in cut)
    return before, text, after


def _in_style(page: str, span: Span, part: Part) -> str | None:
    if part.end - part.start > _MAX_STYLE:
        return styles.in_sheet(html.unescape(page[span.start : span.end]))
    return styles.in_attribute(*_divided(page, span, part))


def _is_sent_on(page: str, span: Span, part: Part, leads_away: LeadsAway) -> bool:
    """Tell whether data is of the address in `<meta http-equiv="refresh" content="0; url=...">`."""
    if part.attribute != "content" or span.start - part.start > _MAX_HANDLER:
        return False  # of what comes after so much nothing is a host
    part = part._replace(end=min(part.end, part.start + _MAX_STYLE))
    begun = page.rfind("<", max(0, part.start - _MAX_HANDLER), part.start)
    if _IS_REFRESH.search(page, max(0, begun), part.end + _MAX_HANDLER) is None:
        return False
    before, text, after = _divided(page, span, part)
    whole = before + text + after
    moved = span._replace(start=len(before), end=len(before) + len(text))
    return _REFRESH.match(whole) is not None and leads_away(whole, moved)


def _in_handler(page: str, span: Span, part: Part) -> str | None:
    """Judge data in the script of an attribute, which a browser reads after its entities."""
    if part.end - part.start > _MAX_HANDLER:
        return "is part of a script of the page"
    before, text, after = _divided(page, span, part)
    script = before + text + after
    # An entity that only both make together is none of the code's.
    if script == html.unescape(page[part.start : part.end]) and span.start >= part.start:
        moved = span._replace(start=len(before), end=len(before) + len(text))
        literal = _in_literal(script, moved)
        if literal and not _is_code_in_script(script, moved):
            return None
    return "is part of a script of the page"


def _is_code_in_script(script: str, span: Span) -> bool:
    found = judge_script(script, [span], JAVASCRIPT)
    return bool(found or judge_inserted(Kind.JAVASCRIPT, script, [span]))


def _ends(mark: re.Pattern[str], page: str, span: Span, part: Part) -> bool:
    """Tell whether a mark that ends a script or a title is data, if only in a part of it.

    Any other tag is text there (HTML, 13.2.5.4 and 13.2.5.2): a browser reads on to the end.
    """
    first = max(part.start, span.start - _LONGEST_END)
    found = mark.finditer(page, first, span.end + _LONGEST_END)
    return any(m.start() < span.end and m.end() > span.start for m in found)


def _in_script(page: str, span: Span, part: Part) -> str | None:
    text = page[span.start : span.end]
    foreign = "</" in text and _FOREIGN.search(page, 0, part.start)
    if foreign or _ends(_ENDS_SCRIPT, page, span, part):
        return "ends the script that it stands in"
    script = page[part.start : part.end]
    moved = [span._replace(start=span.start - part.start, end=span.end - part.start)]
    if _is_json(text) and not _in_literal(script, moved[0]):
        return None
    if _is_code_in_script(script, moved[0]):
        return "is part of a script of the page"
    return None


def _in_literal(script: str, span: Span) -> bool:
    tokens = tokenize(neutral(script, [span]), JAVASCRIPT)
    return any(kind == STRING and start < span.start < end for kind, start, end in tokens)


def _is_json(text: str) -> bool:
    """Tell whether data is a whole value as JSON, which is one of a script as well."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def judge_addresses(page: str, find: FindSpans) -> Verdict | None:
    """Return a verdict if an address on the page runs a script of the event, escaped or not."""
    if not _MAY_RUN.search(page):
        return None
    asked = 0
    for part in parts(page):
        if part.attribute in _ADDRESSES and part.place in (Place.QUOTED, Place.BARE):
            value = html.unescape(page[part.start : part.end])
            if value.isprintable() and not _SCHEME.match(_UNSEEN.sub("", value)):
                continue
            asked += 1
            if asked > _MAX_ADDRESSES:
                raise ValueError(f"more than {_MAX_ADDRESSES} addresses on the page run a script")
            own = next(
                (s for s in find(value) if not s.checked and not value[: s.start].strip()), None
            )
            if own is not None and _SCHEME.match(_UNSEEN.sub("", value[own.start : own.end])):
                return Verdict(own.origin, _DECIDES, _FIX_URL)
    return None
