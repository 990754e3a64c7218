"""What was answered, provably: an append-only, signed log of reports.

Needs ``pip install 'hashmatch[evidence]'``. `hashmatch.matching` knows nothing of it: a matcher gets a `Recorder`.
"""

from hashmatch.audit.checkpoint import Checkpoint, Proof
from hashmatch.audit.log import AuditLog
from hashmatch.audit.reader import LogReader, LogRecord, ProvedRecord, prove_alone
from hashmatch.audit.recording import Recorder, fingerprint_of, report_of, report_text
from hashmatch.audit.verify import Problem, Verification, verify_log

__all__ = [
    "AuditLog",
    "Checkpoint",
    "LogReader",
    "LogRecord",
    "Problem",
    "Proof",
    "ProvedRecord",
    "Recorder",
    "Verification",
    "fingerprint_of",
    "prove_alone",
    "report_of",
    "report_text",
    "verify_log",
]
