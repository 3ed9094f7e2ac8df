"""The tear sheet of a run: one HTML page that needs nothing but itself, and the same pages as PDF."""

from simulation_service.tear_sheet.page import code, render

__all__ = ["code", "render"]
