"""Small programs, each vulnerable and mended: name, weakness, body before, body after.

A body is that of `handler(event, context)`; `x` is a text of the query, `data` the parsed body.
"""

from __future__ import annotations

HEAD = """
import ast, base64, hashlib, html, io, json, logging, os, pathlib, pickle, random, re, secrets
import shlex, sqlite3, string, subprocess, sys, tarfile, urllib.parse, urllib.request, uuid
import functools, collections, contextlib, importlib
import boto3, jinja2, ldap3, lxml.etree, markupsafe, psycopg2, pymongo, requests, sqlalchemy, yaml
cur = sqlite3.connect("a.db").cursor()
ALLOWED = {"a", "b", "c"}
TABLES = ("users", "orders")
BASE = "/srv/files"
"""

BODIES: list[tuple[str, str, str, str]] = [
    # -- names that the platform's own parts of events have, too
    (
        "region_of_a_query",
        "command",
        'os.system("deploy " + event["queryStringParameters"]["region"])',
        'os.system("deploy " + event["requestContext"]["stage"])',
    ),
    (
        "account_of_a_body",
        "sql",
        'cur.execute("select * from t where a = " + data["account"])',
        'cur.execute("select * from t where a = ?", (data["account"],))',
    ),
    # -- methods called request, and queries that services of AWS take
    (
        "request_of_a_session",
        "url",
        'requests.Session().request("GET", x)',
        'requests.Session().request("GET", "https://shop.example/", params={"q": x})',
    ),
    (
        "statement_of_aurora",
        "sql",
        'boto3.client("rds-data").execute_statement(sql="select " + x)',
        'boto3.client("rds-data").execute_statement(sql="select :x", parameters=[{"name": x}])',
    ),
    (
        "query_of_athena",
        "sql",
        "boto3.client('athena').start_query_execution(QueryString=f\"select '{x}'\")",
        'boto3.client("athena").start_query_execution(QueryString="select ?", ExecutionParameters=[x])',
    ),
    (
        "query_of_pandas",
        "code",
        'import pandas\npandas.read_csv("a.csv").query(x)',
        'import pandas\npandas.read_csv("a.csv").query("name == @x")',
    ),
    # -- what checks tell
    (
        "signed",
        "deserialisation",
        'raw = base64.b64decode(x)\nimport hmac\nhmac.new(b"k", raw, "sha256")\npickle.loads(raw)',
        'raw = base64.b64decode(x)\nimport hmac\nmade = hmac.new(b"k", raw, "sha256").hexdigest()\n'
        'if not hmac.compare_digest(made, data["mac"]):\n    return\npickle.loads(raw)',
    ),
    (
        "signed_with_a_key_of_the_caller",
        "deserialisation",
        "raw = base64.b64decode(x)\nimport hmac\n"
        'made = hmac.new(data["key"].encode(), raw, "sha256").hexdigest()\n'
        'if not hmac.compare_digest(made, data["mac"]):\n    return\npickle.loads(raw)',
        "json.loads(x)",
    ),
    (
        "relative_to_raises",
        "path",
        "p = pathlib.Path(BASE) / x\np.read_text()",
        "p = (pathlib.Path(BASE) / x).resolve()\np.relative_to(BASE)\np.read_text()",
    ),
    (
        "type_of_a_filter",
        "nosql",
        'if isinstance(data["n"], (str, dict)):\n    pymongo.MongoClient().a.b.find({"n": data["n"]})',
        'if isinstance(data["n"], str):\n    pymongo.MongoClient().a.b.find({"n": data["n"]})',
    ),
    (
        "type_by_type_of",
        "nosql",
        'if type(data["n"]) is dict:\n    pymongo.MongoClient().a.b.find({"n": data["n"]})',
        'if type(data["n"]) is str:\n    pymongo.MongoClient().a.b.find({"n": data["n"]})',
    ),
    (
        "checked_names_in_a_list",
        "sql",
        'parts = []\nfor k in event["queryStringParameters"]:\n    parts.append(k + " = ?")\n'
        'cur.execute("select * from t where " + " and ".join(parts))',
        'parts = []\nfor k in event["queryStringParameters"]:\n    if k not in ALLOWED:\n'
        '        continue\n    parts.append(k + " = ?")\n'
        'cur.execute("select * from t where " + " and ".join(parts))',
    ),
    (
        "host_of_a_location",
        "redirect",
        'answer = {"statusCode": 302, "headers": {}}\nanswer["headers"]["location"] = x + "?a"\n'
        "return answer",
        'if urllib.parse.urlparse(x).netloc != "shop.example":\n    return {"statusCode": 400}\n'
        'answer = {"statusCode": 302, "headers": {}}\nanswer["headers"]["location"] = x + "?a"\n'
        "return answer",
    ),
    # -- SQL
    (
        "concatenated",
        "sql",
        'cur.execute("select * from t where a = \'" + x + "\'")',
        'cur.execute("select * from t where a = ?", (x,))',
    ),
    (
        "f_string",
        "sql",
        'cur.execute(f"select * from t where a = {x}")',
        'cur.execute(f"select * from t where a = {int(x)}")',
    ),
    (
        "percent",
        "sql",
        "cur.execute(\"select * from t where a = '%s'\" % x)",
        'cur.execute("select * from t where a = %d" % int(x))',
    ),
    (
        "percent_named",
        "sql",
        'cur.execute("select %(a)s from t" % {"a": x, "b": 1})',
        'cur.execute("select %(b)s from t" % {"a": x, "b": 1})',
    ),
    (
        "format_place",
        "sql",
        'cur.execute("select {} from {}".format("a", x))',
        'cur.execute("select {} from {}".format("a", "t"))',
    ),
    (
        "format_named",
        "sql",
        'cur.execute("select {c} from t".format(c=x))',
        'cur.execute("select {c} from t".format(c="a", d=x))',
    ),
    (
        "format_item",
        "sql",
        'cur.execute("select {0[a]} from t".format({"a": x, "b": "c"}))',
        'cur.execute("select {0[b]} from t".format({"a": x, "b": "c"}))',
    ),
    (
        "joined",
        "sql",
        'cur.execute(" ".join(["select * from", x]))',
        'cur.execute(" ".join(["select * from", "t"]))',
    ),
    (
        "augmented",
        "sql",
        'q = "select * from t where "\nq += x\ncur.execute(q)',
        'q = "select * from t where "\nq += "a = 1"\ncur.execute(q)',
    ),
    (
        "order_by_chosen",
        "sql",
        'cur.execute("select * from t order by " + x)',
        'x = x if x in ("a", "b") else "a"\ncur.execute("select * from t order by " + x)',
    ),
    (
        "table_from_list",
        "sql",
        'cur.execute(f"select * from {x}")',
        'if x not in TABLES:\n    raise ValueError(x)\ncur.execute(f"select * from {x}")',
    ),
    (
        "mapped_column",
        "sql",
        'cur.execute("select " + {"a": x}["a"])',
        'cur.execute("select " + {"a": "name", "b": "age"}.get(x, "name"))',
    ),
    (
        "psycopg",
        "sql",
        'psycopg2.connect("").cursor().execute("select " + x)',
        'psycopg2.connect("").cursor().execute("select %s", (x,))',
    ),
    (
        "with_connection",
        "sql",
        'with sqlite3.connect("a") as c:\n    c.execute("select " + x)',
        'with sqlite3.connect("a") as c:\n    c.execute("select ?", [x])',
    ),
    (
        "sqlalchemy_text",
        "sql",
        'sqlalchemy.create_engine("").connect().execute(sqlalchemy.text("select " + x))',
        'sqlalchemy.create_engine("").connect().execute(sqlalchemy.text("select :a"), {"a": x})',
    ),
    (
        "executescript",
        "sql",
        'cur.executescript("insert into t values (" + x + ")")',
        'cur.executescript("insert into t values (1)")',
    ),
    (
        "quotes_doubled",
        "sql",
        "cur.execute(\"select * from t where a = '\" + x.replace('a', 'b') + \"'\")",
        'cur.execute("select * from t where a = \'" + x.replace("\'", "\'\'") + "\'")',
    ),
    (
        "digits_only",
        "sql",
        'if x:\n    cur.execute("select " + x)',
        'if x.isdigit():\n    cur.execute("select " + x)',
    ),
    (
        "expression_matched",
        "sql",
        'if re.match(r"\\w+", x):\n    cur.execute("select " + x)',
        'if re.fullmatch(r"\\w+", x):\n    cur.execute("select " + x)',
    ),
    (
        "partiql",
        "sql",
        'boto3.client("dynamodb").execute_statement(Statement="select * from t where a=\'" + x + "\'")',
        'boto3.client("dynamodb").execute_statement(Statement="select * from t where a=?", Parameters=[x])',
    ),
    # -- programs
    ("system", "command", 'os.system("ls " + x)', 'os.system("ls " + shlex.quote(x))'),
    ("popen", "command", 'os.popen(f"ls {x}")', 'os.popen(f"ls {len(x)}")'),
    (
        "run_shell",
        "command",
        'subprocess.run("ls " + x, shell=True)',
        'subprocess.run(["ls", "--", x])',
    ),
    (
        "check_output_shell",
        "command",
        'subprocess.check_output(f"id {x}", shell=True)',
        'subprocess.check_output(["id", x], shell=False)',
    ),
    (
        "list_of_shell",
        "command",
        'subprocess.run(["sh", "-c", "ls " + x])',
        'subprocess.run(["ls", "-l", x])',
    ),
    (
        "list_appended",
        "command",
        'a = ["bash"]\na.append("-c")\na.append("ls " + x)\nsubprocess.call(a)',
        'a = ["ls"]\na.append("-l")\na.append(x)\nsubprocess.call(a)',
    ),
    ("program_chosen", "argument", "subprocess.run([x])", 'subprocess.run(["ls", x])'),
    (
        "program_allowed",
        "argument",
        'subprocess.run([x, "-l"])',
        'if x in ALLOWED:\n    subprocess.run([x, "-l"])',
    ),
    ("getoutput", "command", "subprocess.getoutput(x)", 'subprocess.getoutput("ls")'),
    (
        "early_return",
        "command",
        'if not x:\n    return\nos.system("ls " + x)',
        'if not x.isalnum():\n    return\nos.system("ls " + x)',
    ),
    # -- code
    ("eval", "code", "eval(x)", "ast.literal_eval(x)"),
    ("exec", "code", 'exec("a = " + x)', 'exec("a = 1")'),
    ("compile", "code", 'compile(x, "a", "exec")', 'compile("1", "a", "exec")'),
    ("eval_of_number", "code", 'eval(f"1 + {x}")', 'eval(f"1 + {float(x)}")'),
    (
        "module_chosen",
        "import",
        "importlib.import_module(x)",
        "if x in ALLOWED:\n    importlib.import_module(x)",
    ),
    ("attribute_chosen", "import", "getattr(os, x)()", 'getattr(os, "getcwd")()'),
    ("attribute_set", "attributes", "setattr(context, x, 1)", 'setattr(context, "a", x)'),
    # -- objects
    (
        "pickle",
        "deserialisation",
        "pickle.loads(base64.b64decode(x))",
        "json.loads(base64.b64decode(x))",
    ),
    (
        "yaml",
        "deserialisation",
        "yaml.load(x, Loader=yaml.Loader)",
        "yaml.load(x, Loader=yaml.SafeLoader)",
    ),
    ("yaml_old", "deserialisation", "yaml.load(x)", "yaml.safe_load(x)"),
    (
        "unpickler",
        "deserialisation",
        "pickle.Unpickler(io.BytesIO(x.encode())).load()",
        "json.load(io.BytesIO(x.encode()))",
    ),
    # -- files
    ("open", "path", 'open("/srv/" + x)', 'open("/srv/" + os.path.basename(x))'),
    (
        "join",
        "path",
        "open(os.path.join(BASE, x))",
        "open(os.path.join(BASE, os.path.basename(x)))",
    ),
    (
        "prefix",
        "path",
        "p = os.path.join(BASE, x)\nif p.startswith(BASE):\n    open(p)",
        "p = os.path.realpath(os.path.join(BASE, x))\nif p.startswith(BASE):\n    open(p)",
    ),
    (
        "prefix_raises",
        "path",
        'p = os.path.abspath(BASE + "/" + x)\nopen(p)',
        'p = os.path.abspath(BASE + "/" + x)\nif not p.startswith(BASE + "/"):\n    raise ValueError\nopen(p)',
    ),
    (
        "pathlib",
        "path",
        "(pathlib.Path(BASE) / x).read_text()",
        "(pathlib.Path(BASE) / pathlib.Path(x).name).read_text()",
    ),
    (
        "relative_to",
        "path",
        "p = (pathlib.Path(BASE) / x).resolve()\np.read_bytes()",
        "p = (pathlib.Path(BASE) / x).resolve()\nif not p.is_relative_to(BASE):\n    return\np.read_bytes()",
    ),
    (
        "resolved_prefix",
        "path",
        "p = pathlib.Path(BASE) / x\nif not str(p).startswith(BASE):\n    return\nopen(p)",
        "p = (pathlib.Path(BASE) / x).resolve()\nif not str(p).startswith(BASE):\n    return\nopen(p)",
    ),
    (
        "dots_refused",
        "path",
        'if "a" in x:\n    return\nopen(f"/srv/{x}")',
        'if ".." in x:\n    return\nopen(f"/srv/{x}")',
    ),
    (
        "slash_refused",
        "path",
        'if "\\\\" in x:\n    return\nopen(x)',
        'if "/" in x:\n    return\nopen(x)',
    ),
    ("removed", "path", "os.remove(x)", 'os.remove("/tmp/" + str(uuid.UUID(x)))'),
    (
        "dots_replaced_once",
        "path",
        'open("/srv/" + x.replace("../", ""))',
        'open("/srv/" + x.replace("/", ""))',
    ),
    (
        "archive",
        "archive",
        "tarfile.open(fileobj=io.BytesIO(base64.b64decode(x))).extractall('/tmp')",
        "tarfile.open(fileobj=io.BytesIO(base64.b64decode(x))).extractall('/tmp', filter='data')",
    ),
    # -- addresses
    ("get", "url", "requests.get(x)", 'requests.get("https://a.example/" + x)'),
    ("host", "url", 'requests.get(f"https://{x}/a")', 'requests.get(f"https://a.example/{x}/a")'),
    (
        "host_ends",
        "url",
        'requests.get("https://a.example" + x)',
        'requests.get("https://a.example/?q=" + x)',
    ),
    (
        "host_allowed",
        "url",
        "if urllib.parse.urlparse(x).path:\n    requests.get(x)",
        'if urllib.parse.urlparse(x).hostname in ("a.example", "b.example"):\n    requests.get(x)',
    ),
    (
        "host_refused",
        "url",
        "u = urllib.parse.urlparse(x)\nrequests.get(x)",
        'u = urllib.parse.urlparse(x)\nif u.netloc != "a.example":\n    return\nrequests.get(x)',
    ),
    (
        "urlopen",
        "url",
        "urllib.request.urlopen(x)",
        'if x.startswith("https://a.example/"):\n    urllib.request.urlopen(x)',
    ),
    (
        "prefix_without_slash",
        "url",
        'if x.startswith("https://a.example"):\n    requests.post(x)',
        'if x.startswith("https://a.example/"):\n    requests.post(x)',
    ),
    (
        "session",
        "url",
        "requests.Session().get(x)",
        'requests.Session().get("https://a.example", params={"a": x})',
    ),
    (
        "endpoint",
        "url",
        'boto3.client("s3", endpoint_url=x)',
        'boto3.client("s3", endpoint_url="https://a.example")',
    ),
    # -- answers
    (
        "page",
        "markup",
        'return {"statusCode": 200, "headers": {"Content-Type": "text/html"}, "body": "<p>" + x}',
        'return {"statusCode": 200, "headers": {"Content-Type": "text/html"}, "body": "<p>" + html.escape(x)}',
    ),
    (
        "json_answer",
        "markup",
        'return {"statusCode": 200, "headers": {"content-type": "text/html"}, "body": x}',
        'return {"statusCode": 200, "headers": {"content-type": "application/json"}, "body": x}',
    ),
    (
        "moved",
        "redirect",
        'return {"statusCode": 302, "headers": {"Location": x}}',
        'return {"statusCode": 302, "headers": {"Location": "/a?next=" + x}}',
    ),
    ("markup_made", "markup", "markupsafe.Markup(x)", "markupsafe.escape(x)"),
    # -- templates
    (
        "template",
        "template",
        "jinja2.Template(x).render()",
        'jinja2.Template("{{ a }}").render(a=x)',
    ),
    (
        "from_string",
        "template",
        'jinja2.Environment().from_string("a" + x)',
        'jinja2.Environment().from_string("{{ a }}").render(a=x)',
    ),
    # -- XML, XPath, LDAP
    (
        "entities",
        "xml",
        "lxml.etree.fromstring(x)",
        "lxml.etree.fromstring(x, lxml.etree.XMLParser(resolve_entities=False))",
    ),
    (
        "xpath",
        "xpath",
        'lxml.etree.parse("a").xpath("//a[@b=\'" + x + "\']")',
        'lxml.etree.parse("a").xpath("//a[@b=$b]", b=x)',
    ),
    (
        "xpath_quoted",
        "xpath",
        'lxml.etree.parse("a").xpath(f"//a[@b=\'{x}\']")',
        "lxml.etree.parse('a').xpath(f\"//a[@b='{x.replace(chr(39), '')}']\") if \"'\" not in x else None",
    ),
    (
        "ldap",
        "ldap",
        'ldap3.Connection("a").search("dc=a", f"(uid={x})")',
        'ldap3.Connection("a").search("dc=a", f"(uid={ldap3.utils.conv.escape_filter_chars(x)})")',
    ),
    # -- NoSQL
    (
        "operators",
        "nosql",
        'pymongo.MongoClient().a.b.find_one({"user": data["user"]})',
        'pymongo.MongoClient().a.b.find_one({"user": str(data["user"])})',
    ),
    (
        "where",
        "nosql",
        'pymongo.MongoClient().a.b.find({"$where": "this.a == \'" + x + "\'"})',
        'pymongo.MongoClient().a.b.find({"a": x})',
    ),
    (
        "dynamodb",
        "nosql",
        'boto3.resource("dynamodb").Table("a").scan(FilterExpression="a = " + x)',
        'boto3.resource("dynamodb").Table("a").scan(FilterExpression="a = :a", ExpressionAttributeValues={":a": x})',
    ),
    # -- expressions, logs
    ("regex", "regex", 're.search(x, "a")', 're.search(re.escape(x), "a")'),
    (
        "log",
        "log",
        'logging.getLogger().info("user " + x)',
        'logging.getLogger().info("user " + x.replace("\\n", ""))',
    ),
    # -- choices
    (
        "md5",
        "hash",
        "hashlib.md5(x.encode()).hexdigest()",
        "hashlib.sha256(x.encode()).hexdigest()",
    ),
    (
        "md5_for_cache",
        "hash",
        "hashlib.new('md5', b'')",
        "hashlib.md5(x.encode(), usedforsecurity=False)",
    ),
    ("token", "random", "token = str(random.random())", "token = secrets.token_hex(16)"),
    (
        "token_returned",
        "random",
        'session_key = "".join(random.choice("abc") for _ in range(9))',
        'session_key = "".join(secrets.choice("abc") for _ in range(9))',
    ),
    (
        "system_random",
        "random",
        "password = random.randint(1, 9)",
        "password = random.SystemRandom().randint(1, 9)",
    ),
    # -- the ways of data
    ("tuple", "command", "a, b = x, 1\nos.system(a)", "a, b = x, 'ls'\nos.system(b)"),
    ("list_item", "command", "a = ['ls', x]\nos.system(a[1])", "a = ['ls', x]\nos.system(a[0])"),
    (
        "list_popped",
        "command",
        "a = ['ls', x]\na.pop(0)\nos.system(a[0])",
        "a = [x, 'ls']\na.pop(0)\nos.system(a[0])",
    ),
    (
        "dict_item",
        "command",
        "a = {'p': x, 'q': 'ls'}\nos.system(a['p'])",
        "a = {'p': x, 'q': 'ls'}\nos.system(a['q'])",
    ),
    (
        "dict_overwritten",
        "command",
        "a = {}\na['p'] = 'ls'\na['p'] = x\nos.system(a['p'])",
        "a = {}\na['p'] = x\na['p'] = 'ls'\nos.system(a['p'])",
    ),
    (
        "nested_function",
        "command",
        "def f(a):\n    return 'ls ' + a\nos.system(f(x))",
        "def f(a):\n    return 'ls'\nos.system(f(x))",
    ),
    (
        "two_calls",
        "command",
        "def f(a):\n    return a\nf('ls')\nos.system(f(x))",
        "def f(a):\n    return a\nf(x)\nos.system(f('ls'))",
    ),
    (
        "default",
        "command",
        "def f(a=x):\n    return a\nos.system(f())",
        "def f(a=x):\n    return a\nos.system(f('ls'))",
    ),
    (
        "named",
        "command",
        "def f(a, b):\n    return b\nos.system(f(b=x, a=1))",
        "def f(a, b):\n    return a\nos.system(f(b=x, a='ls'))",
    ),
    (
        "star",
        "command",
        "def f(*a):\n    return a[1]\nos.system(f('ls', x))",
        "def f(*a):\n    return a[0]\nos.system(f('ls', x))",
    ),
    (
        "star_star",
        "command",
        "def f(**a):\n    return a['p']\nos.system(f(p=x))",
        "def f(**a):\n    return a['q']\nos.system(f(p=x, q='ls'))",
    ),
    (
        "passed_star",
        "command",
        "def f(a, b):\n    return b\nos.system(f(*['ls', x]))",
        "def f(a, b):\n    return a\nos.system(f(*['ls', x]))",
    ),
    (
        "lambda",
        "command",
        "f = lambda a: 'ls ' + a\nos.system(f(x))",
        "f = lambda a: 'ls'\nos.system(f(x))",
    ),
    (
        "closure",
        "command",
        "def f():\n    return x\nos.system(f())",
        "y = 'ls'\ndef f():\n    return y\nos.system(f())",
    ),
    (
        "nonlocal",
        "command",
        "y = 'ls'\ndef f():\n    nonlocal y\n    y = x\nf()\nos.system(y)",
        "y = 'ls'\ndef f():\n    y = x\nf()\nos.system(y)",
    ),
    (
        "partial",
        "command",
        "f = functools.partial(lambda a, b: a + b, x)\nos.system(f('ls'))",
        "f = functools.partial(lambda a, b: b, x)\nos.system(f('ls'))",
    ),
    (
        "map",
        "command",
        "os.system(list(map(lambda a: a, [x]))[0])",
        "os.system(list(map(lambda a: 'ls', [x]))[0])",
    ),
    (
        "comprehension",
        "command",
        "os.system([a for a in [x]][0])",
        "os.system(['ls' for a in [x]][0])",
    ),
    (
        "comprehension_checked",
        "command",
        "os.system(' '.join(a for a in x.split(',')))",
        "os.system(' '.join(a for a in x.split(',') if a.isalnum()))",
    ),
    (
        "dict_comprehension",
        "command",
        "a = {k: x for k in 'pq'}\nos.system(a['p'])",
        "a = {k: 'ls' for k in 'pq'}\nos.system(a['p'])",
    ),
    (
        "generator",
        "command",
        "def f():\n    yield x\nfor a in f():\n    os.system(a)",
        "def f():\n    yield 'ls'\nfor a in f():\n    os.system(a)",
    ),
    (
        "class_attribute",
        "command",
        "class A:\n    def __init__(self, a):\n        self.a = a\nos.system(A(x).a)",
        "class A:\n    def __init__(self, a):\n        self.a = 'ls'\nos.system(A(x).a)",
    ),
    (
        "two_objects",
        "command",
        "class A:\n    def __init__(self, a):\n        self.a = a\np, q = A(x), A('ls')\nos.system(p.a)",
        "class A:\n    def __init__(self, a):\n        self.a = a\np, q = A(x), A('ls')\nos.system(q.a)",
    ),
    (
        "inherited",
        "command",
        "class A:\n    def f(self, a):\n        return a\nclass B(A):\n    pass\nos.system(B().f(x))",
        "class A:\n    def f(self, a):\n        return a\nclass B(A):\n    def f(self, a):\n        return 'ls'\nos.system(B().f(x))",
    ),
    (
        "super",
        "command",
        "class A:\n    def f(self, a):\n        return a\nclass B(A):\n    def f(self, a):\n        return super().f(a)\nos.system(B().f(x))",
        "class A:\n    def f(self, a):\n        return 'ls'\nclass B(A):\n    def f(self, a):\n        return super().f(a)\nos.system(B().f(x))",
    ),
    (
        "property",
        "command",
        "class A:\n    @property\n    def a(self):\n        return x\nos.system(A().a)",
        "class A:\n    @property\n    def a(self):\n        return 'ls'\nos.system(A().a)",
    ),
    (
        "static",
        "command",
        "class A:\n    @staticmethod\n    def f(a):\n        return a\nos.system(A.f(x))",
        "class A:\n    @staticmethod\n    def f(a):\n        return 'ls'\nos.system(A.f(x))",
    ),
    (
        "decorated",
        "command",
        "def d(f):\n    def w(a):\n        return f('ls ' + a)\n    return w\n@d\ndef g(a):\n    return a\nos.system(g(x))",
        "def d(f):\n    def w(a):\n        return f('ls')\n    return w\n@d\ndef g(a):\n    return a\nos.system(g(x))",
    ),
    (
        "called_object",
        "command",
        "class A:\n    def __call__(self, a):\n        return a\nos.system(A()(x))",
        "class A:\n    def __call__(self, a):\n        return 'ls'\nos.system(A()(x))",
    ),
    (
        "context_manager",
        "command",
        "class A:\n    def __enter__(self):\n        return x\n    def __exit__(self, *a):\n        pass\nwith A() as a:\n    os.system(a)",
        "class A:\n    def __enter__(self):\n        return 'ls'\n    def __exit__(self, *a):\n        pass\nwith A() as a:\n    os.system(a)",
    ),
    (
        "contextmanager",
        "command",
        "@contextlib.contextmanager\ndef f():\n    yield x\nwith f() as a:\n    os.system(a)",
        "@contextlib.contextmanager\ndef f():\n    yield 'ls'\nwith f() as a:\n    os.system(a)",
    ),
    ("walrus", "command", "if (a := x):\n    os.system(a)", "if (a := 'ls'):\n    os.system(a)"),
    (
        "conditional",
        "command",
        "a = x if x else 'ls'\nos.system(a)",
        "a = 'ls' if x else 'id'\nos.system(a)",
    ),
    ("or_default", "command", "os.system(x or 'ls')", "os.system('ls' or x)"),
    (
        "dead_branch",
        "command",
        "a = x\nif 1 + 1 == 2:\n    os.system(a)",
        "a = x\nif 1 + 1 == 3:\n    os.system(a)",
    ),
    (
        "folded_choice",
        "command",
        "n = 7\na = 'ls' if n * 2 > 20 else x\nos.system(a)",
        "n = 17\na = 'ls' if n * 2 > 20 else x\nos.system(a)",
    ),
    (
        "match_known",
        "command",
        "match 'ab'[0]:\n    case 'a':\n        a = x\n    case _:\n        a = 'ls'\nos.system(a)",
        "match 'ab'[1]:\n    case 'a':\n        a = x\n    case _:\n        a = 'ls'\nos.system(a)",
    ),
    (
        "match_allowed",
        "command",
        "match x:\n    case a:\n        os.system(a)",
        "match x:\n    case 'ls' | 'id':\n        os.system(x)",
    ),
    (
        "loop",
        "command",
        "a = ''\nfor b in ['ls ', x]:\n    a += b\nos.system(a)",
        "a = ''\nfor b in ['ls ', '-l']:\n    a += b\nos.system(a)",
    ),
    (
        "while_loop",
        "command",
        "i, a = 0, ''\nwhile i < 3:\n    a += x\n    i += 1\nos.system(a)",
        "i, a = 0, ''\nwhile i < 3:\n    a += 'l'\n    i += 1\nos.system(a)",
    ),
    (
        "characters",
        "command",
        "a = ''\nfor c in x:\n    if c != ';':\n        a += c\nos.system(a)",
        "a = ''\nfor c in x:\n    if c.isalnum() or c in '-_':\n        a += c\nos.system(a)",
    ),
    (
        "all_of",
        "command",
        "if all(c for c in x):\n    os.system(x)",
        "if all(c in string.ascii_letters for c in x):\n    os.system(x)",
    ),
    (
        "any_of",
        "command",
        "if any(c in x for c in ';'):\n    return\nos.system(x)",
        "if any(c in x for c in ';|&`$\\n'):\n    return\nos.system(x)",
    ),
    (
        "try_value",
        "command",
        "try:\n    a = x\nexcept ValueError:\n    return\nos.system(a)",
        "try:\n    a = int(x)\nexcept ValueError:\n    return\nos.system(str(a))",
    ),
    (
        "validator",
        "command",
        "def ok(a):\n    return len(a) > 2\nif not ok(x):\n    return\nos.system(x)",
        "def ok(a):\n    return a in ALLOWED\nif not ok(x):\n    return\nos.system(x)",
    ),
    (
        "validator_raises",
        "command",
        "def ok(a):\n    if not a:\n        raise ValueError\nok(x)\nos.system(x)",
        "def ok(a):\n    if not a.isalnum():\n        raise ValueError\nok(x)\nos.system(x)",
    ),
    (
        "validator_returns",
        "command",
        "def clean(a):\n    return a.strip()\nos.system(clean(x))",
        "def clean(a):\n    return re.sub(r'[^a-z0-9]', '', a)\nos.system(clean(x))",
    ),
    ("equal", "command", "if x != 'ls':\n    os.system(x)", "if x == 'ls':\n    os.system(x)"),
    (
        "either_checked",
        "command",
        "if x.isdigit() or x:\n    os.system(x)",
        "if x.isdigit() and x:\n    os.system(x)",
    ),
    (
        "compiled_expression",
        "command",
        "p = re.compile(r'[a-z]+')\nif p.match(x):\n    os.system(x)",
        "p = re.compile(r'[a-z]+')\nif p.fullmatch(x):\n    os.system(x)",
    ),
    (
        "not_matched",
        "command",
        "if not re.search(r'^[a-z]', x):\n    return\nos.system(x)",
        "if not re.match(r'^[a-z]+$', x):\n    return\nos.system(x)",
    ),
    (
        "sliced",
        "command",
        "a = 'ls ' + x + ' -l'\nos.system(a[3:-3])",
        "a = 'ls ' + x\nos.system(a[:2])",
    ),
    (
        "decoded",
        "command",
        "os.system(base64.b64decode(base64.b64encode(x.encode())).decode())",
        "os.system(base64.b64encode(x.encode()).decode())",
    ),
    (
        "string_io",
        "command",
        "f = io.StringIO()\nf.write(x)\nos.system(f.getvalue())",
        "f = io.StringIO()\nf.write('ls')\nos.system(f.getvalue())",
    ),
    (
        "deque",
        "command",
        "q = collections.deque()\nq.append(x)\nos.system(q.popleft())",
        "q = collections.deque()\nq.append('ls')\nos.system(q.popleft())",
    ),
    (
        "updated",
        "command",
        "a = {'p': 'ls'}\na.update({'p': x})\nos.system(a['p'])",
        "a = {'p': x}\na.update({'p': 'ls'})\nos.system(a['p'])",
    ),
    ("sorted", "command", "os.system(sorted([x, 'ls'])[0])", "os.system(sorted(['id', 'ls'])[0])"),
    (
        "zipped",
        "command",
        "for a, b in zip(['ls'], [x]):\n    os.system(b)",
        "for a, b in zip(['ls'], [x]):\n    os.system(a)",
    ),
    (
        "enumerated",
        "command",
        "for i, a in enumerate([x]):\n    os.system(a)",
        "for i, a in enumerate([x]):\n    os.system(str(i))",
    ),
    (
        "items",
        "command",
        "for k, v in {'p': x}.items():\n    os.system(v)",
        "for k, v in {'p': x}.items():\n    os.system(k)",
    ),
    (
        "unpacked",
        "command",
        "a, *b = ['ls', x]\nos.system(b[0])",
        "a, *b = ['ls', x]\nos.system(a)",
    ),
    (
        "isinstance",
        "command",
        "if isinstance(x, str):\n    os.system('ls ' + x)",
        "if isinstance(x, int):\n    os.system('ls ' + str(x))",
    ),
    (
        "deleted",
        "command",
        "a = [x, 'ls']\ndel a[1]\nos.system(a[0])",
        "a = [x, 'ls']\ndel a[0]\nos.system(a[0])",
    ),
    (
        "recursive",
        "command",
        "def f(n, a):\n    return a if n == 0 else f(n - 1, a)\nos.system(f(1, x))",
        "def f(n, a):\n    return 'ls' if n == 0 else f(n - 1, a)\nos.system(f(0, x))",
    ),
    (
        "finally",
        "command",
        "try:\n    pass\nfinally:\n    os.system(x)",
        "try:\n    pass\nfinally:\n    os.system('ls')",
    ),
    (
        "in_thread",
        "command",
        "import threading\nthreading.Thread(target=lambda a: os.system(a), args=(x,)).start()",
        "import threading\nthreading.Thread(target=lambda a: os.system(a), args=('ls',)).start()",
    ),
    ("body", "command", "os.system(data['cmd'])", "os.system({'a': 'ls'}.get(data['cmd'], 'id'))"),
    ("body_nested", "command", "os.system(data['a'][0]['b'])", "os.system('ls')"),
    (
        "header_read",
        "command",
        "os.system(event['headers']['x'])",
        "os.system(event['requestContext']['requestId'])",
    ),
    (
        "outcome_kept",
        "command",
        "ok = len(x) > 3\nif ok:\n    os.system(x)",
        "ok = x in ALLOWED\nif ok:\n    os.system(x)",
    ),
    (
        "outcome_of_function",
        "command",
        "def check(a):\n    return bool(a)\nok = check(x)\nif not ok:\n    return\nos.system(x)",
        "def check(a):\n    return a.isalnum()\nok = check(x)\nif not ok:\n    return\nos.system(x)",
    ),
    (
        "outcome_of_another_value",
        "command",
        "ok = x in ALLOWED\nx = data['a']\nif ok:\n    os.system(x)",
        "x = data['a']\nok = x in ALLOWED\nif ok:\n    os.system(x)",
    ),
    (
        "outcome_on_one_way",
        "command",
        "if context:\n    ok = True\nelse:\n    ok = x in ALLOWED\nif ok:\n    os.system(x)",
        "if context:\n    ok = False\nelse:\n    ok = x in ALLOWED\nif x in ALLOWED:\n    os.system(x)",
    ),
    (
        "common_path",
        "path",
        "p = os.path.join('/d', x)\nif os.path.commonpath(['/d', p]) != '/d':\n    return\nopen(p)",
        "p = os.path.realpath('/d/' + x)\nif os.path.commonpath(['/d', p]) != '/d':\n    return\nopen(p)",
    ),
    (
        "replaced_unless_allowed",
        "sql",
        "if x not in ('a', 'b'):\n    y = 'a'\ncur.execute('select ' + x)",
        "if x not in ('a', 'b'):\n    x = 'a'\ncur.execute('select ' + x)",
    ),
    (
        "members_of_an_enumeration",
        "sql",
        "class K:\n    def __init__(self, v):\n        self.value = v\ncur.execute('select ' + K(x).value)",
        "import enum\nclass K(enum.Enum):\n    A = 'a'\ncur.execute('select ' + K(x).value)",
    ),
    (
        "options_by_name",
        "command",
        "k = {'shell': True}\nsubprocess.run('ls ' + x, **k)",
        "k = {'check': True}\nsubprocess.run(['ls', x], **k)",
    ),
]
