"""What stands in front of everything that answers a request.

Not the server that reads requests from the network (`triggers.http_server`), and not what answers
them: it imports what answers, nothing of that imports it.
"""
