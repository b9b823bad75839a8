"""What a forty-eighth and a forty-ninth set of programs by others showed, with harmless twins."""

from __future__ import annotations

from pathlib import Path

from casemate.guard.decoding import decoded
from support.guard_cases import Cases, assert_blocked, assert_passes

# -- expressions, forms and rules that the code puts together --------------------------------------

TABLE = """
class Table:
    def scan(self, FilterExpression, ExpressionAttributeValues):
        return FilterExpression
    def query(self, **asked):
        return asked
def handler(event, context):
    table = Table()
    table.query(KeyConditionExpression="id = :i", FilterExpression=f"{event.get('name', 'kind')} = :k")
    parts = ["owner = :me", f"total >= {event['least']}"]
    return table.scan(FilterExpression=" AND ".join(parts), ExpressionAttributeValues={":me": "x"})
"""
FORM = """
import json
from urllib.parse import parse_qsl
def handler(event, context):
    given = json.loads(event["body"])
    form = "&".join([
        f"amount={int(given['amount'])}",
        "account=customers",
        f"currency={given['currency'][:3].upper()}",
        f"reference={given.get('order', '')}",
    ])
    return dict(parse_qsl(form))
"""
RULE = """
import tomllib
FLAGS = tomllib.loads('[pro]\\nrule = \\'$plan == "pro" and $seats >= 5\\'\\n')
def handler(event, context):
    rule = FLAGS["pro"]["rule"]
    for name, value in event.items():
        literal = repr(value) if isinstance(value, int) else '"%s"' % str(value).strip()
        rule = rule.replace("$" + name, literal)
    return bool(eval(rule, {"__builtins__": {}}))
"""


def test_an_expression_for_a_table_of_its_own_is_judged(tmp_path: Path) -> None:
    for event in ({"least": "0 OR total > 0"}, {"least": 1, "name": "owner <> :me OR kind"}):
        assert_blocked(tmp_path, {str(event): (TABLE, event)}, {"nosql"}, ())
    for event in ({"least": "100"}, {"least": 5, "name": "kind"}):
        assert_passes(tmp_path, {str(event): (TABLE, event)}, ())


def test_a_number_in_a_form_hides_no_parameter(tmp_path: Path) -> None:
    body = '{"amount": 100, "currency": "eur", "order": "%s"}'
    event = {"body": body % "4711&amount=9999900"}
    assert_blocked(tmp_path, {"form": (FORM, event)}, {"deserialisation"}, ())
    for order in ("A-4711", "2024.06-0001_b", "amount=5"):
        assert_passes(tmp_path, {order: (FORM, {"body": body % order})}, ())


def test_a_mark_that_the_event_names_tells_what_is_put_there(tmp_path: Path) -> None:
    event = {"plan": 'free" or 1 or "', "seats": 1}
    assert_blocked(tmp_path, {"rule": (RULE, event)}, {"code"}, ())
    for plan in ("pro", "o'neil or 1", "Côte (CI)"):
        assert_passes(tmp_path, {plan: (RULE, {"plan": plan, "seats": 5})}, ())


# -- hosts that the code takes out of a URL --------------------------------------------------------

PICTURES = """
import re
from urllib.parse import urlsplit
CDN = "https://img.shop.example"
def handler(event, context):
    found = []
    for source in re.findall(r'src="([^"]*)"', event["html"]):
        source = source.strip()
        if re.match(r"https?:", source):
            if not source.startswith(CDN):
                continue
        else:
            source = CDN + source
        found.append(urlsplit(source).hostname)
    return found
"""
LINKS = """
import re, urllib.request
class Near(urllib.request.HTTPHandler):
    def http_open(self, request):
        if request.host in ("news.example", "blog.example"):
            request.host = "127.0.0.1:9"
        return super().http_open(request)
def handler(event, context):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), Near)
    for url in re.findall(r"https?://[^\\s<>]+", event["message"]):
        if not any(name in url for name in ("news.example", "blog.example")):
            continue
        try:
            opener.open(url, timeout=1)
        except OSError:
            pass
"""


def test_a_host_that_data_goes_on_with_is_judged_where_it_is_cut(tmp_path: Path) -> None:
    for source in (
        "https://img.shop.example.evil.example/a.png",
        "https://img.shop.example@169.254.169.254/latest",
        "@evil.example/x.png",
        ".evil.example/x.png",
    ):
        html = f'<img alt="x" src="{source}">'
        assert_blocked(tmp_path, {source: (PICTURES, {"html": html})}, {"url"}, ())
    for source in ("/shoes/1.png", "/hat.png?w=2", "https://img.shop.example/a", "http://evil/x"):
        html = f'<img alt="x" src="{source}">'
        assert_passes(tmp_path, {source: (PICTURES, {"html": html})}, ())


def test_a_url_that_was_judged_may_be_asked_for_elsewhere(tmp_path: Path) -> None:
    message = "http://news.example/a and http://blog.example/b?x=1"
    assert_passes(tmp_path, {"query": (LINKS, {"message": message})}, ())
    message = "look http://127.0.0.1:18761/latest?x=news.example"
    assert_blocked(tmp_path, {"inside": (LINKS, {"message": message})}, {"url"}, ())


# -- markup that the code calls safe ---------------------------------------------------------------

CARDS = """
from jinja2 import Environment
from markupsafe import Markup, escape
def badge(text):
    label, _, color = text.partition("|")
    if not color:
        return escape(label)
    return Markup(f'<span class="badge" title="{escape(label)}">{label}</span>')
environment = Environment(autoescape=True)
environment.filters["badge"] = badge
CARD = environment.from_string("<b>{{ name }}</b> {{ text | badge }}")
def handler(event, context):
    return {"html": CARD.render(name=event["name"], text=event["badge"])}
"""


def test_markup_that_the_code_calls_safe_has_no_tags_of_data(tmp_path: Path) -> None:
    for text in ("<svg onload=alert(1)>|x", "vip</span><form action=//evil.example>|gold"):
        event = {"name": "x", "badge": text}
        assert_blocked(tmp_path, {text: (CARDS, event)}, {"response"}, ("jinja2",))
    for text in ("Founder|gold", "<i>plain</i>", "A & B|blue"):
        event = {"name": "<script>x</script>", "badge": text}
        assert_passes(tmp_path, {text: (CARDS, event)}, ("jinja2",))


# -- logs, shells, cookies and templates -----------------------------------------------------------

JOURNAL = """
import io, logging
FORMAT = "%(levelname)s|%(client)s|%(path)s|%(message)s"
def handler(event, context):
    stream = io.StringIO()
    target = logging.StreamHandler(stream)
    target.setFormatter(logging.Formatter(FORMAT))
    log = logging.Logger("access")
    log.addHandler(target)
    log.warning("%d", 500, extra={"client": "a", "path": event["path"]})
    log.info("COMMENT %s", ascii(event.get("text", "")), extra={"client": "a", "path": "/"})
    return [line.split("|") for line in stream.getvalue().splitlines()]
"""
SHELL = """
import asyncio, shlex
async def run(label):
    line = f"printf '%s' {shlex.quote(label)}; wc -l < /dev/null"
    process = await asyncio.create_subprocess_shell(line, stdout=asyncio.subprocess.PIPE)
    return (await process.communicate())[0].decode()
def handler(event, context):
    return asyncio.run(run(event.get("label", "")))
"""
COOKIE = """
from http.cookies import SimpleCookie
def handler(event, context):
    jar = SimpleCookie()
    jar.load(event["cookie"])
    theme = jar["theme"].value
    return {"statusCode": 204, "headers": {"Set-Cookie": f"theme={theme}; Path=/; Secure"}}
"""
BANNER = """
import os, tempfile
from string import Template
VALUES = {"base": "https://status.example", "build": "7.1", "pager_key": "PD-KEY"}
def handler(event, context):
    path = os.path.join(tempfile.mkdtemp(), "banner.tmpl")
    with open(path, "w", encoding="utf-8") as file:
        file.write("\\n".join(["Note: " + event["text"], "More: $base", "($build, for $reader)"]))
    with open(path, encoding="utf-8") as file:
        return Template(file.read()).safe_substitute(dict(VALUES, reader="you"))
"""


def test_a_record_in_memory_has_as_many_fields_as_the_codes(tmp_path: Path) -> None:
    assert_blocked(tmp_path, {"bar": (JOURNAL, {"path": "/x|200|ignored"})}, {"log"}, ())
    for path in ("/search?q=it's&x=%0a", "/%s/%(levelname)s/{0}"):
        event = {"path": path, "text": "a\n2025-01-01T00:00:00|INFO|GRANT|x"}
        assert_passes(tmp_path, {path: (JOURNAL, event)}, ())


def test_the_shell_that_python_starts_is_none_of_the_events(tmp_path: Path) -> None:
    event = {"label": "x", "files": ["#!/bin/sh\nrm -rf /\n"]}
    assert_passes(tmp_path, {"script": (SHELL, event)}, ())
    chosen = "import subprocess\nsubprocess.run([event['shell'], '-c', 'true'])"
    assert_blocked(tmp_path, {"chosen": (chosen, {"shell": "/bin/sh"})}, {"command"}, ())


def test_octal_digits_of_a_cookie_are_undone(tmp_path: Path) -> None:
    told = dict(decoded(r"x\073 Domain=\".example\""))
    assert str(told["escapes"]).startswith("x; Domain=")
    cookie = 'theme="x\\073 Domain=.example\\073 Max-Age=99999999"'
    assert_blocked(tmp_path, {"octal": (COOKIE, {"cookie": cookie})}, {"header", "response"}, ())
    assert_passes(tmp_path, {"plain": (COOKIE, {"cookie": "theme=sepia; other=1"})}, ())


def test_a_template_that_comes_back_from_a_file_has_its_own_fields(tmp_path: Path) -> None:
    for text in ("see $pager_key", "at ${pager_key}"):
        assert_blocked(tmp_path, {text: (BANNER, {"text": text})}, {"template"}, ())
    harmless: Cases = {
        "a field of its own": (BANNER, {"text": "all is fine", "level": "$build"}),
        "no field": (BANNER, {"text": "price is 5$ or $5"}),
    }
    assert_passes(tmp_path, harmless, ())


FRAMES = """
import pandas as pd
def handler(event, context):
    frame = pd.DataFrame({"tenant": ["a", "b"], "n": [1, 2]})
    tenant = event["tenant"]
    return frame.query("tenant == @tenant").n.tolist()
"""


def test_variables_of_the_caller_are_there_for_a_query_of_pandas(tmp_path: Path) -> None:
    assert_passes(tmp_path, {"bound": (FRAMES, {"tenant": "a' or 1"})}, ("pandas",))
