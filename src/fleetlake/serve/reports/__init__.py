"""Reports on the gold tables: for people, for programs, and as one HTML page."""

from fleetlake.serve.reports.catalogue import REPORTS
from fleetlake.serve.reports.definition import Answer, ReportDefinition, Selection
from fleetlake.serve.reports.page import require_folder, write_report_page
from fleetlake.serve.reports.read import read_report
from fleetlake.serve.reports.scores import Period, scores_of
from fleetlake.serve.reports.terminal import write_report

__all__ = [
    "REPORTS", "Answer", "Period", "ReportDefinition", "Selection", "read_report", "require_folder", "scores_of", "write_report",
    "write_report_page",
]  # fmt: skip
