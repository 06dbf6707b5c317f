"""The persistent queue: jobs, states, leases, priorities, and what was published."""

from shaded.ledger.ledger import Ledger
from shaded.ledger.reader import LedgerReader
from shaded.ledger.records import (
    STATES,
    Admission,
    AdmissionKind,
    Claim,
    Job,
    Placement,
    Queued,
    Record,
    State,
    stored_profile,
)

__all__ = [
    "STATES",
    "Admission",
    "AdmissionKind",
    "Claim",
    "Job",
    "Ledger",
    "LedgerReader",
    "Placement",
    "Queued",
    "Record",
    "State",
    "stored_profile",
]
