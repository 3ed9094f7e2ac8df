"""The tear sheet of a run: one HTML page that needs nothing but itself, and the same page as PDF."""

from simulation_service.tear_sheet.page import code, render
from simulation_service.tear_sheet.pdf import page_as_pdf

__all__ = ["code", "page_as_pdf", "render"]
