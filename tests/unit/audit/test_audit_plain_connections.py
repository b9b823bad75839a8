"""Servers that are used without encryption are told; those with it, or of this machine, are not."""

from __future__ import annotations

import pytest
from tests.unit.audit.test_audit_ordinary import told

from casemate.audit.rules.examples import function, javascript, python

_SMTP = "import smtplib\ns = smtplib.SMTP('mail.partner.com', 25)\n"
_FAR, _NEAR = "'db.partner.com'", "'localhost'"


@pytest.mark.parametrize(
    ("code", "found"),
    [
        (_SMTP + "s.login('a', p)", 1),
        (_SMTP + "s.starttls()\ns.login('a', p)", 0),
        (_SMTP + "begin(s)\ns.login('a', p)", 0),
        (_SMTP + "s.sendmail('a', 'b', 'c')", 0),
        ("import smtplib\ns = smtplib.SMTP('localhost')\ns.login('a', p)", 0),
        ("import smtplib\ns = smtplib.SMTP_SSL('mail.partner.com')\ns.login('a', p)", 0),
        ("import ftplib\nf = ftplib.FTP('a.partner.com')\nf.login('a', p)", 1),
        ("import ftplib\nf = ftplib.FTP('a.partner.com')\nf.login()", 0),
        ("import ftplib\nf = ftplib.FTP_TLS('a.partner.com')\nf.login('a', p)", 0),
        (f"import redis\nredis.Redis(host={_FAR}, password=p)", 1),
        (f"import redis\nredis.Redis(host={_FAR}, password=p, ssl=True)", 0),
        (f"import redis\nredis.Redis(host={_FAR}, password=p, **more)", 0),
        (f"import redis\nredis.Redis(host={_NEAR}, password=p)", 0),
        ("import redis\nredis.from_url('redis://cache.partner.com')", 1),
        ("import redis\nredis.from_url('rediss://cache.partner.com')", 0),
        ("import redis\nredis.from_url('redis://10.0.0.3:6379')", 0),
        ("import redis\nredis.from_url(f'redis://:{p}@cache.partner.com')", 1),
        ("import pika\npika.URLParameters('amqp://a:' + p + '@mq.partner.com')", 1),
        ('"""Speaks to redis://cache.partner.com."""', 0),
        (f"import pika\npika.ConnectionParameters({_FAR}, 5672, '/', c)", 1),
        (f"import pika\npika.ConnectionParameters({_FAR}, 5671, '/', c, ssl_options=o)", 0),
        ("import kafka\nkafka.KafkaProducer(security_protocol='SASL_PLAINTEXT')", 1),
        ("import kafka\nkafka.KafkaProducer(security_protocol='SASL_SSL')", 0),
        ("C = {'security.protocol': 'SASL_PLAINTEXT'}", 1),
        (f"import psycopg\npsycopg.connect(host={_FAR}, sslmode='disable')", 1),
        (f"import psycopg\npsycopg.connect(host={_NEAR}, sslmode='disable')", 0),
        ("URL = 'postgresql://db.partner.com/a?sslmode=prefer'", 1),
        ("URL = 'postgresql://db.partner.com/a?sslmode=verify-full'", 0),
        (f"import pymysql\npymysql.connect(host={_FAR}, ssl_disabled=True)", 1),
        (f"import pymongo\npymongo.MongoClient({_FAR}, tls=False)", 1),
        ("import ldap3\ns = ldap3.Server('a.partner.com')\ndef f(p):\n"
         "    return ldap3.Connection(s, 'cn=a', p, auto_bind=True)", 1),
        ("import ldap3\nldap3.Connection(ldap3.Server('a.partner.com'), password=p)", 1),
        ("import ldap3\nldap3.Connection(ldap3.Server('a.partner.com'))", 0),
        ("import ldap3\ns = ldap3.Server('a.partner.com')\nldap3.Connection(s, password=p)", 1),
        ("import ldap3\ns = ldap3.Server('a.partner.com', use_ssl=True)\n"
         "ldap3.Connection(s, password=p)", 0),
        ("import ldap3\ns = ldap3.Server('a.partner.com')\n"
         "c = ldap3.Connection(s, password=p)\nc.start_tls()", 0),
        ("import paho.mqtt.client as m\nc = m.Client()\nc.username_pw_set('a', p)\n"
         "c.connect('mq.partner.com')", 1),
        ("import paho.mqtt.client as m\nc = m.Client()\nc.tls_set()\nc.username_pw_set('a', p)\n"
         "c.connect('mq.partner.com')", 0),
        ("EMAIL_HOST = 'mail.partner.com'\nEMAIL_HOST_PASSWORD = p", 1),
        ("EMAIL_HOST = 'mail.partner.com'\nEMAIL_HOST_PASSWORD = p\nEMAIL_USE_TLS = True", 0),
        ("app.config['MAIL_PASSWORD'] = p\napp.config['MAIL_USE_TLS'] = False", 1),
        ("app.config['MAIL_PASSWORD'] = p\napp.config['MAIL_USE_TLS'] = False\n"
         "app.config['MAIL_USE_SSL'] = True", 0),
    ],
)  # fmt: skip
def test_servers_of_python(code: str, found: int) -> None:
    assert told(python(code), "PY-030") == found


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("const pg = require('pg'); new pg.Pool({ host: 'db.partner.com', ssl: false });", 1),
        ("const pg = require('pg'); new pg.Pool({ host: 'localhost', ssl: false });", 0),
        ("const pg = require('pg'); new pg.Pool({ host: 'db.partner.com', ssl: { ca } });", 0),
        ("const pg = require('pg'); new pg.Pool({ ...given, ssl: false });", 0),
        ("const { Kafka } = require('kafkajs'); new Kafka({ brokers, sasl });", 0),
        ("const { Kafka } = require('kafkajs'); new Kafka({ brokers, sasl: { username } });", 1),
        ("const { Kafka } = require('kafkajs'); new Kafka({ ssl: true, sasl: { username } });", 0),
        ("const { Kafka } = require('kafkajs'); new Kafka({ ssl, sasl: { username } });", 0),
        ("const n = require('nodemailer'); n.createTransport({ host, ignoreTLS: true });", 1),
        ("const n = require('nodemailer'); n.createTransport({ host, secure: true });", 0),
        ("connect(`amqp://a:${p}@mq.partner.com`);", 1),
        ("connect('amqp://a:' + p + '@mq.partner.com');", 1),
        ("connect('amqps://mq.partner.com');", 0),
        ("connect('redis://redis:6379');", 0),
        ("new Client({ url: 'ldap://a.partner.com' });", 1),
        ("const c = new Client({ url: 'ldap://a.partner.com' }); c.startTLS({});", 0),
        ("const R = require('ioredis'); new R({ host: 'a.partner.com', password: p });", 1),
        (
            "const R = require('ioredis'); new R({ host: 'a.partner.com', password: p, tls: {} });",
            0,
        ),
    ],
)
def test_servers_of_javascript(code: str, found: int) -> None:
    assert told(javascript(code), "JS-022") == found


@pytest.mark.parametrize(
    ("rule", "variable", "found"),
    [
        ("ENV-005", "URL: 'redis://cache.partner.com:6379'", 1),
        ("ENV-005", "URL: 'rediss://cache.partner.com:6379'", 0),
        ("ENV-005", "URL: 'amqp://a:b@mq.example.com'", 1),
        ("ENV-005", "URL: 'http://example.com'", 1),
        ("ENV-005", "URL: 'http://api.example'", 0),
        ("ENV-005", "URL: 'http://orders.shop.svc.cluster.local:80/x'", 0),
        ("ENV-005", "URL: 'mqtt://broker'", 0),
        ("ENV-005", "URL: 'smtp://mail.partner.com:587'", 0),
        ("ENV-008", "PGSSLMODE: prefer", 1),
        ("ENV-008", "PGSSLMODE: verify-full", 0),
        ("ENV-008", "KAFKA_SECURITY_PROTOCOL: SASL_PLAINTEXT", 1),
        ("ENV-008", "KAFKA_SECURITY_PROTOCOL: SASL_SSL", 0),
        ("ENV-008", "EMAIL_USE_TLS: 'false'", 1),
        ("ENV-008", "EMAIL_USE_TLS: 'true'", 0),
        ("ENV-008", "URL: 'mysql://db.partner.com/a?ssl=false'", 1),
        ("ENV-008", "URL: 'mysql://localhost/a?ssl=false'", 0),
    ],
)
def test_variables(rule: str, variable: str, found: int) -> None:
    assert told(function(f"Environment: {{Variables: {{{variable}}}}}"), rule) == found
