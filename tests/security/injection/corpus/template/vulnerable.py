"""Handlers that make templates of data."""

from support.guard_corpus import Program, b64, body, sqs

J = "{{ 7*7 }}"
J2 = "{% for c in [].__class__.__base__.__subclasses__() %}{{ c }}{% endfor %}"
PROGRAMS = {
    "Template": Program(
        """
from jinja2 import Template
def handler(event, context): return Template("Hello " + event["name"]).render()
""",
        [{"name": J}, {"name": J2}, {"name": "{{config}}"}],
        [{"name": "Ada"}, {"name": "{x}"}],
    ),
    "whole": Program(
        """
import json, jinja2
def handler(event, context):
    d = json.loads(event["body"])
    return jinja2.Template(d["template"]).render(**d["values"])
""",
        [
            body(template="Hi {{ self.__init__.__globals__ }}", values={}),
            body(template=J2, values={}),
        ],
        [body(template="Hello", values={"a": 1})],
    ),
    "environment in a class": Program(
        """
from jinja2 import Environment
class Mailer:
    LAYOUT = "<html><body>%s</body></html>"
    def __init__(self): self.env = Environment(autoescape=True)
    def render(self, text, **values): return self.env.from_string(self.LAYOUT % text).render(**values)
def handler(event, context): return Mailer().render(event["text"], user="x")
""",
        [{"text": "{{ user.__class__ }}"}, {"text": "{# x #}"}],
        [{"text": "Hi"}, {"text": "<b>x</b>"}],
    ),
    "f-string": Program(
        """
from jinja2 import Environment
env = Environment()
def handler(event, context):
    return env.from_string(f"<h1>{event['title'].strip()}</h1>{{{{ body }}}}").render(body=event["body"])
""",
        [{"title": " {{ 1 }} ", "body": ""}],
        [{"title": "News", "body": J}],
    ),
    "replace": Program(
        """
from jinja2 import Template
T = "Dear NAME, {{ n }} items"
def handler(event, context): return Template(T.replace("NAME", event["name"])).render(n=3)
""",
        [{"name": "{{ n.__class__ }}"}],
        [{"name": "Ada"}],
    ),
    "expression": Program(
        """
from jinja2 import Environment
def handler(event, context): return Environment().compile_expression(event["rule"])(age=3)
""",
        [{"rule": "age.__class__.__mro__"}, {"rule": "''.__class__"}],
    ),
    "inside a tag": Program(
        """
from jinja2 import Template
def handler(event, context):
    return Template("{% if user." + event["attr"] + " %}yes{% endif %}").render(user={"a": 1})
""",
        [{"attr": "__class__.__mro__"}, {"attr": "a %}{{ 1 }}{% endif %}{% if 1"}],
    ),
    "Mako": Program(
        """
from mako.template import Template
def handler(event, context): return Template("Hi ${name} " + event["note"]).render(name="x")
""",
        [
            {"note": "${7*7}"},
            {"note": "<% import os %>"},
            {"note": "\n% for a in [1]:\nx\n% endfor\n"},
        ],
        [{"note": "bye"}],
    ),
    "Mako, whole": Program(
        """
import base64
from mako.template import Template
def handler(event, context): return Template(text=base64.b64decode(event["t"]).decode()).render()
""",
        [{"t": b64("<%! import os %>${os.getpid()}")}],
        [{"t": b64("plain")}],
    ),
    "dictionary loader": Program(
        """
from jinja2 import DictLoader, Environment
def handler(event, context):
    env = Environment(loader=DictLoader({"page": event["page"], "base": "{% block b %}{% endblock %}"}))
    return env.get_template("page").render()
""",
        [{"page": J}],
        [{"page": "text"}],
    ),
    "join": Program(
        """
from jinja2 import Environment
def handler(event, context):
    lines = ["Report for {{ date }}"]
    for i in event["items"]: lines.append("- " + i["name"] + ": " + str(i["n"]))
    return Environment().from_string("\\n".join(lines)).render(date="x")
""",
        [{"items": [{"name": "a", "n": 1}, {"name": J2, "n": 2}]}],
        [{"items": [{"name": "a", "n": 1}, {"name": "b", "n": 2}]}],
    ),
    "queue": Program(
        """
import json
from jinja2 import Template
def handler(event, context):
    return [Template(json.loads(r["body"])["subject"]).render() for r in event["Records"]]
""",
        [sqs({"subject": "a"}, {"subject": "{{ cycler.__init__.__globals__ }}"})],
        [sqs({"subject": "a"})],
    ),
    "rendered twice": Program(
        """
from jinja2 import Template
def handler(event, context):
    first = Template("Hello {{ name }}, {% raw %}{{ year }}{% endraw %}").render(name=event["name"])
    return Template(first).render(year=2024)
""",
        [{"name": J}],
        [{"name": "Ada"}],
    ),
    "braces stripped once": Program(
        """
from jinja2 import Template
def handler(event, context): return Template("Hi " + event["n"].replace("{{", "", 1)).render()
""",
        [{"n": "{{x{{ 7*7 }}"}, {"n": "{% print 7 %}"}],
        [{"n": "a"}],
    ),
    "format then template": Program(
        """
from jinja2 import Environment
TEMPLATE = "<p>{greeting}</p><p>{{{{ footer }}}}</p>"
def build(**kw): return TEMPLATE.format(**kw)
def handler(event, context): return Environment().from_string(build(greeting=event["g"])).render(footer="f")
""",
        [{"g": J}],
        [{"g": "hello"}],
    ),
    "path parameter in an error page": Program(
        """
from jinja2 import Template
from urllib.parse import unquote
def handler(event, context):
    page = "<h1>Not found: %s</h1>" % unquote(event["rawPath"])
    return {"statusCode": 404, "body": Template(page).render()}
""",
        [{"rawPath": "/%7B%7B7*7%7D%7D"}],
        [{"rawPath": "/a%20b"}],
    ),
}
