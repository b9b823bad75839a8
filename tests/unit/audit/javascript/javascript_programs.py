"""Small functions as people write them, with what data from outside reaches in each: or nothing."""

from __future__ import annotations

from typing import NamedTuple


class Program(NamedTuple):
    """Files by their names; the handler is `index.handler`."""

    name: str
    expected: str
    """Weaknesses, parted by spaces."""
    files: dict[str, str]


def _one(name: str, expected: str, code: str, suffix: str = "js") -> Program:
    return Program(name, expected, {f"index.{suffix}": code.lstrip("\n")})


PROGRAMS = (
    _one(
        "login-mysql-callback",
        "sql",
        """
const mysql = require('mysql');
const connection = mysql.createConnection({ host: process.env.DB_HOST, user: 'app' });

exports.handler = (event, context, callback) => {
  const body = JSON.parse(event.body);
  const sql = "SELECT id FROM users WHERE email = '" + body.email + "' AND active = 1";
  connection.query(sql, (err, rows) => {
    if (err) return callback(err);
    callback(null, { statusCode: 200, body: JSON.stringify(rows) });
  });
};
""",
    ),
    _one(
        "login-mysql-placeholders",
        "",
        """
const mysql = require('mysql2/promise');
let pool;

async function getPool() {
  if (!pool) pool = mysql.createPool({ host: process.env.DB_HOST, user: 'app' });
  return pool;
}

exports.handler = async (event) => {
  const { email } = JSON.parse(event.body);
  const db = await getPool();
  const [rows] = await db.execute('SELECT id FROM users WHERE email = ?', [email]);
  return { statusCode: 200, body: JSON.stringify(rows) };
};
""",
    ),
    Program(
        "pg-in-a-repository",
        "sql",
        {
            "index.js": """import { findOrders } from './lib/orders.js';

export const handler = async ({ pathParameters, queryStringParameters: query = {} }) => {
  const orders = await findOrders(pathParameters.customer, query.sort);
  return { statusCode: 200, body: JSON.stringify(orders) };
};
""",
            "lib/orders.js": """import pg from 'pg';
const pool = new pg.Pool();

export async function findOrders(customer, sort = 'created_at') {
  const text = `SELECT * FROM orders WHERE customer = $1 ORDER BY ${sort}`;
  const result = await pool.query(text, [customer]);
  return result.rows;
}
""",
        },
    ),
    Program(
        "pg-sort-from-a-list",
        "",
        {
            "index.js": """import { findOrders } from './lib/orders.js';

export const handler = async (event) => {
  const { customer } = event.pathParameters;
  const sort = event.queryStringParameters?.sort;
  const orders = await findOrders(customer, sort);
  return { statusCode: 200, body: JSON.stringify(orders) };
};
""",
            "lib/orders.js": """import pg from 'pg';
const pool = new pg.Pool();
const SORTABLE = ['created_at', 'total'];

export async function findOrders(customer, sort) {
  if (!SORTABLE.includes(sort)) {
    sort = 'created_at';
  }
  const text = `SELECT * FROM orders WHERE customer = $1 ORDER BY ${sort}`;
  return (await pool.query(text, [customer])).rows;
}
""",
        },
    ),
    _one(
        "thumbnail-exec",
        "command",
        """
const { exec } = require('child_process');
const util = require('util');
const run = util.promisify(exec);

module.exports.handler = async (event) => {
  for (const record of event.Records) {
    const key = decodeURIComponent(record.s3.object.key.replace(/\\+/g, ' '));
    await run(`convert /tmp/${key} -resize 200x200 /tmp/thumb.png`);
  }
};
""",
    ),
    _one(
        "thumbnail-execfile",
        "",
        """
const { execFile } = require('child_process');
const { promisify } = require('util');
const run = promisify(execFile);

module.exports.handler = async (event) => {
  const width = parseInt(event.queryStringParameters.width, 10) || 200;
  await run('/opt/bin/convert', ['/tmp/in.png', '-resize', `${width}x${width}`, '/tmp/out.png']);
  return { statusCode: 204 };
};
""",
    ),
    _one(
        "calculator-eval",
        "code",
        """
export const handler = async (event) => {
  const { expression } = event.queryStringParameters;
  const result = eval(expression);
  return { statusCode: 200, body: String(result) };
};
""",
        "mjs",
    ),
    _one(
        "calculator-table",
        "",
        """
const operations = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
};

export const handler = async (event) => {
  const { op, a, b } = event.queryStringParameters;
  const operation = operations[op];
  if (!operation) return { statusCode: 400 };
  return { statusCode: 200, body: String(operation(Number(a), Number(b))) };
};
""",
        "mjs",
    ),
    _one(
        "download-join",
        "path",
        """
const fs = require('fs/promises');
const path = require('path');

exports.handler = async (event) => {
  const name = event.pathParameters.file;
  const content = await fs.readFile(path.join('/opt/data', name), 'utf8');
  return { statusCode: 200, body: content };
};
""",
    ),
    _one(
        "download-resolve-and-compare",
        "",
        """
const fs = require('fs');
const path = require('path');
const ROOT = path.resolve('/opt/data');

exports.handler = async (event) => {
  const wanted = path.resolve(ROOT, event.pathParameters.file);
  if (!wanted.startsWith(ROOT + path.sep)) {
    return { statusCode: 403, body: 'no' };
  }
  return { statusCode: 200, body: fs.readFileSync(wanted, 'utf8') };
};
""",
    ),
    _one(
        "download-basename",
        "",
        """
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

export async function handler(event) {
  const file = basename(event.queryStringParameters.file);
  return { statusCode: 200, body: readFileSync(join('/opt/data', file), 'utf8') };
}
""",
        "mjs",
    ),
    _one(
        "preview-fetch",
        "url",
        """
import type { APIGatewayProxyEvent, APIGatewayProxyResult } from 'aws-lambda';

interface Body {
  url: string;
}

export const handler = async (event: APIGatewayProxyEvent): Promise<APIGatewayProxyResult> => {
  const body = JSON.parse(event.body ?? '{}') as Body;
  const response = await fetch(body.url, { method: 'GET' });
  const text: string = await response.text();
  return { statusCode: 200, body: text.slice(0, 1000) };
};
""",
        "ts",
    ),
    _one(
        "preview-host-in-a-set",
        "",
        """
import type { APIGatewayProxyEvent } from 'aws-lambda';

const HOSTS: ReadonlySet<string> = new Set(['docs.example.com', 'www.example.com']);

export const handler = async (event: APIGatewayProxyEvent) => {
  const url = new URL(event.queryStringParameters!.url as string);
  if (!HOSTS.has(url.hostname)) {
    return { statusCode: 400, body: 'host is not allowed' };
  }
  const response = await fetch(url);
  return { statusCode: 200, body: await response.text() };
};
""",
        "ts",
    ),
    _one(
        "weather-path-of-a-fixed-host",
        "",
        """
const axios = require('axios');

exports.handler = async (event) => {
  const city = encodeURIComponent(event.queryStringParameters.city);
  const { data } = await axios.get(`https://api.weather.example/v1/cities/${city}`);
  return { statusCode: 200, body: JSON.stringify(data) };
};
""",
    ),
    _one(
        "webhook-axios-config",
        "url",
        """
const axios = require('axios').default;

async function notify({ endpoint, payload }) {
  return axios({ method: 'post', url: endpoint, data: payload });
}

exports.handler = async (event) => {
  await Promise.all(
    event.Records.map(async (record) => {
      const message = JSON.parse(record.body);
      await notify({ endpoint: message.callbackUrl, payload: { ok: true } });
    })
  );
};
""",
    ),
    _one(
        "find-user-mongo",
        "nosql",
        """
const { MongoClient } = require('mongodb');
const client = new MongoClient(process.env.MONGO_URL);

exports.handler = async (event) => {
  await client.connect();
  const { username, password } = JSON.parse(event.body);
  const user = await client.db('shop').collection('users').findOne({ username, password });
  return { statusCode: user ? 200 : 401 };
};
""",
    ),
    _one(
        "find-user-mongo-as-text",
        "",
        """
const { MongoClient } = require('mongodb');
const client = new MongoClient(process.env.MONGO_URL);

exports.handler = async (event) => {
  const { username, password } = JSON.parse(event.body);
  if (typeof username !== 'string' || typeof password !== 'string') {
    return { statusCode: 400 };
  }
  const user = await client.db('shop').collection('users').findOne({ username, password });
  return { statusCode: user ? 200 : 401 };
};
""",
    ),
    _one(
        "greeting-page",
        "markup",
        """
exports.handler = async (event) => {
  const name = event.queryStringParameters && event.queryStringParameters.name;
  return {
    statusCode: 200,
    headers: { 'Content-Type': 'text/html' },
    body: `<html><body><h1>Hello ${name || 'you'}</h1></body></html>`,
  };
};
""",
    ),
    _one(
        "greeting-page-escaped",
        "",
        """
const escapeHtml = (s) => s.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');

exports.handler = async (event) => {
  const name = event.queryStringParameters?.name ?? 'you';
  return {
    statusCode: 200,
    headers: { 'content-type': 'text/html; charset=utf-8' },
    body: `<html><body><h1>Hello ${escapeHtml(name)}</h1></body></html>`,
  };
};
""",
    ),
    _one(
        "greeting-as-json",
        "",
        """
exports.handler = async (event) => {
  const { name } = event.queryStringParameters;
  return {
    statusCode: 200,
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ message: `Hello ${name}` }),
  };
};
""",
    ),
    _one(
        "express-routes",
        "sql markup",
        """
const express = require('express');
const serverless = require('serverless-http');
const knex = require('knex')({ client: 'pg' });

const app = express();
app.use(express.json());

app.get('/hello', (req, res) => {
  res.send('<p>Hello ' + req.query.name + '</p>');
});

app.post('/search', async (req, res, next) => {
  try {
    const rows = await knex.raw(`select * from items where title like '%${req.body.q}%'`);
    res.json(rows);
  } catch (err) {
    next(err);
  }
});

module.exports.handler = serverless(app);
""",
    ),
    _one(
        "express-routes-mended",
        "",
        """
const express = require('express');
const serverless = require('serverless-http');
const escape = require('escape-html');
const knex = require('knex')({ client: 'pg' });

const app = express();
app.use(express.json());

app.get('/hello', (req, res) => {
  res.send('<p>Hello ' + escape(req.query.name) + '</p>');
});

app.post('/search', async (req, res) => {
  const rows = await knex.raw('select * from items where title like ?', [`%${req.body.q}%`]);
  res.json(rows);
});

app.get('/items/:id', async (req, res) => {
  res.json(await knex('items').where({ id: Number(req.params.id) }).first());
});

module.exports.handler = serverless(app);
""",
    ),
    _one(
        "sequelize-literal",
        "sql",
        """
const { Sequelize } = require('sequelize');
const sequelize = new Sequelize(process.env.DATABASE_URL);

class Reports {
  constructor(db) {
    this.db = db;
  }

  async byMonth(month) {
    return this.db.query("SELECT * FROM reports WHERE month = '" + month + "'");
  }
}

const reports = new Reports(sequelize);

exports.handler = async (event) => {
  const found = await reports.byMonth(event.queryStringParameters.month);
  return { statusCode: 200, body: JSON.stringify(found) };
};
""",
    ),
    _one(
        "sequelize-replacements",
        "",
        """
const { Sequelize, QueryTypes } = require('sequelize');
const sequelize = new Sequelize(process.env.DATABASE_URL);

class Reports {
  #db;

  constructor(db) {
    this.#db = db;
  }

  async byMonth(month) {
    return this.#db.query('SELECT * FROM reports WHERE month = :month', {
      replacements: { month },
      type: QueryTypes.SELECT,
    });
  }
}

const reports = new Reports(sequelize);

exports.handler = async (event) => {
  const found = await reports.byMonth(event.queryStringParameters.month);
  return { statusCode: 200, body: JSON.stringify(found) };
};
""",
    ),
    _one(
        "redirect-after-login",
        "redirect",
        """
exports.handler = async (event) => {
  const next = event.queryStringParameters?.next || '/';
  return { statusCode: 302, headers: { Location: next } };
};
""",
    ),
    _one(
        "redirect-to-own-paths",
        "",
        """
const PAGES = new Map([['home', '/'], ['orders', '/orders']]);

exports.handler = async (event) => {
  const target = PAGES.get(event.queryStringParameters?.next) ?? '/';
  return { statusCode: 302, headers: { Location: target } };
};
""",
    ),
    _one(
        "cookie-unserialize",
        "deserialisation",
        """
const serialize = require('node-serialize');

exports.handler = async (event) => {
  const cookie = event.headers.cookie.split(';').find((c) => c.startsWith('profile='));
  const profile = serialize.unserialize(Buffer.from(cookie.slice(8), 'base64').toString());
  return { statusCode: 200, body: profile.name };
};
""",
    ),
    _one(
        "cookie-json",
        "",
        """
exports.handler = async (event) => {
  const cookie = event.headers.cookie.split(';').find((c) => c.startsWith('profile='));
  const profile = JSON.parse(Buffer.from(cookie.slice(8), 'base64').toString());
  return { statusCode: 200, body: JSON.stringify({ name: profile.name }) };
};
""",
    ),
    _one(
        "handlebars-compile",
        "template",
        """
import Handlebars from 'handlebars';

export const handler = async (event) => {
  const { template, values } = JSON.parse(event.body);
  const render = Handlebars.compile(template);
  return { statusCode: 200, body: render(values) };
};
""",
    ),
    _one(
        "handlebars-own-template",
        "",
        """
import Handlebars from 'handlebars';

const render = Handlebars.compile('<p>Dear {{name}}</p>');

export const handler = async (event) => {
  const { name } = JSON.parse(event.body);
  return { statusCode: 200, headers: { 'Content-Type': 'text/html' }, body: render({ name }) };
};
""",
    ),
    _one(
        "search-regexp",
        "regex",
        """
const items = require('./items.json');

exports.handler = async (event) => {
  const pattern = new RegExp(event.queryStringParameters.q, 'i');
  return { statusCode: 200, body: JSON.stringify(items.filter((i) => pattern.test(i.title))) };
};
""",
    ),
    _one(
        "partiql-statement",
        "sql",
        """
import { DynamoDBClient, ExecuteStatementCommand } from '@aws-sdk/client-dynamodb';
const client = new DynamoDBClient({});

export const handler = async (event) => {
  const id = event.pathParameters.id;
  const result = await client.send(
    new ExecuteStatementCommand({ Statement: `SELECT * FROM Orders WHERE id = '${id}'` })
  );
  return { statusCode: 200, body: JSON.stringify(result.Items) };
};
""",
    ),
    _one(
        "partiql-parameters",
        "",
        """
import { DynamoDBClient, ExecuteStatementCommand } from '@aws-sdk/client-dynamodb';
const client = new DynamoDBClient({});

export const handler = async (event) => {
  const id = event.pathParameters.id;
  const result = await client.send(
    new ExecuteStatementCommand({
      Statement: 'SELECT * FROM Orders WHERE id = ?',
      Parameters: [{ S: id }],
    })
  );
  return { statusCode: 200, body: JSON.stringify(result.Items) };
};
""",
    ),
    _one(
        "scan-with-a-filter-of-the-caller",
        "nosql",
        """
const AWS = require('aws-sdk');
const docClient = new AWS.DynamoDB.DocumentClient();

exports.handler = async (event) => {
  const params = {
    TableName: process.env.TABLE,
    FilterExpression: 'price < ' + event.queryStringParameters.limit,
  };
  const data = await docClient.scan(params).promise();
  return { statusCode: 200, body: JSON.stringify(data.Items) };
};
""",
    ),
    _one(
        "middy-wrapped",
        "command",
        """
import middy from '@middy/core';
import jsonBodyParser from '@middy/http-json-body-parser';
import { execSync } from 'child_process';

const lambdaHandler = async (event) => {
  const { branch } = event.body;
  const log = execSync('git log --oneline ' + branch).toString();
  return { statusCode: 200, body: log };
};

export const handler = middy(lambdaHandler).use(jsonBodyParser());
""",
        "mjs",
    ),
    _one(
        "branch-checked-by-a-function",
        "",
        """
import { execSync } from 'child_process';

function isBranch(name) {
  return typeof name === 'string' && /^[a-z0-9-]{1,40}$/.test(name);
}

export const handler = async (event) => {
  const { branch } = JSON.parse(event.body);
  if (!isBranch(branch)) {
    throw new Error('no such branch');
  }
  const log = execSync('git log --oneline ' + branch).toString();
  return { statusCode: 200, body: log };
};
""",
        "mjs",
    ),
    _one(
        "merge-into-settings",
        "attributes",
        """
function merge(target, source) {
  for (const key of Object.keys(source)) {
    if (typeof source[key] === 'object' && source[key] !== null) {
      if (!target[key]) target[key] = {};
      merge(target[key], source[key]);
    } else {
      target[key] = source[key];
    }
  }
  return target;
}

exports.handler = async (event) => {
  const settings = merge({ theme: 'dark' }, JSON.parse(event.body));
  return { statusCode: 200, body: JSON.stringify(settings) };
};
""",
    ),
    _one(
        "ids-joined",
        "sql",
        """
const { Client } = require('pg');

exports.handler = async (event) => {
  const client = new Client();
  await client.connect();
  const ids = event.multiValueQueryStringParameters.id;
  const { rows } = await client.query('DELETE FROM carts WHERE id IN (' + ids.join(',') + ')');
  await client.end();
  return { statusCode: 200, body: JSON.stringify(rows) };
};
""",
    ),
    _one(
        "ids-as-numbers",
        "",
        """
const { Client } = require('pg');

exports.handler = async (event) => {
  const client = new Client();
  await client.connect();
  const ids = event.multiValueQueryStringParameters.id.map(Number).filter((id) => id > 0);
  const marks = ids.map((_, i) => `$${i + 1}`).join(',');
  await client.query('DELETE FROM carts WHERE id IN (' + marks + ')', ids);
  await client.query('DELETE FROM old WHERE id IN (' + ids.join(',') + ')');
  return { statusCode: 204 };
};
""",
    ),
    _one(
        "hono-app",
        "path url",
        """
import { Hono } from 'hono';
import { handle } from 'hono/aws-lambda';
import fs from 'node:fs/promises';

const app = new Hono();

app.get('/files/:name', async (c) => {
  const name = c.req.param('name');
  return c.text(await fs.readFile('/opt/files/' + name, 'utf8'));
});

app.post('/proxy', async (c) => {
  const { target } = await c.req.json();
  return fetch(target);
});

export const handler = handle(app);
""",
        "ts",
    ),
    _one(
        "names-of-the-platform-in-a-query",
        "command",
        """
const { execSync, execFileSync } = require('child_process');

exports.handler = async (event) => {
  execSync(`deploy ${event.queryStringParameters.size}`);
  execSync(`deploy ${event.requestContext.stage}`);
  execFileSync('convert', ['-resize', '50%', '--', event.pathParameters.name]);
};
""",
    ),
)
