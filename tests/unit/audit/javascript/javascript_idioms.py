"""Ways to write things, as short as they can be: name, weaknesses, files."""

from __future__ import annotations

_HANDLER = "exports.handler = async (event) => {\n%s\n};\n"
_PROGRAMS = "const { exec, execSync, execFile, spawn } = require('child_process');\n"
_FILES = "const fs = require('fs'); const path = require('path');\n"
_POSTGRES = "const { Pool } = require('pg'); const pool = new Pool();\n"
IDIOMS: tuple[tuple[str, str, dict[str, str]], ...] = (
    (
        "es5 prototype",
        "command",
        {
            "index.js": _PROGRAMS
            + "function Job(n){this.n=n;}\nJob.prototype.run=function(){var self=this; return exec('ls '+self.n);};\nmodule.exports.handler=function(event,context,cb){var j=new Job(event.name); j.run(); cb(null,{});};"
        },
    ),
    (
        "module.exports object",
        "command",
        {
            "index.js": _PROGRAMS
            + "module.exports = { handler: async function (event) { exec('ls ' + event.body); } };"
        },
    ),
    (
        "exports = module.exports",
        "command",
        {
            "index.js": _PROGRAMS
            + "exports = module.exports = {}; exports.handler = (e) => { exec(`ls ${e.body}`); };"
        },
    ),
    (
        "default export fn",
        "command",
        {
            "index.mjs": "import cp from 'child_process'; export default { handler: (e) => cp.exec('x '+e.body) };"
        },
    ),
    (
        "barrel",
        "sql",
        {
            "index.ts": "import { db } from './lib'; export const handler = async (e: any) => db.find(e.pathParameters.id);",
            "lib/index.ts": "export * from './db'; export * as other from './other';",
            "lib/db.ts": "import { Pool } from 'pg'; const pool = new Pool(); export const db = { async find(id: string) { return pool.query(`select ${id}`); } };",
            "lib/other.ts": "export const a = 1;",
        },
    ),
    (
        "fastify",
        "sql",
        {
            "index.js": _POSTGRES
            + "const app = require('fastify')(); app.get('/a/:id', async (request, reply) => { const r = await pool.query('select * from a where id = ' + request.params.id); return reply.send(r.rows); }); const awsLambdaFastify = require('@fastify/aws-lambda'); exports.handler = awsLambdaFastify(app);"
        },
    ),
    (
        "koa",
        "path",
        {
            "index.js": _FILES
            + "const Koa=require('koa'); const Router=require('@koa/router'); const app=new Koa(); const router=new Router(); router.get('/f', async (ctx) => { ctx.body = fs.readFileSync('/data/' + ctx.query.f); }); app.use(router.routes()); module.exports.handler = require('serverless-http')(app);"
        },
    ),
    (
        "express router file",
        "command",
        {
            "index.js": "const express=require('express'); const app=express(); app.use('/u', require('./routes/u')); module.exports.handler=require('serverless-http')(app);",
            "routes/u.js": _PROGRAMS
            + "const router=require('express').Router(); const ctl=require('../ctl'); router.post('/', ctl.run); module.exports=router;",
            "ctl.js": _PROGRAMS
            + "exports.run=(req,res)=>{ const {cmd}=req.body; execSync('git '+cmd); res.end(); };",
        },
    ),
    (
        "express middleware ok",
        "",
        {
            "index.js": "const express=require('express'); const app=express(); app.get('/', (req,res)=>{ res.json({hello:req.query.name}); }); app.get('/t',(req,res)=>res.type('text/plain').send('hi '+req.query.n)); module.exports.handler=require('serverless-http')(app);"
        },
    ),
    (
        "express redirect",
        "redirect",
        {
            "index.js": "const express=require('express'); const app=express(); app.get('/', (req,res)=>{ res.redirect(302, req.query.to); }); module.exports.handler=require('serverless-http')(app);"
        },
    ),
    (
        "sendfile root ok",
        "",
        {
            "index.js": "const express=require('express'); const app=express(); app.get('/', (req,res)=>{ res.sendFile(req.params.f, { root: '/data' }); }); module.exports.handler=require('serverless-http')(app);"
        },
    ),
    (
        "exec escape fn wrong",
        "command",
        {
            "index.js": _PROGRAMS
            + _HANDLER % "const safe = event.body.replace(';', ''); exec('ls ' + safe);"
        },
    ),
    (
        "exec char filter",
        "",
        {
            "index.js": _PROGRAMS
            + _HANDLER
            % "const safe = event.body.replace(/[^a-zA-Z0-9_-]/g, ''); exec('ls ' + safe);"
        },
    ),
    (
        "slice prefix",
        "command",
        {
            "index.js": _PROGRAMS
            + _HANDLER % "const x = event.body.slice(0, 20).toLowerCase(); exec('ls ' + x);"
        },
    ),
    (
        "ternary allow",
        "",
        {
            "index.js": _PROGRAMS
            + _HANDLER
            % "const x = ['a','b'].includes(event.body) ? event.body : 'a'; exec('ls ' + x);"
        },
    ),
    (
        "ternary bad",
        "command",
        {
            "index.js": _PROGRAMS
            + _HANDLER % "const x = event.flag === 'y' ? event.body : 'a'; exec('ls ' + x);"
        },
    ),
    (
        "switch allow",
        "",
        {
            "index.js": _PROGRAMS
            + _HANDLER
            % "let c; switch(event.body){case 'a': c='ls'; break; case 'b': c='ps'; break; default: return;} exec(c);"
        },
    ),
    (
        "switch on value used",
        "",
        {
            "index.js": _PROGRAMS
            + _HANDLER
            % "switch(event.body){case 'a': case 'b': exec('ls '+event.body); break; default: return;}"
        },
    ),
    (
        "object lookup",
        "",
        {
            "index.js": _PROGRAMS
            + "const CMDS={list:'ls -l',who:'who'};\n"
            + _HANDLER % "const c = CMDS[event.body]; if (!c) return; exec(c);"
        },
    ),
    (
        "lookup own key",
        "",
        {
            "index.js": _PROGRAMS
            + "const CMDS={list:'ls -l',who:'who'};\n"
            + _HANDLER
            % "if (!Object.keys(CMDS).includes(event.body)) return; exec('x '+event.body);"
        },
    ),
    (
        "hasOwn",
        "",
        {
            "index.js": _PROGRAMS
            + "const CMDS={list:'ls -l',who:'who'};\n"
            + _HANDLER
            % "if (!Object.prototype.hasOwnProperty.call(CMDS, event.body)) throw new Error('x'); exec('x '+event.body);"
        },
    ),
    (
        "generator",
        "command",
        {
            "index.js": _PROGRAMS
            + "function* g(e){ for (const r of e.Records) yield r.body; }\n"
            + _HANDLER % "for (const b of g(event)) exec('ls '+b);"
        },
    ),
    (
        "record sqs json",
        "sql",
        {
            "index.js": _POSTGRES
            + _HANDLER
            % 'for (const { body } of event.Records) { const m = JSON.parse(body); await pool.query("insert into t values (\'" + m.name + "\')"); }'
        },
    ),
    (
        "sns nested",
        "url",
        {
            "index.js": "const axios=require('axios');\n"
            + _HANDLER
            % "const msg = JSON.parse(event.Records[0].Sns.Message); await axios.post(msg.hook, { a: 1 });"
        },
    ),
    (
        "url with const base",
        "",
        {
            "index.js": _HANDLER
            % "const u = new URL('/v1/items', 'https://api.example.com'); u.searchParams.set('q', event.queryStringParameters.q); return fetch(u);"
        },
    ),
    (
        "url base tainted path",
        "",
        {
            "index.js": _HANDLER
            % "return fetch(`https://api.example.com/items/${event.pathParameters.id}`);"
        },
    ),
    (
        "url sub domain",
        "url",
        {
            "index.js": _HANDLER
            % "return fetch(`https://${event.pathParameters.tenant}.example.com/items`);"
        },
    ),
    (
        "url regexp bad",
        "url",
        {
            "index.js": _HANDLER
            % "if (!/^https:\\/\\/.*example\\.com/.test(event.body)) return; return fetch(event.body);"
        },
    ),
    (
        "url startsWith ok",
        "",
        {
            "index.js": _HANDLER
            % "if (!event.body.startsWith('https://api.example.com/')) return; return fetch(event.body);"
        },
    ),
    (
        "url endsWith bad",
        "url",
        {
            "index.js": _HANDLER
            % "const u = new URL(event.body); if (!u.pathname.endsWith('.png')) return; return fetch(u.href);"
        },
    ),
    (
        "url host eq",
        "",
        {
            "index.js": _HANDLER
            % "const u = new URL(event.body); if (u.host !== 'api.example.com') return; return fetch(u.toString());"
        },
    ),
    (
        "path traversal includes check",
        "",
        {
            "index.js": _FILES
            + _HANDLER
            % "if (event.body.includes('..') || event.body.includes('/')) return; return fs.readFileSync('/data/' + event.body);"
        },
    ),
    (
        "path relative check",
        "",
        {
            "index.js": _FILES
            + _HANDLER
            % "const p = path.join('/data', event.body); const rel = path.relative('/data', p); if (rel.startsWith('..') || path.isAbsolute(rel)) return; return fs.readFileSync(p);"
        },
    ),
    (
        "path ext check bad",
        "path",
        {
            "index.js": _FILES
            + _HANDLER
            % "if (path.extname(event.body) !== '.txt') return; return fs.readFileSync('/data/' + event.body);"
        },
    ),
    (
        "mongo query param express",
        "nosql",
        {
            "index.js": "const mongoose=require('mongoose'); const User=mongoose.model('User', new mongoose.Schema({})); const app=require('express')(); app.post('/', async (req,res)=>{ const u = await User.findOne({ email: req.body.email }); res.json(u); }); module.exports.handler=require('serverless-http')(app);"
        },
    ),
    (
        "mongo string",
        "",
        {
            "index.js": "const mongoose=require('mongoose'); const User=mongoose.model('User', new mongoose.Schema({})); const app=require('express')(); app.post('/', async (req,res)=>{ const u = await User.findOne({ email: String(req.body.email) }); res.json(u); }); module.exports.handler=require('serverless-http')(app);"
        },
    ),
    (
        "mongo $where",
        "nosql",
        {
            "index.js": "const { MongoClient } = require('mongodb'); const c = new MongoClient('x');\n"
            + _HANDLER
            % "return c.db().collection('a').find({ $where: `this.n == '${event.queryStringParameters.n}'` }).toArray();"
        },
    ),
    (
        "lodash merge",
        "attributes",
        {
            "index.js": "const _ = require('lodash');\n"
            + _HANDLER % "const s = {}; _.merge(s, JSON.parse(event.body)); return s;"
        },
    ),
    (
        "counter fine",
        "",
        {
            "index.js": _HANDLER
            % "const counts = {}; for (const w of event.body.split(' ')) { counts[w] = (counts[w] || 0) + 1; } return counts;"
        },
    ),
    (
        "deep set",
        "attributes",
        {
            "index.js": _HANDLER
            % "const { a, b, v } = JSON.parse(event.body); const cfg = {}; cfg[a][b] = v; return cfg;"
        },
    ),
    (
        "number coercion",
        "",
        {
            "index.js": _POSTGRES
            + _HANDLER
            % "const n = +event.body; const m = event.queryStringParameters.m * 1; await pool.query(`select ${n} limit ${m} offset ${parseInt(event.body)}`);"
        },
    ),
    (
        "isNaN check",
        "",
        {
            "index.js": _POSTGRES
            + _HANDLER % "if (isNaN(event.body)) return; await pool.query(`select ${event.body}`);"
        },
    ),
    (
        "typeof number check",
        "",
        {
            "index.js": _POSTGRES
            + _HANDLER
            % "const {n} = JSON.parse(event.body); if (typeof n !== 'number') return; await pool.query(`select ${n}`);"
        },
    ),
    (
        "escape mysql",
        "",
        {
            "index.js": "const mysql=require('mysql'); const c=mysql.createConnection({});\n"
            + _HANDLER % "c.query('select * from a where b = ' + mysql.escape(event.body));"
        },
    ),
    (
        "connection.escape",
        "",
        {
            "index.js": "const mysql=require('mysql'); const c=mysql.createConnection({});\n"
            + _HANDLER % "c.query('select * from a where b = ' + c.escape(event.body));"
        },
    ),
    (
        "query builder chain",
        "sql",
        {
            "index.js": _POSTGRES
            + _HANDLER
            % "const parts=[]; if (event.a) parts.push(`a = '${event.a}'`); if (event.b) parts.push(\"b = '\" + event.b + \"'\"); await pool.query('select * from t where ' + parts.join(' and '));"
        },
    ),
    (
        "obj keys columns",
        "sql",
        {
            "index.js": _POSTGRES
            + _HANDLER
            % "const body = JSON.parse(event.body); const cols = Object.keys(body).map((k, i) => `${k} = $${i+1}`); await pool.query(`update t set ${cols.join(', ')}`, Object.values(body));"
        },
    ),
    (
        "template tag safe",
        "",
        {
            "index.js": "const postgres=require('postgres'); const sql=postgres('x');\n"
            + _HANDLER % "return sql`select * from a where b = ${event.body}`;"
        },
    ),
    (
        "setTimeout fn",
        "",
        {"index.js": _HANDLER % "setTimeout(() => console.log(event.body), 10);"},
    ),
    (
        "setTimeout str",
        "code",
        {"index.js": _HANDLER % "setTimeout('go(' + event.body + ')', 10);"},
    ),
    (
        "import dynamic",
        "import",
        {
            "index.mjs": "export const handler = async (event) => (await import(event.body)).default();"
        },
    ),
    (
        "promise chain",
        "command",
        {
            "index.js": _PROGRAMS
            + "exports.handler = (event) => Promise.resolve(event).then(e => e.body).then(JSON.parse).then(({c}) => new Promise((res, rej) => exec('ls ' + c, (e, out) => e ? rej(e) : res(out))));"
        },
    ),
    (
        "async helper obj",
        "command",
        {
            "index.js": _PROGRAMS
            + "const util = { async run(opts) { const o = Object.assign({ cwd: '/' }, opts); return execSync(o.cmd); } };\n"
            + _HANDLER % "await util.run({ cmd: event.body });"
        },
    ),
    (
        "default param obj",
        "command",
        {
            "index.js": _PROGRAMS
            + "const run = ({ cmd = 'ls', args = [] } = {}) => execSync([cmd, ...args].join(' '));\n"
            + _HANDLER % "run({ args: event.args });"
        },
    ),
    (
        "spawn args",
        "argument",
        {"index.js": _PROGRAMS + _HANDLER % "spawn('git', ['clone', event.body]);"},
    ),
    (
        "spawn prog const, after --",
        "",
        {"index.js": _PROGRAMS + _HANDLER % "spawn('git', ['log', '--oneline']);"},
    ),
    (
        "spawn sh -c",
        "command",
        {"index.js": _PROGRAMS + _HANDLER % "spawn('sh', ['-c', 'ls ' + event.body]);"},
    ),
    (
        "middy ts powertools",
        "sql",
        {
            "index.ts": "import middy from '@middy/core'; import { Logger } from '@aws-lambda-powertools/logger'; import { injectLambdaContext } from '@aws-lambda-powertools/logger/middleware'; import { Pool } from 'pg'; const logger = new Logger(); const pool = new Pool(); const base = async (event: any): Promise<any> => { logger.info('x', { e: event.a }); const { rows } = await pool.query(`select * from t where a = '${event.a}'`); return rows; }; export const handler = middy(base).use(injectLambdaContext(logger));"
        },
    ),
    (
        "TS class private method",
        "sql",
        {
            "index.ts": "import { Pool } from 'pg'; class Repo { constructor(private readonly pool: Pool) {} private build(id: string): string { return `select '${id}'`; } public async get(id: string) { return this.pool.query(this.build(id)); } } const repo = new Repo(new Pool()); export const handler = async (event: { id: string }) => repo.get(event.id);"
        },
    ),
    (
        "abstract handler class",
        "sql",
        {
            "index.ts": "import { Pool } from 'pg'; abstract class Base { async handle(event: any) { return this.process(JSON.parse(event.body)); } abstract process(b: any): Promise<any>; } class Impl extends Base { pool = new Pool(); async process(b: any) { return this.pool.query('select ' + b.id); } } const h = new Impl(); export const handler = h.handle.bind(h);"
        },
    ),
    (
        "arrow handler from instance",
        "sql",
        {
            "index.js": _POSTGRES
            + "class C { go = async (event) => pool.query('select ' + event.body); }\nconst c = new C(); exports.handler = (e) => c.go(e);"
        },
    ),
    (
        "html text plain ok",
        "",
        {
            "index.js": _HANDLER
            % "return { statusCode: 200, headers: {'Content-Type':'text/plain'}, body: event.body };"
        },
    ),
    (
        "html via helper",
        "markup",
        {
            "index.js": "const respond=(code, body, type='text/html')=>({statusCode:code, headers:{'Content-Type':type}, body});\n"
            + _HANDLER % "return respond(200, '<b>'+event.queryStringParameters.q+'</b>');"
        },
    ),
    (
        "html via helper json",
        "",
        {
            "index.js": "const respond=(code, body, type='text/html')=>({statusCode:code, headers:{'Content-Type':type}, body});\n"
            + _HANDLER
            % "return respond(200, JSON.stringify({q: event.queryStringParameters.q}), 'application/json');"
        },
    ),
    (
        "dead code",
        "",
        {
            "index.js": _PROGRAMS
            + "const DEBUG=false;\n"
            + _HANDLER % "if (DEBUG) { exec(event.body); }"
        },
    ),
    (
        "overwritten",
        "",
        {"index.js": _PROGRAMS + _HANDLER % "let x = event.body; x = 'const'; exec('ls ' + x);"},
    ),
    (
        "validator uuid",
        "",
        {
            "index.js": _POSTGRES
            + "const { validate } = require('uuid'); const validator=require('validator');\n"
            + _HANDLER
            % "if (!validate(event.body)) return; if (!validator.isInt(event.n)) return; await pool.query(`select '${event.body}' limit ${event.n}`);"
        },
    ),
    (
        "some allow",
        "",
        {
            "index.js": _PROGRAMS
            + "const A=['a','b'];\n"
            + _HANDLER % "if (!A.some((a) => a === event.body)) return; exec('ls ' + event.body);"
        },
    ),
    (
        "find allow",
        "",
        {
            "index.js": _PROGRAMS
            + "const A=[{n:'a',c:'ls'}];\n"
            + _HANDLER % "const f = A.find((a) => a.n === event.body); if (!f) return; exec(f.c);"
        },
    ),
    (
        "every allow",
        "",
        {
            "index.js": _PROGRAMS
            + "const A=['a','b'];\n"
            + _HANDLER
            % "const ids = JSON.parse(event.body).ids; if (!ids.every((i) => A.includes(i))) return; exec('ls ' + ids.join(' '));"
        },
    ),
    (
        "filter allow",
        "",
        {
            "index.js": _PROGRAMS
            + "const A=['a','b'];\n"
            + _HANDLER
            % "const ids = JSON.parse(event.body).ids.filter((i) => A.includes(i)); exec('ls ' + ids.join(' '));"
        },
    ),
    (
        "early return fn",
        "",
        {
            "index.js": _PROGRAMS
            + "const bad=(m)=>{ throw new Error(m); };\n"
            + _HANDLER % "if (!['a'].includes(event.body)) bad('x'); exec('ls ' + event.body);"
        },
    ),
    ("nullish env", "", {"index.js": _PROGRAMS + _HANDLER % "exec(process.env.CMD ?? 'ls');"}),
    ("schedule", "", {"index.js": _PROGRAMS + _HANDLER % "exec('ls ' + context_missing);"}),
    (
        "nunjucks autoescape",
        "",
        {
            "index.js": "const nunjucks=require('nunjucks'); nunjucks.configure({autoescape:true});\n"
            + _HANDLER % "return nunjucks.render('index.html', { name: event.body });"
        },
    ),
    (
        "js in alias",
        "command",
        {
            "index.js": "const cp = require('child_process'); const run = cp.exec.bind(cp);\n"
            + _HANDLER % "run('ls ' + event.body);"
        },
    ),
    (
        "promisify custom",
        "command",
        {
            "index.js": "const cp = require('child_process'); const { promisify } = require('node:util'); const run = promisify(cp.exec);\n"
            + _HANDLER % "const { stdout } = await run('ls ' + event.body); return stdout;"
        },
    ),
    (
        "buffer base64",
        "command",
        {
            "index.js": _PROGRAMS
            + _HANDLER
            % "const b = event.isBase64Encoded ? Buffer.from(event.body, 'base64').toString('utf8') : event.body; exec('ls ' + b);"
        },
    ),
    (
        "querystring parse",
        "command",
        {
            "index.js": _PROGRAMS
            + "const qs=require('querystring');\n"
            + _HANDLER % "const { cmd } = qs.parse(event.body); exec(cmd);"
        },
    ),
    (
        "URLSearchParams",
        "command",
        {
            "index.js": _PROGRAMS
            + _HANDLER % "const p = new URLSearchParams(event.body); exec(p.get('cmd'));"
        },
    ),
    (
        "s3 key",
        "command",
        {
            "index.js": _PROGRAMS
            + _HANDLER % 'const k = event.Records[0].s3.object.key; execSync(`file "/tmp/${k}"`);'
        },
    ),
    (
        "s3 bucket trusted",
        "",
        {
            "index.js": _PROGRAMS
            + _HANDLER % "execSync(`aws s3 ls ${event.Records[0].s3.bucket.name}`);"
        },
    ),
)
