"""Texts that others read later: files, cells, records of a log, heads of mail and of requests."""
