"""Pages of an answer: where markup of the event is markup, and where it is text."""

from __future__ import annotations

from pathlib import Path

from support.guard_cases import Cases, assert_blocked, assert_passes

PRELOAD = ("jinja2", "django.template")

PAGE = "return {'status':200,'headers':{'content-type':'text/html; charset=utf-8'},'body': "

VULNERABLE: Cases = {
    "an error's text": (
        "try:\n    int(event['n'])\nexcept ValueError as e:\n    return {'status':400,'headers':{'Content-Type':'text/html'},'body':f'<h1>Error</h1><pre>{e}</pre>'}",
        {"n": "<script>alert(1)</script>"},
    ),
    "half escaped": (
        "import html\nreturn {'status':200,'headers':{'Content-Type':'text/html'},'body':'<input value=\"'+html.escape(event['n'],quote=False)+'\">'}",
        {"n": 'x" onfocus="alert(1)'},
    ),
    "fstr": (PAGE + "f\"<p>Hi {event['n']}</p>\"}", {"n": "<script>alert(1)</script>"}),
    "concat": (PAGE + "'<p>Hi ' + event['n'] + '</p>'}", {"n": "<img src=x onerror=alert(1)>"}),
    "bold": (PAGE + "'<p>Hi ' + event['n'] + '</p>'}", {"n": "<b>x</b>"}),
    "whole": (PAGE + "event['n']}", {"n": "<script>alert(1)</script>"}),
    "attr": (
        PAGE + "'<input value=\"' + event['n'] + '\">'}",
        {"n": '" onfocus=alert(1) autofocus x="'},
    ),
    "attr single": (
        PAGE + "\"<input value='\" + event['n'] + \"'>\"}",
        {"n": "' onfocus=alert(1) x='"},
    ),
    "attr bare": (PAGE + "'<input value=' + event['n'] + '>'}", {"n": "x onfocus=alert(1)"}),
    "href js": (PAGE + "'<a href=\"' + event['n'] + '\">x</a>'}", {"n": "javascript:alert(1)"}),
    "href js tab": (
        PAGE + "'<a href=\"' + event['n'] + '\">x</a>'}",
        {"n": " java\tscript:alert(1)"},
    ),
    "href js escaped": (
        "import html\nreturn {'status':200,'headers':{'content-type':'text/html; charset=utf-8'},'body': '<a href=\"' + html.escape(event['n']) + '\">x</a>'}",
        {"n": "javascript:alert('1')"},
    ),
    "script str": (
        PAGE + "'<script>var x = \"' + event['n'] + '\";</script>'}",
        {"n": '";alert(1);"'},
    ),
    "script close": (
        "import json\nreturn {'status':200,'headers':{'content-type':'text/html; charset=utf-8'},'body': '<script>var x = ' + json.dumps(event['n']) + ';</script>'}",
        {"n": "</script><script>alert(1)"},
    ),
    "script bare": (
        PAGE + "'<script>var x = ' + event['n'] + ';</script>'}",
        {"n": "alert(document.cookie)"},
    ),
    "onclick": (
        PAGE + "'<a onclick=\"go(\\'' + event['n'] + '\\')\">x</a>'}",
        {"n": "'),alert(1),('"},
    ),
    "comment": (PAGE + "'<!-- ' + event['n'] + ' -->'}", {"n": "--><script>alert(1)</script>"}),
    "title": (
        PAGE + "'<title>' + event['n'] + '</title>'}",
        {"n": "</title><script>alert(1)</script>"},
    ),
    "textarea": (
        PAGE + "'<textarea>' + event['n'] + '</textarea>'}",
        {"n": "</textarea><script>alert(1)</script>"},
    ),
    "style": (
        PAGE + "'<style>p{color:' + event['n'] + '}</style>'}",
        {"n": "red}body{background:url(//evil)"},
    ),
    "tag name": (PAGE + "'<' + event['n'] + '>x'}", {"n": "script src=//evil.test/x.js"}),
    "jinja off": (
        "import jinja2\nreturn {'status':200,'headers':{'Content-Type':'text/html'},'body': jinja2.Environment(autoescape=False).from_string('<p>{{ n }}</p>').render(**event)}",
        {"n": "<script>alert(1)</script>"},
    ),
    "jinja safe": (
        "import jinja2\nreturn {'status':200,'headers':{'Content-Type':'text/html'},'body': jinja2.Environment(autoescape=True).from_string('<p>{{ n|safe }}</p>').render(**event)}",
        {"n": "<script>alert(1)</script>"},
    ),
    "aws": (
        "return {'statusCode':200,'headers':{'Content-Type':'text/html'},'body':'<h1>'+event['n']+'</h1>'}",
        {"n": "<script>alert(1)</script>"},
    ),
    "aws base64": (
        "import base64\nreturn {'statusCode':200,'headers':{'Content-Type':'text/html'},'isBase64Encoded':True,'body':base64.b64encode(('<h1>'+event['n']+'</h1>').encode()).decode()}",
        {"n": "<script>alert(1)</script>"},
    ),
    "bytes": (PAGE + "b'<p>' + event['n'].encode() + b'</p>'}", {"n": "<script>alert(1)</script>"}),
    "base64 event": (
        "import base64\nreturn {'status':200,'headers':{'content-type':'text/html; charset=utf-8'},'body': '<p>' + base64.b64decode(event['n']).decode() + '</p>'}",
        {"n": "PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg=="},
    ),
    "url decoded": (
        "from urllib.parse import unquote\nreturn {'status':200,'headers':{'content-type':'text/html; charset=utf-8'},'body': '<p>' + unquote(event['n']) + '</p>'}",
        {"n": "%3Cscript%3Ealert(1)%3C/script%3E"},
    ),
    "svg": (
        "return {'status':200,'headers':{'content-type':'image/svg+xml'},'body':'<svg>'+event['n']+'</svg>'}",
        {"n": "<script>alert(1)</script>"},
    ),
    "replace script": (
        PAGE + "'<p>' + event['n'].replace('<script>','') + '</p>'}",
        {"n": "<scr<script>ipt>alert(1)</script>"},
    ),
}

SAFE: Cases = {
    "an address in text": (
        "import jinja2\n"
        "T = jinja2.Environment(autoescape=True).from_string('<p>{{ n }}</p><b>x</b>')\n"
        "return {'status': 200, 'headers': {'content-type': 'text/html'}, 'body': T.render(**event)}",
        {"n": "javascript:alert(1) onclick=x", "m": "<b>"},
    ),
    "escaped": (
        "import html\nreturn {'status':200,'headers':{'content-type':'text/html; charset=utf-8'},'body': '<p>' + html.escape(event['n']) + '</p>'}",
        {"n": "<script>alert(1)</script>"},
    ),
    "escaped attr": (
        "import html\nreturn {'status':200,'headers':{'content-type':'text/html; charset=utf-8'},'body': '<input value=\"' + html.escape(event['n']) + '\">'}",
        {"n": '" onfocus=alert(1) x="'},
    ),
    "escaped fstr": (
        "from html import escape\nreturn {'status':200,'headers':{'content-type':'text/html; charset=utf-8'},'body': f\"<p title='{escape(event['n'])}'>{escape(event['n'])}</p>\"}",
        {"n": "<script>alert(1)</script>"},
    ),
    "markupsafe": (
        "import markupsafe\nreturn {'status':200,'headers':{'content-type':'text/html; charset=utf-8'},'body': str(markupsafe.Markup('<p>%s</p>') % event['n'])}",
        {"n": "<script>alert(1)</script>"},
    ),
    "jinja on": (
        "import jinja2\nreturn {'status':200,'headers':{'Content-Type':'text/html'},'body': jinja2.Environment(autoescape=True).from_string('<p title=\"{{ n }}\">{{ n }}</p><script>var x = {{ n|tojson }};</script>').render(**event)}",
        {"n": "<script>alert(1)</script>"},
    ),
    "jinja on b": (
        "import jinja2\nreturn {'status':200,'headers':{'Content-Type':'text/html'},'body': jinja2.Environment(autoescape=True).from_string('<b>{{ n }}</b><p>fixed</p>').render(**event)}",
        {"n": "<b>"},
    ),
    "jinja on own": (
        "import jinja2\nreturn {'status':200,'headers':{'Content-Type':'text/html'},'body': jinja2.Environment(autoescape=True).from_string('<p>{{ n }}</p><script>go()</script>').render(**event)}",
        {"n": "<script>"},
    ),
    "plain": (PAGE + "f\"<p>Hi {event['n']}</p>\"}", {"n": "O'Brien & Söhne <3 x > y"}),
    "text": (
        "return {'status':200,'headers':{'content-type':'text/plain'},'body':event['n']}",
        {"n": "<script>alert(1)</script>"},
    ),
    "json": ("return {'status':200,'body':{'n':event['n']}}", {"n": "<script>alert(1)</script>"}),
    "no type": ("return {'status':200,'body':event['n']}", {"n": "<script>alert(1)</script>"}),
    "href": (
        "import html\nreturn {'status':200,'headers':{'content-type':'text/html; charset=utf-8'},'body': '<a href=\"' + html.escape(event['n']) + '\">x</a>'}",
        {"n": "https://example.com/?a=1&b='x'"},
    ),
    "href path": (PAGE + "'<a href=\"/users/' + event['n'] + '\">x</a>'}", {"n": "javascript:x"}),
    "script json": (
        "import json\nreturn {'status':200,'headers':{'content-type':'text/html; charset=utf-8'},'body': '<script>var x = ' + json.dumps(event['n']).replace('<','\\\\u003c') + ';</script>'}",
        {"n": "<script>alert(1)</script>\"'"},
    ),
    "h number": (PAGE + "f\"<h{event['n']}>x</h{event['n']}>\"}", {"n": "2"}),
    "strip": (
        "import re\nreturn {'status':200,'headers':{'content-type':'text/html; charset=utf-8'},'body': '<p>' + re.sub(r'[<>&\"\\']', '', event['n']) + '</p>'}",
        {"n": "<script>alert(1)</script>"},
    ),
    "colour": (PAGE + "'<p style=\"color:' + event['n'] + '\">x</p>'}", {"n": "red"}),
    "django": (
        "import django\nfrom django.template import Engine, Context\nreturn {'status':200,'headers':{'content-type':'text/html; charset=utf-8'},'body': Engine().from_string('<p>{{ n }}</p>').render(Context(event))}",
        {"n": "<script>alert(1)</script>"},
    ),
}


def test_attacks_are_blocked(tmp_path: Path) -> None:
    assert_blocked(tmp_path, VULNERABLE, {"response"}, PRELOAD)


def test_harmless_uses_pass(tmp_path: Path) -> None:
    assert_passes(tmp_path, SAFE, PRELOAD)
