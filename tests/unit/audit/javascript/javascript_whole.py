"""Whole handlers, short, of the kinds that projects have: name, weaknesses, files."""

from __future__ import annotations

WHOLE: tuple[tuple[str, str, dict[str, str]], ...] = (
    (
        "ts router map",
        "command",
        {
            "index.ts": """
import { APIGatewayProxyEvent, APIGatewayProxyResult, Context } from 'aws-lambda';
import { execSync } from 'child_process';
type Route = (e: APIGatewayProxyEvent) => Promise<APIGatewayProxyResult>;
const routes: Record<string, Route> = {
  'GET /a': async (e) => ({ statusCode: 200, body: 'a' }),
  'POST /b': async (e) => { const b = JSON.parse(e.body!) as { name: string }; const out = execSync(`tool ${b.name}`); return { statusCode: 200, body: out.toString() }; },
};
export const handler = async (event: APIGatewayProxyEvent, _: Context): Promise<APIGatewayProxyResult> => {
  const key = `${event.httpMethod} ${event.resource}`;
  const route = routes[key];
  if (!route) return { statusCode: 404, body: '' };
  try { return await route(event); } catch (e) { return { statusCode: 500, body: 'error' }; }
};"""
        },
    ),
    (
        "zod parsed then param",
        "",
        {
            "index.ts": """
import { z } from 'zod'; import { Pool } from 'pg';
const schema = z.object({ id: z.string().uuid(), limit: z.coerce.number().max(100) });
const pool = new Pool();
export const handler = async (event: any) => {
  const input = schema.parse(JSON.parse(event.body));
  const { rows } = await pool.query('select * from t where id = $1 limit $2', [input.id, input.limit]);
  return { statusCode: 200, body: JSON.stringify(rows) };
};"""
        },
    ),
    (
        "repo with dynamic where safe",
        "",
        {
            "index.ts": """
import { Pool } from 'pg';
const COLUMNS = { name: 'name', created: 'created_at' } as const;
export const handler = async (event: any) => {
  const values: unknown[] = [];
  const clauses: string[] = [];
  const q = event.queryStringParameters ?? {};
  if (q.name) { values.push(q.name); clauses.push(`name = $${values.length}`); }
  if (q.since) { values.push(new Date(q.since)); clauses.push(`created_at > $${values.length}`); }
  const order = COLUMNS[q.order as keyof typeof COLUMNS] ?? 'name';
  const dir = q.dir === 'desc' ? 'DESC' : 'ASC';
  const sql = `select * from t ${clauses.length ? 'where ' + clauses.join(' and ') : ''} order by ${order} ${dir}`;
  return (await new Pool().query(sql, values)).rows;
};"""
        },
    ),
    (
        "dir not mapped",
        "sql",
        {
            "index.ts": """
import { Pool } from 'pg';
export const handler = async (event: any) => {
  const q = event.queryStringParameters ?? {};
  const dir = (q.dir ?? 'asc').toUpperCase();
  return (await new Pool().query('select * from t order by name ' + dir)).rows;
};"""
        },
    ),
    (
        "s3 event get and put",
        "",
        {
            "index.mjs": """
import { S3Client, GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import sharp from 'sharp';
const s3 = new S3Client({});
export const handler = async (event) => {
  for (const { s3: { bucket, object } } of event.Records) {
    const Key = decodeURIComponent(object.key.replace(/\\+/g, ' '));
    const { Body } = await s3.send(new GetObjectCommand({ Bucket: bucket.name, Key }));
    const out = await sharp(await Body.transformToByteArray()).resize(100).toBuffer();
    await s3.send(new PutObjectCommand({ Bucket: `${bucket.name}-thumbs`, Key: `t/${Key}`, Body: out }));
  }
};"""
        },
    ),
    (
        "tmp file by uuid",
        "",
        {
            "index.js": """
const fs = require('fs'); const os = require('os'); const path = require('path'); const { randomUUID } = require('crypto'); const { execFileSync } = require('child_process');
exports.handler = async (event) => {
  const file = path.join(os.tmpdir(), `${randomUUID()}.pdf`);
  fs.writeFileSync(file, Buffer.from(event.body, 'base64'));
  execFileSync('/opt/bin/pdftotext', [file, '-']);
  fs.unlinkSync(file);
  return { statusCode: 200 };
};"""
        },
    ),
    (
        "tmp file by name",
        "path",
        {
            "index.js": """
const fs = require('fs'); const os = require('os'); const path = require('path');
exports.handler = async (event) => {
  const { filename, content } = JSON.parse(event.body);
  const target = path.resolve(os.tmpdir(), filename);
  await fs.promises.writeFile(target, content);
  return { statusCode: 200 };
};"""
        },
    ),
    (
        "slack webhook env",
        "",
        {
            "index.js": """
const https = require('https');
const post = (text) => new Promise((resolve, reject) => {
  const url = new URL(process.env.WEBHOOK);
  const req = https.request({ hostname: url.hostname, path: url.pathname, method: 'POST' }, (res) => { res.on('data', () => {}); res.on('end', resolve); });
  req.on('error', reject); req.write(JSON.stringify({ text })); req.end();
});
exports.handler = async (event) => { for (const r of event.Records) await post(`Alarm: ${r.Sns.Subject}`); };"""
        },
    ),
    (
        "proxy by stage host",
        "url",
        {
            "index.js": """
const fetch = require('node-fetch');
exports.handler = async (event) => {
  const target = event.headers['x-target'] || 'https://api.example.com';
  const url = target + event.path;
  const res = await fetch(url, { method: event.httpMethod, headers: { accept: 'application/json' } });
  return { statusCode: res.status, body: await res.text() };
};"""
        },
    ),
    (
        "axios instance base",
        "",
        {
            "index.js": """
const axios = require('axios');
const api = axios.create({ baseURL: 'https://api.example.com', timeout: 1000 });
exports.handler = async (event) => {
  const { data } = await api.get(`/users/${event.pathParameters.id}`, { params: event.queryStringParameters });
  return { statusCode: 200, body: JSON.stringify(data) };
};"""
        },
    ),
    (
        "mongoose model file",
        "nosql",
        {
            "index.js": """
const express = require('express'); const serverless = require('serverless-http');
const User = require('./models/user');
const app = express(); app.use(express.json());
const asyncHandler = (fn) => (req, res, next) => Promise.resolve(fn(req, res, next)).catch(next);
app.post('/login', asyncHandler(async (req, res) => {
  const user = await User.findOne({ name: req.body.name, password: req.body.password }).lean().exec();
  res.status(user ? 200 : 401).json(user);
}));
exports.handler = serverless(app);""",
            "models/user.js": "const mongoose = require('mongoose'); const s = new mongoose.Schema({ name: String }); module.exports = mongoose.model('User', s);",
        },
    ),
    (
        "mongo ids cast",
        "",
        {
            "index.js": """
const { MongoClient, ObjectId } = require('mongodb');
const client = new MongoClient(process.env.URL);
exports.handler = async (event) => {
  const db = (await client.connect()).db('x');
  const doc = await db.collection('a').findOne({ _id: new ObjectId(event.pathParameters.id) });
  await db.collection('a').updateOne({ _id: doc._id }, { $set: { seen: true } });
  return { statusCode: 200, body: JSON.stringify(doc) };
};"""
        },
    ),
    (
        "graphql resolver sql",
        "sql",
        {
            "index.js": """
const { ApolloServer, gql } = require('apollo-server-lambda'); const { Pool } = require('pg'); const pool = new Pool();
const typeDefs = gql`type Query { user(id: String): String }`;
const resolvers = { Query: { user: async (_, { id }) => (await pool.query(`select * from u where id = '${id}'`)).rows[0] } };
const server = new ApolloServer({ typeDefs, resolvers });
exports.handler = server.createHandler();"""
        },
    ),
    (
        "error page escape",
        "markup",
        {
            "index.js": """
const page = (title, content) => ({ statusCode: 200, headers: { 'content-type': 'text/html' }, body: `<!doctype html><title>${title}</title><main>${content}</main>` });
exports.handler = async (event) => {
  try { return page('ok', await render(event.queryStringParameters.id)); } catch (err) { return page('error', 'No such page: ' + event.rawPath); }
};
async function render(id) { if (!/^\\d+$/.test(id)) throw new Error('bad'); return `<b>${id}</b>`; }"""
        },
    ),
    (
        "ejs renderFile",
        "",
        {
            "index.js": """
const ejs = require('ejs'); const path = require('path');
exports.handler = async (event) => {
  const html = await ejs.renderFile(path.join(__dirname, 'views', 'hello.ejs'), { name: event.queryStringParameters.name });
  return { statusCode: 200, headers: { 'Content-Type': 'text/html' }, body: html };
};"""
        },
    ),
    (
        "redirect signed host check",
        "",
        {
            "index.js": """
const ALLOWED = /^https:\\/\\/(www|app)\\.example\\.com\\//;
exports.handler = async (event) => {
  const next = event.queryStringParameters.next;
  const location = ALLOWED.test(next) ? next : 'https://www.example.com/';
  return { statusCode: 302, headers: { Location: location } };
};"""
        },
    ),
    (
        "cookie login html template literal join",
        "markup",
        {
            "index.js": """
exports.handler = async (event) => {
  const items = JSON.parse(event.body).items;
  const rows = items.map((item) => `<li class="item">${item.title}</li>`).join('');
  return { statusCode: 200, headers: { 'Content-Type': 'text/html' }, body: `<ul>${rows}</ul>` };
};"""
        },
    ),
    (
        "class based service with cache",
        "sql",
        {
            "index.js": """
const mysql = require('mysql2/promise');
class Cache { constructor() { this.store = {}; } async get(key, load) { if (!this.store[key]) { this.store[key] = await load(key); } return this.store[key]; } }
class Users { constructor({ cache, db }) { Object.assign(this, { cache, db }); } byName(name) { return this.cache.get(`u:${name}`, () => this.query(name)); } async query(name) { const [r] = await this.db.query(`SELECT * FROM users WHERE name = "${name}"`); return r; } }
let users;
module.exports.handler = async (event) => { users = users ?? new Users({ cache: new Cache(), db: await mysql.createConnection({}) }); return users.byName(event.pathParameters.name); };"""
        },
    ),
    (
        "step function task",
        "command",
        {
            "index.js": """
const cp = require('child_process');
const actions = { async resize({ file, width }) { cp.execSync('convert ' + file + ' -resize ' + Number(width)); }, async noop() {} };
exports.handler = async ({ action, ...input }) => { if (!(action in actions)) throw new Error('x'); return actions[action](input); };"""
        },
    ),
    (
        "jwt verify then trusted",
        "",
        {
            "index.js": """
const jwt = require('jsonwebtoken'); const { Pool } = require('pg'); const pool = new Pool();
exports.handler = async (event) => {
  const claims = jwt.verify(event.headers.authorization.replace('Bearer ', ''), process.env.KEY);
  await pool.query(`set app.user = '${claims.sub}'`);
  return { statusCode: 204 };
};"""
        },
    ),
    (
        "logger and metrics only",
        "",
        {
            "index.ts": """
import { Logger } from '@aws-lambda-powertools/logger'; const logger = new Logger();
export const handler = async (event: any) => { logger.info('got', { event }); console.log(`id ${event.id}`); return {}; };"""
        },
    ),
    (
        "regex escaped",
        "",
        {
            "index.js": """
const escapeRegExp = (s) => s.replace(/[.*+?^${}()|[\\]\\\\]/g, '\\\\$&');
exports.handler = async (event) => { const re = new RegExp('^' + escapeRegExp(event.queryStringParameters.q), 'i'); return ['a'].filter((x) => re.test(x)); };"""
        },
    ),
    (
        "archive entries",
        "path",
        {
            "index.js": """
const unzipper = require('unzipper'); const fs = require('fs');
exports.handler = async (event) => { const { name, data } = JSON.parse(event.body); fs.writeFileSync(`/tmp/out/${name}`, data); };"""
        },
    ),
    (
        "dynamo safe",
        "",
        {
            "index.mjs": """
import { DynamoDBClient } from '@aws-sdk/client-dynamodb'; import { DynamoDBDocumentClient, QueryCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb';
const db = DynamoDBDocumentClient.from(new DynamoDBClient({}));
export const handler = async (event) => {
  const body = JSON.parse(event.body);
  const allowed = ['title', 'text'];
  const keys = Object.keys(body).filter((k) => allowed.includes(k));
  const UpdateExpression = 'SET ' + keys.map((k) => `#${k} = :${k}`).join(', ');
  await db.send(new UpdateCommand({ TableName: 't', Key: { id: event.pathParameters.id }, UpdateExpression, ExpressionAttributeValues: Object.fromEntries(keys.map((k) => [`:${k}`, body[k]])) }));
  return db.send(new QueryCommand({ TableName: 't', KeyConditionExpression: 'id = :id', ExpressionAttributeValues: { ':id': event.pathParameters.id } }));
};"""
        },
    ),
    (
        "dynamo keys of body",
        "nosql",
        {
            "index.mjs": """
import { DynamoDBClient } from '@aws-sdk/client-dynamodb'; import { DynamoDBDocumentClient, UpdateCommand } from '@aws-sdk/lib-dynamodb';
const db = DynamoDBDocumentClient.from(new DynamoDBClient({}));
export const handler = async (event) => {
  const body = JSON.parse(event.body);
  const UpdateExpression = 'SET ' + Object.keys(body).map((k) => `${k} = :${k}`).join(', ');
  await db.send(new UpdateCommand({ TableName: 't', Key: { id: 1 }, UpdateExpression }));
};"""
        },
    ),
    (
        "websocket url",
        "",
        {
            "index.js": """
const { ApiGatewayManagementApiClient, PostToConnectionCommand } = require('@aws-sdk/client-apigatewaymanagementapi');
exports.handler = async (event) => {
  const { domainName, stage, connectionId } = event.requestContext;
  const api = new ApiGatewayManagementApiClient({ endpoint: `https://${domainName}/${stage}` });
  await api.send(new PostToConnectionCommand({ ConnectionId: connectionId, Data: event.body }));
};"""
        },
    ),
    (
        "require config by stage",
        "import",
        {
            "index.js": """
exports.handler = async (event) => { const plugin = require(`./plugins/${event.queryStringParameters.plugin}`); return plugin.run(); };"""
        },
    ),
    (
        "express params typed int",
        "",
        {
            "index.ts": """
import express, { Request, Response } from 'express'; import serverless from 'serverless-http'; import mysql from 'mysql2/promise';
const pool = mysql.createPool(process.env.DB!); const app = express();
app.get('/:id', async (req: Request, res: Response) => { const id = Number.parseInt(req.params.id, 10); if (Number.isNaN(id)) { res.status(400).end(); return; } const [rows] = await pool.query(`select * from a where id = ${id}`); res.json(rows); });
export const handler = serverless(app);"""
        },
    ),
    (
        "express error handler stack",
        "",
        {
            "index.js": """
const app = require('express')(); app.get('/', (req, res) => { res.send('ok'); });
app.use((err, req, res, next) => { res.status(500).json({ message: 'failed' }); });
module.exports.handler = require('serverless-http')(app);"""
        },
    ),
    (
        "knex builder",
        "",
        {
            "index.js": """
const knex = require('knex')({ client: 'pg' });
exports.handler = async (event) => { const q = knex('users').select('id').where('name', event.name).andWhere('age', '>', event.age).orderBy('id').limit(10); return q; };"""
        },
    ),
)
