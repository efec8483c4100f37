"""Reports of builds: JSON, HTML, Markdown, CSV and the terminal; several runs compared."""

from hwflow.report.html import to_html
from hwflow.report.schema import Report, load_report, save_report
from hwflow.report.tables import to_csv, to_json, to_markdown
from hwflow.report.terminal import summary

# What reports can be written as, by the ending of the file.
FORMATS = {"html": to_html, "md": to_markdown, "csv": to_csv, "json": to_json}

__all__ = ["FORMATS", "Report", "load_report", "save_report", "summary", "to_html"]
