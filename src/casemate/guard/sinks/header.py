"""Heads of mail and requests, lines of protocols, that a function writes itself. By wrappers."""

from __future__ import annotations

from ..names import READS_ANSWER, READS_HEAD, WRITES_HEAD
from ..sink import Sink
from ..written import wire

SINK = Sink(
    name=wire.NAME,
    summary="Heads of mail and of requests, commands of protocols: data begins no line of its own.",
    patches={
        "socket": wire.patch_socket,
        "ssl": wire.patch_ssl,
        "asyncio.streams": wire.patch_streams,
        "smtplib": wire.patch_mail,
        "aiosmtplib.smtp": wire.patch_mail,
        "email.parser": wire.patch_parser,
        "email.feedparser": wire.patch_feeds,
        "email.message": wire.patch_message,
        "http.client": wire.patch_http_client,
        "http.server": wire.patch_server,
        "dns.zone": wire.patch_zone,
        "icalendar": wire.patch_icalendar,
        "imaplib": wire.patch_imap,
        "mailbox": wire.patch_mailbox,
        "poplib": wire.patch_pop,
    },
    calls={
        READS_ANSWER: wire.read_answer,
        READS_HEAD: wire.read_head,
        WRITES_HEAD: wire.wrote_head,
        **dict.fromkeys(("sendall", "sendto"), wire.sent_by_own),
        "sendmail": wire.mailed_by_own,
    },
)
