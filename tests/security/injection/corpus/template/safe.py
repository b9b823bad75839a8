"""Handlers that give data to constant templates."""

from support.guard_corpus import Program, sqs

HOSTILE = ["{{ 7*7 }}", "{% raw %}", "${7*7}", "<% x %>", "{# c #}", "name", "Hello", "{0}", "%s"]


def each(key):
    return [{key: h} for h in HOSTILE]


PROGRAMS = {
    "context": Program(
        """
from jinja2 import Template
def handler(event, context): return Template("Hello {{ name }}!").render(name=event["v"])
""",
        benign=each("v"),
    ),
    "environment": Program(
        """
from jinja2 import DictLoader, Environment
env = Environment(loader=DictLoader({"a": "{% extends 'b' %}{% block x %}{{ v }}{% endblock %}", "b": "<p>{% block x %}{% endblock %}</p>"}), autoescape=True)
def handler(event, context): return env.get_template("a").render(v=event["v"])
""",
        benign=each("v"),
    ),
    "sandbox": Program(
        """
from jinja2.sandbox import SandboxedEnvironment
from jinja2.exceptions import TemplateError
def handler(event, context):
    try: return SandboxedEnvironment().from_string(event["v"]).render(name="x")
    except TemplateError: return 400
""",
        benign=each("v"),
    ),
    "loop": Program(
        """
from jinja2 import Template
T = Template("{% for i in items %}{{ loop.index }}: {{ i|e }}\\n{% endfor %}")
def handler(event, context): return T.render(items=event["v"].split(" "), **{"extra": event["v"]})
""",
        benign=each("v"),
    ),
    "Mako": Program(
        """
from mako.template import Template
def handler(event, context): return Template("Hi ${name | h}").render(name=event["v"])
""",
        benign=each("v"),
    ),
    "choice": Program(
        """
from jinja2 import Environment
TEMPLATES = {"welcome": "Welcome {{ v }}", "bye": "Bye {{ v }}"}
def handler(event, context):
    source = TEMPLATES.get(event["v"], TEMPLATES["bye"])
    return Environment().from_string(source).render(v=event["v"])
""",
        benign=[*each("v"), {"v": "welcome"}],
    ),
    "language": Program(
        """
from jinja2 import Environment, DictLoader
env = Environment(loader=DictLoader({"mail.de": "Hallo {{ v }}", "mail.en": "Hello {{ v }}"}))
def handler(event, context):
    lang = event.get("lang", "en")
    if lang not in ("de", "en"): lang = "en"
    return env.get_template("mail." + lang).render(v=event["v"])
""",
        benign=[{"v": h, "lang": "de"} for h in HOSTILE] + [{"v": "a", "lang": "../x"}],
    ),
    "string.Template": Program(
        """
from string import Template
def handler(event, context): return Template("Hello $name, $$5").substitute(name=event["v"])
""",
        benign=each("v"),
    ),
    "format map": Program(
        """
class Default(dict):
    def __missing__(self, key): return ""
def handler(event, context): return "Dear {name}, {x}".format_map(Default(name=event["v"]))
""",
        benign=each("v"),
    ),
    "escaped": Program(
        """
import html
from jinja2 import Template
def handler(event, context):
    page = Template("<p>{{ x|safe }}</p>").render(x=html.escape(event["v"]))
    return {"statusCode": 200, "body": page}
""",
        benign=each("v"),
    ),
    "number in the source": Program(
        """
from jinja2 import Template
def handler(event, context): return Template("{{ items[:%d] }}" % int(event["n"])).render(items=[1, 2, 3])
""",
        benign=[{"n": "2"}, {"n": 1}, {"n": "x"}],
    ),
    "braces removed": Program(
        """
from jinja2 import Template
import re
def handler(event, context):
    title = re.sub(r"[{}%#$<>]", "", event["v"])
    return Template("<h1>" + title + "</h1>{{ x }}").render(x=event["v"])
""",
        benign=each("v"),
    ),
    "macro and filter": Program(
        """
from jinja2 import Environment
env = Environment(); env.filters["up"] = lambda s: s.upper()
T = env.from_string("{% macro m(x) %}<i>{{ x|up }}</i>{% endmacro %}{{ m(v) }}")
def handler(event, context): return T.render(v=event["v"])
""",
        benign=each("v"),
    ),
    "file of the function": Program(
        """
import os
from jinja2 import Environment, FileSystemLoader
env = Environment(loader=FileSystemLoader(os.path.dirname(__file__)))
def handler(event, context): return env.get_template("page.html").render(v=event["v"])
#### page.html
<p>{{ v }}</p>
""",
        benign=each("v"),
    ),
    "queue": Program(
        """
import json
from jinja2 import Template
def handler(event, context):
    t = Template("{{ a }}-{{ b.c }}")
    return [t.render(**json.loads(r["body"])) for r in event["Records"]]
""",
        benign=[sqs({"a": h, "b": {"c": h}}) for h in HOSTILE],
    ),
    "raw data joined after": Program(
        """
from jinja2 import Template
def handler(event, context):
    head = Template("<head>{{ t }}</head>").render(t="x")
    return head + "<body>" + event["v"] + "</body>"
""",
        benign=each("v"),
    ),
}
