"""Renders what a run holds: report.html, and the lines that the command prints at its end.  Imports no room."""

from juyi.report.page import write_report
from juyi.report.summary import summary_lines

__all__ = ["summary_lines", "write_report"]
