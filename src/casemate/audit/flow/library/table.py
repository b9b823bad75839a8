"""Sinks: which argument of which call must not be of outside data, by the names of libraries.

The names of the sinks are the guard's (`weaknesses`). A test holds this table against what the
guard watches: what it watches is here too, or is named there as something that only running shows.
"""

from __future__ import annotations

from typing import NamedTuple

from casemate.guard.sink_table import PACKAGES


class Row(NamedTuple):
    """One argument of some calls."""

    weakness: str
    place: int
    names: tuple[str, ...]
    roots: frozenset[str]
    """Top packages whose objects have such a method; empty: the name is whole."""
    confidence: str = "high"


_DATABASES = " ".join(
    (
        *PACKAGES["sql"],
        *(
            "psycopg_pool",
            "aiosqlite",
            "aiopg",
            "databases",
            "flask_sqlalchemy",
            "sqlmodel",
            "records",
        ),
        *("ibm_db", "teradatasql", "vertica_python", "google"),
    )
)
"""The guard's, and those that are built upon them."""
_HTTP = "requests httpx httpx2 aiohttp urllib3 httplib2 treq"
_MONGO = "pymongo motor flask_pymongo mongomock"
_XML_PATHS = "lxml xml parsel elementpath defusedxml bs4 scrapy"
_LDAP = "ldap ldap3 bonsai"
_REMOTE = "paramiko asyncssh fabric invoke"

# A weakness with `?` is told with low confidence.
_EXACT = """
command 0 command,cmd,args  os.system os.popen subprocess.getoutput subprocess.getstatusoutput
command 0 command,cmd  commands.getoutput commands.getstatusoutput popen2.popen2 platform.popen
command 0 cmd  asyncio.create_subprocess_shell asyncio.subprocess.create_subprocess_shell
command 0 command  pexpect.run pexpect.spawn pexpect.runu
argument 0 path,file  os.execv os.execve os.execvp os.execvpe os.execl os.execle os.execlp
argument 0 path,file  os.posix_spawn
argument 1 path  os.spawnv os.spawnve os.spawnl os.spawnlp os.spawnvp
argument 0 program  asyncio.create_subprocess_exec os.posix_spawnp os.putenv
argument 0 argv  pty.spawn
argument 0 path,filepath  os.startfile
code 0 source,expression,object  builtins.eval builtins.exec builtins.compile
code 0 source  code.interact timeit.timeit timeit.repeat codeop.compile_command
code 0 expr  pandas.eval numexpr.evaluate asteval.Interpreter
code 0 mod_name  runpy.run_module
import 0 name  builtins.__import__ importlib.import_module importlib.__import__
import 0 name  pkgutil.resolve_name
import 0 dotted_path,import_name  django.utils.module_loading.import_string
import 0 dotted_path,import_name  werkzeug.utils.import_string
deserialisation 0 data,s,str,pickled  pickle.loads cPickle.loads _pickle.loads dill.loads
deserialisation 0 data,s,str,pickled  cloudpickle.loads
deserialisation 0 file,fp  pickle.load cPickle.load _pickle.load dill.load cloudpickle.load
deserialisation 0 file,fp  pickle.Unpickler
deserialisation 0 bytes,data  marshal.loads marshal.load shelve.open jsonpickle.decode
deserialisation 0 bytes,data  jsonpickle.loads
deserialisation 0 string  jsonpickle.unpickler.decode pandas.read_pickle joblib.load
deserialisation 0 stream  yaml.unsafe_load yaml.unsafe_load_all yaml.full_load yaml.full_load_all
path 0 file,path,filename,name  builtins.open io.open codecs.open os.open os.remove os.unlink
path 0 file,path,filename,name  os.rmdir
path 0 path,top,dir  os.listdir os.scandir os.walk os.mkdir os.makedirs os.removedirs os.chmod
path 0 path,top,dir  os.chown
path 0 src,path,name  os.rename os.replace os.link os.symlink os.truncate os.readlink
path 0 src,path,name  shutil.rmtree
path 1 dst,dest  os.rename os.replace os.link os.symlink shutil.copy shutil.copyfile shutil.move
path 0 src  shutil.copy shutil.copy2 shutil.copyfile shutil.copytree shutil.move gzip.open
path 0 src  bz2.open
path 1 dst  shutil.copy2 shutil.copytree
path 0 filename,file  lzma.open zipfile.ZipFile tarfile.open fileinput.input linecache.getlines
path 0 path_or_file,filename_or_fp,path  flask.send_file aiofiles.open glob.glob glob.iglob
path 0 path,filename  starlette.responses.FileResponse fastapi.responses.FileResponse
path 0 path,filename  anyio.open_file
path 0 path  django.http.FileResponse torch.load numpy.load numpy.loadtxt numpy.save runpy.run_path
path 0 filepath_or_buffer,io,path  pandas.read_csv pandas.read_excel pandas.read_json
path 0 filepath_or_buffer,io,path  pandas.read_parquet
path 0 fp,filename  PIL.Image.open ctypes.CDLL ctypes.cdll.LoadLibrary
path? 0 path  os.path.exists os.path.isfile os.path.isdir os.stat os.path.getsize os.access
path 0 location  importlib.util.spec_from_file_location
path 0 template_name_or_list  flask.render_template
url 0 url,fullurl  urllib.request.urlopen urllib2.urlopen urllib.urlopen urllib.request.Request
url 0 url,fullurl  urllib2.Request
url 0 url  urllib.request.urlretrieve urllib.urlretrieve requests.get requests.post requests.put
url 0 url  requests.delete requests.head requests.patch requests.options httpx.get httpx.post
url 0 url  httpx.put
url 0 url  httpx.delete httpx.head httpx.patch httpx.options httpx.stream aiohttp.request
url 0 url  wget.download
url 0 url  httpx2.get httpx2.post httpx2.put httpx2.delete httpx2.head httpx2.patch
url 1 url  requests.request httpx.request httpx2.request urllib3.request
url 0 host,address  http.client.HTTPConnection http.client.HTTPSConnection
url 0 host,address  socket.create_connection
url 0 host  smtplib.SMTP ftplib.FTP telnetlib.Telnet asyncio.open_connection paramiko.Transport
url 0 uri  websockets.connect xmlrpc.client.ServerProxy websocket.create_connection
redirect 0 location,url,to,redirect_to  flask.redirect werkzeug.utils.redirect quart.redirect
redirect 0 url,redirect_to,to  django.shortcuts.redirect django.http.HttpResponseRedirect
redirect 0 url,redirect_to,to  bottle.redirect
redirect 0 redirect_to  django.http.HttpResponsePermanentRedirect
redirect 0 url,location  starlette.responses.RedirectResponse fastapi.responses.RedirectResponse
redirect 0 location  aiohttp.web.HTTPFound aiohttp.web.HTTPSeeOther sanic.response.redirect
markup 0 object,s,content  markupsafe.Markup flask.Markup jinja2.Markup
markup 0 object,s,content  django.utils.safestring.mark_safe
markup 0 content,body  fastapi.responses.HTMLResponse starlette.responses.HTMLResponse
markup 0 content,body  sanic.response.html
markup 0 text  django.utils.html.format_html
template 0 source,template_string,template  flask.render_template_string jinja2.Template
template 0 source,template_string,template  mako.template.Template
template 0 source,text  django.template.Template tornado.template.Template chameleon.PageTemplate
template 0 template,source  chevron.render pystache.render Cheetah.Template.Template
template 0 template,source  bottle.template
template 0 template_string  bottle.SimpleTemplate airspeed.Template
xpath 1 path,expression  elementpath.select elementpath.Selector elementpath.iter_select
xpath 0 path,expression  lxml.etree.XPath lxml.etree.ETXPath lxml.etree.XPathEvaluator
xpath 0 path,expression  elementpath.Selector
regex 0 pattern  re.compile re.match re.search re.fullmatch re.findall re.finditer re.split
regex 0 pattern  re.sub re.subn
regex 0 pattern  regex.compile regex.match regex.search regex.fullmatch regex.findall regex.sub
sql 0 sql,text,clause  sqlalchemy.text sqlalchemy.sql.text sqlalchemy.literal_column
sql 0 sql  django.db.models.expressions.RawSQL pandas.read_sql pandas.read_sql_query
sql 0 sql  psycopg2.sql.SQL
sql 0 sql  psycopg.sql.SQL django.db.models.RawSQL
attributes 1 name  builtins.setattr
format 0 format_string  string.Formatter().format string.Formatter().vformat
session 0 value  flask.session.update
archive 0 filename  shutil.unpack_archive
"""
_METHODS = f"""
sql 0 sql,query,statement,operation  execute executemany executescript raw read_sql | {_DATABASES}
sql 0 query,sql  fetch fetchrow fetchval fetchmany fetch_all fetch_one | asyncpg databases
sql 0 query,sql  prepare iterate | asyncpg databases
sql 0 sql,query,statement  query exec_driver_sql copy_expert mogrify stream | {_DATABASES}
sql 0 sql,query,statement  text extra | {_DATABASES}
sql 0 query  run | pg8000 neo4j
code 0 expr  query eval | pandas
nosql 0 query  run | neo4j
command 0 command  exec_command run sudo local run_command create_process | {_REMOTE}
ldap 0 base,search_base  search search_s search_ext search_st search_ext_s | {_LDAP}
ldap 1 search_filter,filter_exp,filter  search | ldap3 bonsai
ldap 2 filterstr  search_s search_ext search_st search_ext_s | ldap
ldap 0 dn  simple_bind_s modify_s delete_s add_s modify delete | {_LDAP}
xpath 0 path,_path,query  xpath find findall findtext iterfind | {_XML_PATHS}
xpath 0 path  select | elementpath
url 0 url  get post put delete head patch options stream ws_connect | {_HTTP}
url 1 url  request build_request open urlopen | {_HTTP}
url 0 url  open retrieve | urllib
url 0 address  connect connect_ex | socket
template 0 source  from_string compile | jinja2
template 0 name,template  get_template select_template | jinja2 mako
nosql 0 filter,query  find find_one find_one_and_update find_one_and_delete | {_MONGO}
nosql 0 filter,query  count_documents | {_MONGO}
nosql 0 filter,query  update_one update_many delete_one delete_many replace_one | {_MONGO}
nosql 0 filter,query  aggregate | {_MONGO}
nosql 0 filter,spec  find_one_and_replace distinct remove update group map_reduce | {_MONGO}
nosql 0 script  eval register_script | redis valkey
path 0 path,filename  saveas save download_file | werkzeug
path 2 Filename  download_file | boto3
path 0 Filename  upload_file | boto3
path 0 filename  download_to_filename upload_from_filename | google
path 1 path  extract | zipfile tarfile
url 0 url  open | mechanize selenium
url 0 url  get | selenium
"""


def _exact() -> dict[str, list[Row]]:
    rows: dict[str, list[Row]] = {}
    for line in _EXACT.strip().splitlines():
        weakness, place, names, *calls = line.split()
        for call in calls:
            sure = "low" if weakness.endswith("?") else "high"
            kind = weakness.removesuffix("?")
            row = Row(kind, int(place), tuple(names.split(",")), frozenset(), sure)
            rows.setdefault(call, []).append(row)
    return rows


def _methods() -> dict[str, list[Row]]:
    rows: dict[str, list[Row]] = {}
    for line in _METHODS.strip().splitlines():
        left, _, right = line.partition("|")
        weakness, place, names, *calls = left.split()
        roots = frozenset(right.split())
        for call in calls:
            row = Row(weakness, int(place), tuple(names.split(",")), roots)
            rows.setdefault(call, []).append(row)
    return rows


EXACT = _exact()
METHODS = _methods()
LIBRARIES = frozenset(
    (
        *(name.partition(".")[0] for name in EXACT),
        *(root for rows in METHODS.values() for row in rows for root in row.roots),
        *(
            "botocore",
            "aioboto3",
            "boto3",
            "s3transfer",
            "jmespath",
            "dateutil",
            "certifi",
            "numpy",
        ),
        *("pydantic", "markupsafe", "click", "itsdangerous", "charset_normalizer", "idna", "attr"),
        *("aws_lambda_powertools", "chalice", "cryptography", "typing_extensions", "attrs", "pytz"),
    )
)
"""Packages of others: not read where they lie beside the code, for what they do is known."""
SQL_VERBS = (
    *(
        "select ",
        "insert ",
        "update ",
        "delete ",
        "drop ",
        "alter ",
        "create ",
        "replace ",
        "with ",
    ),
    *("exec ", "call ", "truncate ", "merge ", "grant ", "pragma ", "show ", "set "),
)
"""How a statement begins, of an object whose library is not known."""
SQL_OWNERS = ("cur", "curs", "cursor", "conn", "connection", "db", "database", "session", "engine")
"""What such an object is called."""


def rows_of(name: str) -> list[Row]:
    """Return the sinks of a call by its whole name: `sqlite3.connect().cursor().execute`."""
    rows = EXACT.get(name, [])
    root = name.partition(".")[0].rstrip("()[]")
    method = name.rpartition(".")[2]
    if method != name:
        rows = rows + [row for row in METHODS.get(method, ()) if root in row.roots]
    return rows
