"""What is wrong with it: rules over a Trace and its HappensBefore, and the findings they give."""

from streamsan.checkers.engine import Report, check
from streamsan.checkers.finding import Finding, Unknown
from streamsan.checkers.settings import Settings

__all__ = ["Finding", "Report", "Settings", "Unknown", "check"]
