"""Renders report.html, comparison.html, measure.html, and the lines that the command prints.  Imports no room."""

from juyi.report.answers_page import write_answers
from juyi.report.comparison import Comparison, compare, disagreement_lines
from juyi.report.comparison_page import check_place, write_comparison
from juyi.report.exported import account_lines
from juyi.report.model_page import write_model_page
from juyi.report.page import write_report
from juyi.report.progress import write_progress
from juyi.report.relations_page import write_relations
from juyi.report.similarity_page import write_similarity
from juyi.report.summary import summary_lines

__all__ = [
    "Comparison",
    "account_lines",
    "check_place",
    "compare",
    "disagreement_lines",
    "summary_lines",
    "write_answers",
    "write_comparison",
    "write_model_page",
    "write_progress",
    "write_relations",
    "write_report",
    "write_similarity",
]
