"""Proof by trial that nothing known at an instant depends on what comes later: for any tables and any computation.

`World` holds the tables, `prove` changes their future and compares bits, `measure_history` asks how much of the
past is needed. What the tables mean (bars, labels, fills) is said by the services that use this.
"""

from barlake.leak_proof.borders import bar_borders, record_borders
from barlake.leak_proof.engine import Effort, prove
from barlake.leak_proof.history import HistoryNeed, measure_history
from barlake.leak_proof.report import Finding, ProofReport, Verdict
from barlake.leak_proof.world import Compute, Frames, Future, Source, World, minutes

__all__ = [
    "Compute",
    "Effort",
    "Finding",
    "Frames",
    "Future",
    "HistoryNeed",
    "ProofReport",
    "Source",
    "Verdict",
    "World",
    "bar_borders",
    "measure_history",
    "minutes",
    "prove",
    "record_borders",
]
