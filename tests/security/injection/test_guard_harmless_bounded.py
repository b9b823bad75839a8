"""Fields that are there for conditions, predicates, filters and templates, and their hostile twins.

What passes has no more power than the program gives it, whatever it says.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from casemate.guard.markup import predicates
from casemate.guard.origin import Origin, Span
from casemate.guard.sinks.ldap import judge_filter
from casemate.guard.sinks.xpath import XPATH
from casemate.guard.sql import structure
from casemate.guard.sql.tokens import Dialect
from casemate.guard.templates.reading import Filters, Reader
from support.guard_cases import Cases, assert_blocked, assert_passes, placed

# -- conditions of SQL -----------------------------------------------------------------------------

SQL = """
import re, sqlite3

def rows(statement, values=()):
    db = sqlite3.connect(":memory:")
    db.executescript("create table goods(name text, kg real, port text, secret int);"
                     "create table accounts(owner text, iban text);"
                     "insert into goods values ('steel', 9, 'Cork', 0)")
    return db.execute(statement, values).fetchall()

def handler(event, context):
    where = event["where"]
    try:
        return {}
    except sqlite3.Error as error:
        return str(error)
"""
PLACES = {
    "alone": 'rows("select name, kg from goods where " + where)',
    "in brackets": 'rows(f"select name from goods where secret = 0 and ({where}) order by kg")',
    "beside": 'rows("select name from goods where secret = 0 and " + where + " limit 9")',
    "of groups": 'rows(f"select port, count(*) from goods group by port having {where}")',
}
WRITES = 'rows(f"delete from goods where {where}")'
JOINED = (
    "port in ('Cork', 'Faro') and (kg < 400 or name = 'O''Hara')",
    "kg between 1 and 5 and name like 'st%'",
    "kg / 2 + 1 >= 3 and not (port is null)",
    "lower(name) = 'steel' and port <> ''",
)
CHOICES = ("kg > 1 or port = 'Cork'", "not kg < 3 or name is not null")
TAUTOLOGIES = ("kg > 1 and 1=1", "kg > 1 and kg = kg", "kg > 1 and true")
OTHER_TABLES = (
    "kg > 1 union select owner, iban from accounts",
    "(select iban from accounts) like 'IE%'",
    "kg > 1 and exists (select 1 from accounts)",
    "kg > 1 and load_extension('x') = name",
    "kg > 1 and goods = 'x'",
    "kg > 1 -- ",
    "kg > 1 and ?1 = name",
)
HIDDEN = ("kg > 1 and password like 'a%'", "secret = 1 and kg > 1")
TOKENISED = (
    "import re, sqlite3\n"
    "COLUMNS, WORDS = {'ph', 'site'}, {'and', 'or', 'not', 'like'}\n"
    "TOKEN = re.compile(r\"\\s*(?:(?P<num>\\d+)|(?P<str>'[^']*')|(?P<op><=|>=|=|<|>)\"\n"
    '                   r"|(?P<paren>[()])|(?P<word>[a-z]+))")\n'
    "def handler(event, context):\n"
    "    sql, values, place, text = [], [], 0, event['where']\n"
    "    while place < len(text):\n"
    "        found = TOKEN.match(text, place)\n"
    "        place, kind, token = found.end(), found.lastgroup, found.group(found.lastgroup)\n"
    "        if kind in ('num', 'str'):\n"
    "            sql.append('?'); values.append(token.strip(\"'\"))\n"
    "        elif kind != 'word' or token in COLUMNS or token in WORDS:\n"
    "            sql.append(token)\n"
    "        else:\n"
    "            return token\n"
    "    db = sqlite3.connect(':memory:')\n"
    "    db.execute('create table samples(site, ph)')\n"
    "    statement = 'select site from samples where (' + ' '.join(sql) + ') order by ph'\n"
    "    return db.execute(statement, values).fetchall()\n"
)


def _sql(where: tuple[str, ...], *places: str) -> Cases:
    return {
        f"{place}: {text}": (SQL.replace("{}", PLACES.get(place, WRITES), 1), {"where": text})
        for text in where
        for place in places
    }


def test_conditions_that_tell_rows_apart_pass(tmp_path: Path) -> None:
    cases = _sql(JOINED, *PLACES) | _sql(CHOICES, "alone", "in brackets", "of groups")
    for text in ("not (ph < 7) and site = 'x'", "(ph > 1 or (ph < 9)) and site like 'a'"):
        cases[text] = (TOKENISED, {"where": text})
    assert_passes(tmp_path, cases, ())


def test_conditions_that_do_more_are_stopped(tmp_path: Path) -> None:
    more = (*TAUTOLOGIES, *OTHER_TABLES, *HIDDEN)
    cases = _sql(more, *PLACES) | _sql(CHOICES, "beside") | _sql(JOINED, "of a deletion")
    cases |= _sql(("kg > 1) or (kg < 9",), "in brackets")
    assert_blocked(tmp_path, cases, {"sql"}, ())


def _judged(template: str, value: str) -> object:
    begin, end = template.split("{}")
    span = Span(len(begin), len(begin) + len(value), Origin("event", ("where",)), exact=True)
    return structure.judge(begin + value + end, [span], [Dialect.SQLITE, Dialect.POSTGRESQL])


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("select a from t where id = {}", "2 or kg > 3"),
        ("select a from t where hidden = 0 and id = {}", "2 or kg > 3"),
        ("select a from t where id in ({})", "kg > 3 and id > 2"),
        ("select a from t where f({})", "kg > 3 and id > 2"),
        ("select a from t where kg between 1 and {}", "5 and kg > 3"),
        ("select a from t where kg between 1 and {}", "kg > 3 and id > 2"),
        ("select a from t where not {}", "kg > 3 and id > 2"),
        ("select a from t where {} and hidden = 0", "kg > 3 or id > 2"),
        ("select {} from t", "kg > 3 and id > 2"),
        ("select a from t order by {}", "kg > 3 and id > 2"),
        ("select case when {} then 1 end from t", "kg > 3 and id > 2"),
        ("select a from t where a = '{}'", "x' or kg > 3 or a = 'y"),
        ("select a from t where kg {}", "> 3 or id > 2"),
        ("select a from t where kg {}", "> 3 and id > 2"),
        ("select a from t where kg {} and hidden = 0", "> 3 or id > 2"),
        ("select a from t where kg {}", "> 3 union select 1"),
        ("select a from t where kg {}", "= kg"),
        ("select a from t where kg {}", "> (select 1)"),
        ("select a from t where password {}", "< 'm'"),
        ("select a from t where 1 {}", "< 2"),
        ("select a from t where kg between 1 and {}", "< 2"),
        ("select a from t where kg + {}", "< 2"),
        ("select {} from t", "< 2"),
        ("select kg {} from t", "< 2"),
        ("select a from t join u on t.kg {}", "< 2"),
        ("delete from t where kg {}", "< 2"),
        ("update t set a = 1 where kg {}", "< 2"),
    ],
)
def test_conditions_in_the_place_of_something_else_are_stopped(template: str, value: str) -> None:
    assert _judged(template, value) is not None


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("select a from t where kg {}", "< 1000"),
        ("select a from t where name = 'x' and kg {} order by kg", ">=4.5"),
        ("select a from t where (hidden = 0) and (kg {} or name = 'x')", "<> -3"),
        ("select a from t where name {}", "= 'O''Hara'"),
        ("select port, count(*) from t group by port having kg {}", "!= 0"),
    ],
)
def test_a_comparison_of_a_column_of_the_code_passes(template: str, value: str) -> None:
    assert _judged(template, value) is None


# -- predicates and paths of XPath -----------------------------------------------------------------

XPATH_PROGRAM = """
from lxml import etree

DOC = etree.fromstring("<l><p><book year='1999'><title>Antenna</title><price>9</price></book></p>"
                       "<loans><loan><phone>+43</phone></loan></loans></l>")

def handler(event, context):
    where = event["where"]
    try:
        return str({})
    except etree.XPathError as error:
        return str(error)
"""
EXPRESSIONS = {
    "a predicate": 'DOC.xpath(f"/l/p/book[{where}]")',
    "beside": 'DOC.xpath(f"/l/p/book[@year > 1 and {where}]")',
    "below": "DOC.xpath('/l/p')[0].xpath(where)",
    "of the root": "DOC.xpath(where)",
}
PREDICATES = (
    "@year > 1990 and price < 20",
    "contains(title, 'Ant') and not(@lang)",
    "position() < 2 and normalize-space(title) != ''",
    "count(author/name) = 0 and price * 2 >= 4.5",
)
PATHS = ("book[@year > 1]/title", "count(book)", "book/title | book/price", "book[", ".//title")
LEAVING = (
    "starts-with(/l/loans/loan/phone, '+4')",
    "../loans/loan = 'x'",
    "ancestor::l//phone = '+43'",
    "//phone = '+43'",
    "@password = 'x' and price > 1",
    "contains(., '+43') and price > 1",
    "document('/etc/passwd')/a = 'b'",
)
SIGNS = (
    "import enum\nfrom lxml import etree\n"
    "class Op(enum.Enum):\n    LT = '<'\n    EQ = '='\n\n"
    "def handler(event, context):\n"
    "    if event['field'] not in ('price', 'room'):\n        return None\n"
    "    text = f\"{event['field']} {Op(event['op']).value} {float(event['value'])}\"\n"
    "    return len(etree.fromstring('<r><rate/></r>').xpath(f'/r/rate[{text}]'))\n"
)


def _xpath(where: tuple[str, ...], *places: str) -> Cases:
    return {
        f"{place}: {text}": (XPATH_PROGRAM.replace("{}", EXPRESSIONS[place], 1), {"where": text})
        for text in where
        for place in places
    }


def test_predicates_that_tell_nodes_apart_pass(tmp_path: Path) -> None:
    cases = _xpath((*PREDICATES, "price < 3 or @year"), "a predicate")
    cases |= _xpath(PREDICATES, "beside") | _xpath(PATHS, "below")
    cases |= _xpath(("title =",), "a predicate")
    cases = {**cases, "a sign": (SIGNS, {"field": "price", "op": "<", "value": "9"})}
    assert_passes(tmp_path, cases, ("lxml.etree",))


def test_predicates_that_leave_the_node_are_stopped(tmp_path: Path) -> None:
    cases = _xpath((*LEAVING, "0]|/l/loans/loan[1", "1=1 and price"), "a predicate", "beside")
    cases |= _xpath(("price < 3 or @year", "position() > 0"), "beside")
    cases |= _xpath(("../loans/loan", "string(//phone)", "/l/loans", "ancestor::l//phone"), "below")
    cases |= _xpath(("loans/loan/phone[. = '+43']", "count(loans/loan[phone])"), "of the root")
    assert_blocked(tmp_path, cases, {"xpath"}, ("lxml.etree",))


# -- filters of LDAP -------------------------------------------------------------------------------


def _filtered(template: str, value: str) -> object:
    begin, end = template.split("{}")
    span = Span(len(begin), len(begin) + len(value), Origin("event", ("where",)), exact=True)
    return judge_filter(begin + value + end, [span])


NARROWED = ("(&(type=active){})", "(&(type=active){}(o=air))", "(&(|(a=b)(c=d)) {})")
FILTERS = ("(title=captain)", "(|(l=Köln)(!(title=purser)))", "(&(sn=O'*)(l=Dublin))", "(cn=a\\28)")


@pytest.mark.parametrize("template", NARROWED)
def test_comparisons_beside_one_of_the_code_pass(template: str) -> None:
    assert [value for value in FILTERS if _filtered(template, value) is not None] == []


@pytest.mark.parametrize(
    "value",
    [
        *("(title=x))(|(a=b)", "(title=x", "(userPassword=a*)", "(!(x)", "(a:dn:=x)", "title=x)("),
        *("(a=\\zz)", "(&)", "()", "(a=b)\x00", "(a;binary=x)", "(a=b)(c"),
    ],
)
def test_what_is_no_whole_comparison_is_stopped(value: str) -> None:
    assert [template for template in NARROWED if _filtered(template, value) is None] == []


@pytest.mark.parametrize(
    "template",
    ["{}", "(&{})", "(|(a=b){})", "(&(a=b)(!{}))", "(&(a=b)(|(c=d){}))", "(&(a=b))(|{})"],
)
def test_comparisons_that_nothing_of_the_code_narrows_are_stopped(template: str) -> None:
    assert [value for value in FILTERS if _filtered(template, value) is None] == []


# -- templates -------------------------------------------------------------------------------------

TEMPLATE = """
import functools, jinja2, os

class Meter:
    unit = "m3"
    vault = "7731"

    @property
    def told(self):
        return self.vault + self.name

    def __init__(self, name, values):
        self.name, self.values, self.log, self.pin_code = name, values, os, "1234"
        self._own = "x"
        self.rows = [{"day": "Mon", "litres": 4}]

    def mean(self):
        return sum(self.values) / len(self.values)

    @property
    def short(self):
        return self.name[:3].upper() if self.name else "-"

    def drop(self):
        self.values.clear()

    def end(self):
        os.remove("/tmp/x")

    @property
    def fixed(self):
        return "7731"

    def secret(self):
        return self.pin_code

env = jinja2.Environment()
env.filters["nice"] = lambda number: f"{number} l"

def handler(event, context):
    meter = Meter("Pump 4", [1.0, 2.5])
    given = {"meter": meter, "unit": "l", "days": ["Mon", "Tue"], "total": 4.5, "settings": {"password": "x"}}
    try:
        return env.from_string(event["template"]).render(**given)
    except jinja2.TemplateError as error:
        return str(error)
"""
SHOWING = (
    "{{ '%.2f'|format(total) }} {{ '%d %%' % total }} {{ total|nice }}",
    "{% for day in days|sort %}{{ loop.index }}. {{ day|upper }}{% if not loop.last %}, {% endif %}{% endfor %}",
    "<b>{{ meter.name }}</b> {{ '%.2f' % meter.mean() }} {{ unit }} {{ meter.short }} {{ meter.unit }}",
    "{% for v in meter.values|sort %}{{ v|round(1) }} {% endfor %}max {{ meter.values|max }}",
    "{% if meter.mean() > 5 and total is defined %}high{% elif not unit %}x{% else %}low{% endif %}",
    "{% for row in meter.rows %}{% for key, value in row.items() %}{{ key }}={{ value }}{% endfor %}{% endfor %}",
    "{{ meter.rows[0].day }} {{ total * 2 + 1 }} {{ 'many' if total > 3 else 'few' }}{# end #}",
    "{% for row in meter.rows if row.litres > 1 %}{{ '%.1f'|format(row.litres * total) }}{% endfor %}",
    "{{ meter.rows|length }} {{ meter.rows[0]['day']|upper }} {{ '%d' % (total * 2) }}",
    "{{ missing|default('none') }} {% for n in range(3) %}{{ n }}{% endfor %}",
)
REACHING = (
    "{{ meter.log }}",
    "{{ meter.log.environ }}",
    "{{ meter.pin_code }}",
    "{{ meter.secret() }}",
    "{{ meter.drop() }}",
    "{{ meter.end() }}",
    "{{ meter.__init__.__globals__ }}",
    "{{ meter.mean.__globals__ }}",
    "{{ settings }}",
    "{% for k, v in settings.items() %}{{ v }}{% endfor %}",
    "{{ cycler.__init__ }}",
    "{{ (cycler|attr('_' * 2)) }}",
    "{{ unit * 1000000000 }}",
    "{{ '%999999999d' % total }}",
    "{% for a in days %}{% for b in days %}{{ b }}{% endfor %}{% endfor %}",
    "{% for a in range(1000000000) %}{{ a }}{% endfor %}",
    "{% set x = unit %}{{ x }}",
    "{% include 'x' %}",
    "{{ meter['__class__'] }}",
    "{{ lipsum() }} {{ days.append('x') }}",
    "{{ meter.fixed }}",
    "{{ meter._own }}",
    "{{ unit.upper() }}",
    "{{ meter.rows }}",
    "{% for row in meter.rows if row.litres.real %}{{ row.day }}{% endfor %}",
    "{{ '%s' % meter }}",
    "{{ '%s'|format(meter.log) }}",
    "{{ meter.log|length }}",
    "{{ meter.vault }}",
    "{{ meter.told }}",
    "{% for k, v in settings|dictsort %}{{ v }}{% endfor %}",
    "{% for k, v in settings|items %}{{ v }}{% endfor %}",
    "{% for c in settings|string %}{{ c }}{% endfor %}",
    "{% for c in settings|tojson %}{{ c }}{% endfor %}",
    "{% for c in meter|e %}{{ c }}{% endfor %}",
)


def _templates(texts: tuple[str, ...]) -> Cases:
    return {text: (TEMPLATE, {"template": text}) for text in texts}


def test_templates_that_show_repeat_and_ask_pass(tmp_path: Path) -> None:
    assert_passes(tmp_path, placed(_templates(SHOWING), tmp_path), ("jinja2",))


def test_templates_that_reach_for_more_are_stopped(tmp_path: Path) -> None:
    assert_blocked(tmp_path, placed(_templates(REACHING), tmp_path), {"template"}, ("jinja2",))


# -- properties in texts with fields, and formulas with tables of their own ------------------------

LETTER = """
import os
DEFAULT = "Dear {p.holder}: {p.premium} {p.currency}"

class Policy:
    currency = "EUR"
    vault = "7731"

    def __init__(self, holder, number):
        self.holder, self.number, self.premium, self.file, self.pin = holder, number, 9.5, os, "1"

    @property
    def short(self):
        return self.number[-4:]

    @property
    def listing(self):
        return self.file.listdir("/")

    @property
    def opened(self):
        return self.pin

    @property
    def fixed(self):
        return "7731"

    @property
    def counted(self):
        self.premium = 0

def handler(event, context):
    p = Policy("Ann", "K-12345")
    return (event.get("wording") or DEFAULT).format(p=p)
"""
RULES = """
class Rule:
    def __init__(self, text):
        self.code = compile(text, "<fare>", "eval")

    def price(self, **names):
        return eval(self.code, {"__builtins__": {"round": round}}, names)

def handler(event, context):
    names = {"base": 120.5, "season": "high", "cabin": "C"}
    return Rule(event["rule"]).price(**names)
"""
FARES = (
    "base * (2.5 if cabin == 'C' else 1)",
    "round(base * {'high': 1.4, 'low': 0.9}[season] / 5) * 5",
)
GROWING = ("base * {'high': 'x'}[season]", "1000000000 * (cabin if cabin == 'C' else 'x')")


def _letters(*fields: str) -> Cases:
    return {field: (LETTER, {"wording": f"Hello {field}."}) for field in fields}


def test_properties_that_only_calculate_pass(tmp_path: Path) -> None:
    cases = {**_letters("{p.short}", "{p.short:>9} {p.currency}"), "own": (LETTER, {})}
    assert_passes(tmp_path, cases | {text: (RULES, {"rule": text}) for text in FARES}, ())


def test_properties_that_do_more_are_stopped(tmp_path: Path) -> None:
    cases = _letters(
        "{p.listing}", "{p.opened}", "{p.counted}", "{p.fixed}", "{p.vault}", "{p.file}"
    )
    cases = {**cases, **{text: (RULES, {"rule": text}) for text in GROWING}}
    assert_blocked(tmp_path, cases, {"code"}, ())


# -- what judging costs ----------------------------------------------------------------------------

PIECES = (
    *("(", "a>1 and ", "not(", "not ", "a,", "((a>1) or ", "-", "x ", "a[", "a//", "(a=b)"),
    *("(&(a=b)", "(!", "{{ a }}", "{% if a %}", "{% for a in b %}", "{{ a|", "{{'%d'%a", "''"),
)


def _seconds(text: str) -> float:
    begun = time.process_time()
    _judged("select a from t where {}", text)
    span = Span(8, 8 + len(text), Origin("event", ()), exact=True)
    predicates.without_predicates(f"/l/book[{text}]", [span], XPATH)
    predicates.goes_down(text, XPATH)
    _filtered("(&(x=y){})", text)
    reader = Reader(Filters(lambda name: True, ()))
    reader.read("{{" + text + "}}")
    return time.process_time() - begun


@pytest.mark.parametrize("piece", PIECES)
def test_hostile_texts_take_linear_time(piece: str) -> None:
    small, large = 20_000, 400_000
    allowed = 60 * (_seconds(piece * (small // len(piece))) + 0.02)
    assert _seconds(piece * (large // len(piece))) < allowed
