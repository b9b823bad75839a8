"""Routes as people write them, harmless and not: told of only where there is something to tell."""

from __future__ import annotations

import textwrap

import pytest

from casemate.audit.flow import analyse, discover

HEAD = (
    "import dataclasses, enum, html, json, logging, os, pathlib, re, shlex, sqlite3, subprocess\n"
    "from flask import *\n"
    "bp = Blueprint('a', __name__)\n"
    "conn = sqlite3.connect('a')\n"
    "@bp.route('/x/<a>', methods=['POST'])\n"
    "def view(a):\n"
)
ROUTES = [
    ("shlex_split", True, "subprocess.run(shlex.split('ls '+a))"),
    (
        "commonpath",
        False,
        "p=os.path.realpath('/d/'+a)\nif os.path.commonpath(['/d',p])!='/d': abort(400)\nopen(p)",
    ),
    ("abort_regex", False, "if not re.match(r'^\\w+\\Z',a): abort(400)\nos.system('ls '+a)"),
    (
        "int_try",
        False,
        "try:\n    n=int(a)\nexcept ValueError:\n    abort(400)\nconn.execute(f'select {n}')",
    ),
    ("dispatch", False, "{'a':lambda:1,'b':lambda:2}[a]()"),
    (
        "dispatch_args",
        True,
        "def fa(v): os.system(v)\ndef fb(v): pass\n{'a':fa,'b':fb}[request.args['op']](a)",
    ),
    ("suffix_check", True, "if pathlib.Path(a).suffix not in {'.txt'}: abort(400)\nopen('/d/'+a)"),
    ("prefix_unnormal", True, "p='/safe/'+a\nif not p.startswith('/safe/'): abort(400)\nopen(p)"),
    ("enum", False, "class K(enum.Enum):\n    A='a'\nk=K(a)\nconn.execute('select '+k.value)"),
    (
        "dataclass",
        True,
        "@dataclasses.dataclass\nclass Q:\n    t:str\n    n:int=1\nq=Q(t=a)\nconn.execute(f'select {q.t}')",
    ),
    (
        "dataclass_other",
        False,
        "@dataclasses.dataclass\nclass Q:\n    t:str\n    n:int=1\nq=Q(a)\nconn.execute(f'select {q.n}')",
    ),
    (
        "orm",
        False,
        "from app import User\nreturn jsonify(User.query.filter_by(name=a).first().json())",
    ),
    (
        "context_item",
        False,
        "return request.environ['apig_wsgi.context'].table('carts').get(session['user']).value",
    ),
    (
        "context_object",
        False,
        "return request.environ['apig_wsgi.context'].bucket('files').get('a.png')",
    ),
    (
        "context_stored",
        True,
        "c=request.environ['apig_wsgi.context'].table('carts').get(a).value\n"
        "return f\"<b>{c['text']}</b>\"",
    ),
    ("environ", True, "return '<b>'+request.environ['HTTP_X']+'</b>'"),
    ("json_err", False, "return jsonify(error=f'bad {a}'),400"),
    ("html_err", True, "return f'<b>bad {a}</b>',400"),
    ("tmpl", False, "return render_template('a.html',a=a)"),
    ("tmpl_str", True, "return render_template_string('<b>'+a+'</b>')"),
    ("tmpl_str_ctx", False, "return render_template_string('<b>{{a}}</b>',a=a)"),
    (
        "self_store",
        True,
        "class R:\n    def __init__(s): s.q=[]\n    def add(s,v): s.q.append(v); return s\n    def run(s): return conn.execute(' '.join(s.q))\nR().add('select').add(a).run()",
    ),
    (
        "builder_safe",
        False,
        "class R:\n    def __init__(s): s.q=[];s.p=[]\n    def add(s,v,p): s.q.append(v); s.p.append(p); return s\n    def run(s): return conn.execute(' '.join(s.q),s.p)\nR().add('select ?',a).run()",
    ),
    (
        "in_placeholders",
        False,
        "ids=request.args.getlist('id')\nconn.execute('select * from t where id in ('+','.join('?'*len(ids))+')',ids)",
    ),
    (
        "placeholders_list",
        False,
        "ids=request.json['ids']\nq=','.join(['?' for _ in ids])\nconn.execute(f'select * from t where id in ({q})',ids)",
    ),
    (
        "limit_int",
        False,
        "n=request.args.get('n',10,type=int)\nconn.execute(f'select 1 limit {n}')",
    ),
    (
        "sorted_allow",
        False,
        "cols=['a','b']\nc=request.args.get('c')\nif c not in cols: c='a'\nconn.execute('select * from t order by '+c)",
    ),
    (
        "dir_map",
        False,
        "d={'asc':'ASC','desc':'DESC'}.get(a.lower(),'ASC')\nconn.execute('select * from t order by x '+d)",
    ),
    ("min_max", False, "n=max(1,min(int(a),100))\nos.system(f'head -n {n} x')"),
    ("uuid_", False, "import uuid\nu=str(uuid.UUID(a))\nopen(f'/d/{u}.txt')"),
    ("redirect_local", False, "return redirect(url_for('x',next=a))"),
    ("redirect_bad", True, "return redirect(request.args.get('next') or '/')"),
    (
        "redirect_checked",
        False,
        "from urllib.parse import urlparse\nn=request.args.get('next','/')\nif urlparse(n).netloc not in ('','a.example'):\n    n='/'\nreturn redirect(n)",
    ),
    ("global_dict", True, "S={}\nS['x']=a\ndef f():\n    os.system(S['x'])\nf()"),
    (
        "async_gather",
        True,
        "import asyncio\nasync def f(v): os.system(v)\nasync def g(): await asyncio.gather(f(a),f('x'))\nasyncio.run(g())",
    ),
    ("str_translate", True, "os.system(a.translate(str.maketrans('','','x')))"),
    ("kw_dict", True, "kw={'shell':True}\nsubprocess.run('ls '+a,**kw)"),
    ("exec_path_list", False, "subprocess.run(['/bin/ls','-l',os.path.basename(a)],check=True)"),
    ("ssh", True, "subprocess.run(['ssh','host','ls '+a])"),
    ("email_hdr", True, "logging.info('user '+a)"),
    (
        "csv_write",
        False,
        "import csv,io\nf=io.StringIO()\ncsv.writer(f).writerow([a])\nreturn Response(f.getvalue(),mimetype='text/csv')",
    ),
    (
        "secure_name",
        False,
        "from werkzeug.utils import secure_filename\nf=request.files['f']\nf.save(os.path.join('/up',secure_filename(f.filename)))",
    ),
    ("insecure_name", True, "f=request.files['f']\nf.save(os.path.join('/up',f.filename))"),
]


@pytest.mark.parametrize(("name", "told", "body"), ROUTES, ids=[each[0] for each in ROUTES])
def test_routes_are_told_of_only_where_they_do_harm(name: str, told: bool, body: str) -> None:
    files = {"app.py": HEAD + textwrap.indent(body, "    ") + "\n"}
    analysis = analyse(files, discover(files))
    assert bool(analysis.flows) is told
    assert not analysis.unresolved
