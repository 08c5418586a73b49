"""The interactive report: one trace and its findings as one file that needs no network."""

from streamsan.checkers.reports.page.page import Contents, build_page

__all__ = ["Contents", "build_page"]
