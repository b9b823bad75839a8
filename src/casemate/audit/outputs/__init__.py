"""What an audit has found, for terminals, programs, code hosts, browsers and test reports."""

from casemate.audit.outputs.html import html_of
from casemate.audit.outputs.json_text import json_of
from casemate.audit.outputs.junit import junit_of
from casemate.audit.outputs.sarif import sarif_of
from casemate.audit.outputs.terminal import CHANGE, LOOK, lines_of

__all__ = ["CHANGE", "LOOK", "html_of", "json_of", "junit_of", "lines_of", "sarif_of"]
