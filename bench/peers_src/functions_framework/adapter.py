"""The handler behind functions-framework's default server: a Flask view under gunicorn."""

import functions_framework
from handler import handle


@functions_framework.http
def main(request):
    """Parse the JSON body; Flask turns the returned dict into JSON."""
    return handle(request.get_json())
