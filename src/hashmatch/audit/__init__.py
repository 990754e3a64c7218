"""What was answered, provably: an append-only, signed log of reports.

Needs ``pip install 'hashmatch[evidence]'``. `hashmatch.matching` knows nothing of it: a matcher gets a `Recorder`.
"""

from hashmatch.audit.checkpoint import Checkpoint, Proof
from hashmatch.audit.log import AuditLog
from hashmatch.audit.reader import LogReader, LogRecord, ProvedRecord, prove_alone
from hashmatch.audit.recording import Recorder, fingerprint_of, report_of, report_text
from hashmatch.audit.replay import Replayed, replay_log
from hashmatch.audit.reviews import Purged, add_complaint, add_verdict, purge_log, yearly_figures
from hashmatch.audit.verify import Problem, Verification, verify_log
from hashmatch.audit.witness import cosign_log

__all__ = [
    "AuditLog",
    "Checkpoint",
    "LogReader",
    "LogRecord",
    "Problem",
    "Proof",
    "ProvedRecord",
    "Purged",
    "Recorder",
    "Replayed",
    "Verification",
    "add_complaint",
    "add_verdict",
    "cosign_log",
    "fingerprint_of",
    "prove_alone",
    "purge_log",
    "replay_log",
    "report_of",
    "report_text",
    "verify_log",
    "yearly_figures",
]
