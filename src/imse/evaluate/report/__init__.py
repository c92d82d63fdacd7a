"""An evaluation as one HTML page that needs nothing but itself: tables, plots, and the worst files to see and hear."""

from imse.evaluate.report.page import write_report

__all__ = ["write_report"]
