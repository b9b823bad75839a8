"""The table of sinks: which argument of which call, by package and method. One place for all.

A place is a number of an argument, or `NUMBER.NAME` of a property of it; `+` after it: and all that
come after. Names of packages stand without `node:` and what is behind a `/`.
"""

from __future__ import annotations

SQL_PACKAGES = """
    mysql mysql2 pg pg-pool sqlite3 better-sqlite3 knex sequelize typeorm mssql oracledb
    serverless-mysql serverless-postgres postgres @prisma/client pg-promise mariadb
    @vercel/postgres sqlite promise-mysql @neondatabase/serverless tedious snowflake-sdk
    data-api-client slonik cassandra-driver @mikro-orm/core massive ibm_db
    @planetscale/database objection drizzle-orm bookshelf @databases/pg @libsql/client
    duckdb @google-cloud/bigquery @google-cloud/spanner
"""
_SQL_METHODS = """
    query execute raw exec prepare unsafe $queryRawUnsafe batch each $executeRawUnsafe
    whereRaw orderByRaw havingRaw joinRaw selectRaw all groupByRaw fromRaw oneOrNone one
    none any many manyOrNone get literal run queryRaw executeSql result func sql
    andWhereRaw stream
"""
MONGO_PACKAGES = "mongodb marsdb nedb mongoose mongoist monk @mongodb-js/charts couchbase nano"
_MONGO_METHODS = """
    find findOne findOneAndUpdate findOneAndDelete findOneAndReplace deleteOne
    deleteMany updateOne updateMany replaceOne countDocuments count distinct aggregate
    remove update exists where findAndModify mapReduce $where
"""
_FS_FIRST = """
    readFile readFileSync writeFile writeFileSync createReadStream unlink
    createWriteStream appendFile appendFileSync unlinkSync readdir readdirSync open
    openSync rm rmSync rmdir rmdirSync mkdir mkdirSync opendir truncate chmod chmodSync
    readJson readJsonSync writeJson outputFile remove readJSON outputJson emptyDir
    ensureFile ensureDir truncateSync
"""
_FS_BOTH = """
    copyFile copyFileSync rename renameSync cp cpSync symlink symlinkSync link linkSync
    copy move copySync moveSync
"""
HTTP_CLIENTS = """
    axios got node-fetch superagent request request-promise needle ky undici cross-fetch
    phin bent make-fetch-happen isomorphic-fetch wreck request-promise-native
    axios-retry fetch-retry simple-get isomorphic-unfetch
"""
_HTTP_METHODS = """
    = get post put patch delete head request options fetch del stream postForm
    default defaults post_json concat
"""
_SQL_PLACES = "0 0.sql 0.text 0.query 0.sqlText"
_URL_PLACES = "0 0.url 0.uri 0.baseURL 0.host 0.hostname"

ROWS: tuple[tuple[str, str, str, str, str], ...] = (
    (
        "sql",
        SQL_PACKAGES,
        _SQL_METHODS,
        _SQL_PLACES,
        "high",
    ),
    (
        "nosql",
        MONGO_PACKAGES,
        _MONGO_METHODS,
        "0.$where",
        "high",
    ),
    (
        "nosql",
        MONGO_PACKAGES,
        _MONGO_METHODS,
        "0",
        "high",
    ),
    (
        "nosql",
        "@elastic/elasticsearch",
        "search count",
        "0.q",
        "medium",
    ),
    (
        "command",
        "child_process",
        "exec execSync",
        "0",
        "high",
    ),
    (
        "command",
        "shelljs",
        "exec",
        "0",
        "high",
    ),
    (
        "command",
        "execa",
        "command commandSync execaCommand execaCommandSync",
        "0",
        "high",
    ),
    (
        "command",
        "ssh2 node-ssh",
        "exec execCommand",
        "0",
        "high",
    ),
    (
        "argument",
        "child_process",
        "spawn spawnSync execFile execFileSync",
        "0 1",
        "high",
    ),
    (
        "argument",
        "child_process",
        "fork",
        "0",
        "high",
    ),
    (
        "argument",
        "cross-spawn execa",
        "= sync execa execaSync",
        "0 1",
        "high",
    ),
    (
        "code",
        "eval Function",
        "=",
        "0+",
        "high",
    ),
    (
        "code",
        "vm",
        """
            runInThisContext runInNewContext runInContext Script compileFunction
            SourceTextModule
        """,
        "0",
        "high",
    ),
    (
        "code",
        "vm2 isolated-vm safe-eval static-eval notevil",
        "= run eval compileScript VMScript",
        "0",
        "high",
    ),
    (
        "code",
        "mathjs",
        "eval",
        "0",
        "medium",
    ),
    (
        "code",
        "setTimeout setInterval setImmediate",
        "=",
        "0",
        "high",
    ),
    (
        "code",
        "jsonpath jsonpath-plus",
        "query JSONPath nodes value",
        "0.path 1",
        "medium",
    ),
    (
        "import",
        "require required",
        "=",
        "0",
        "high",
    ),
    (
        "path",
        "fs fs-extra graceful-fs jsonfile",
        _FS_FIRST,
        "0",
        "high",
    ),
    (
        "path",
        "fs fs-extra graceful-fs",
        _FS_BOTH,
        "0 1",
        "high",
    ),
    (
        "path",
        "glob fast-glob rimraf mkdirp del",
        "= sync glob globSync",
        "0",
        "high",
    ),
    (
        "url",
        HTTP_CLIENTS,
        _HTTP_METHODS,
        _URL_PLACES,
        "high",
    ),
    (
        "url",
        "fetch WebSocket EventSource ws",
        "= WebSocket",
        "0 0.url",
        "high",
    ),
    (
        "url",
        "http https http2",
        "get request connect",
        "0 0.host 0.hostname",
        "high",
    ),
    (
        "url",
        "net tls",
        "connect createConnection",
        "0.host 1",
        "high",
    ),
    (
        "url",
        """
            puppeteer puppeteer-core playwright playwright-core chrome-aws-lambda
            @sparticuz/chromium
        """,
        "goto",
        "0",
        "high",
    ),
    (
        "deserialisation",
        """
            node-serialize serialize-to-js serialijse cryo funcster @commercial/serialize
        """,
        "unserialize deserialize parse deepDeserialize",
        "0",
        "high",
    ),
    (
        "deserialisation",
        "js-yaml",
        "loadUnsafe",
        "0",
        "high",
    ),
    (
        "template",
        """
            handlebars hbs ejs pug jade nunjucks lodash underscore dot doT squirrelly eta swig
            art-template liquidjs velocityjs haml marko dust twig just
        """,
        """
            compile precompile render renderString template compileClient parseAndRender
            Template parse compileToFunction
        """,
        "0",
        "high",
    ),
    (
        "xml",
        "libxmljs libxmljs2 libxml-xsd",
        "parseXml parseXmlString parse",
        "0",
        "high",
    ),
    (
        "xpath",
        "xpath libxmljs libxmljs2",
        "select select1 evaluate parse find get",
        "0",
        "high",
    ),
    (
        "ldap",
        "ldapjs ldapts activedirectory",
        "search bind del modify findUser find",
        "0 1 1.filter",
        "high",
    ),
    (
        "regex",
        "RegExp",
        "=",
        "0",
        "high",
    ),
    (
        "attributes",
        """
            lodash lodash.merge lodash.set lodash.defaultsdeep merge deepmerge defaults-deep
            merge-deep mixin-deep set-value dot-prop object-path jquery extend deep-extend hoek
            immer
        """,
        """
            merge mergeWith defaultsDeep set setWith recursive zipObjectDeep extend
        """,
        "1+",
        "medium",
    ),
    (
        "attributes",
        """
            merge-deep mixin-deep set-value deep-extend lodash.merge lodash.set
            lodash.defaultsdeep
        """,
        "=",
        "1+",
        "medium",
    ),
    (
        "sql",
        "@aws-sdk/client-dynamodb @aws-sdk/lib-dynamodb",
        """
            ExecuteStatementCommand BatchExecuteStatementCommand executeStatement
            executeTransaction ExecuteTransactionCommand
        """,
        "0.Statement 0.Statements[].Statement 0.TransactStatements[].Statement",
        "high",
    ),
    (
        "sql",
        """
            @aws-sdk/client-rds-data @aws-sdk/client-redshift-data @aws-sdk/client-athena
            @aws-sdk/client-timestream-query
        """,
        """
            ExecuteStatementCommand executeStatement StartQueryExecutionCommand
            startQueryExecution BatchExecuteStatementCommand QueryCommand query
        """,
        "0.sql 0.Sql 0.QueryString",
        "high",
    ),
    (
        "sql",
        "@aws-sdk/client-s3",
        "SelectObjectContentCommand selectObjectContent",
        "0.Expression",
        "high",
    ),
    (
        "nosql",
        "@aws-sdk/client-dynamodb @aws-sdk/lib-dynamodb",
        """
            ScanCommand QueryCommand UpdateCommand PutCommand DeleteCommand UpdateItemCommand
            PutItemCommand DeleteItemCommand scan query update put delete updateItem putItem
            deleteItem
        """,
        """
    0.FilterExpression 0.KeyConditionExpression 0.UpdateExpression 0.ConditionExpression
    0.ProjectionExpression
""",
        "high",
    ),
)
"""Weakness, packages, methods (`=`: the package itself is called), places, confidence."""
