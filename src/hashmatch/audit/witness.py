"""`cosign_log`: somebody else signs that a log only grew.

Floor: audit. A witness keeps the last checkpoint that he signed. He signs a later one only if the log still begins with
what that was of, so that a log that was put back, or forked, gets no signature.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path

from hashmatch.audit.checkpoint import MAX_NOTE, Checkpoint, read_checkpoint
from hashmatch.audit.reader import LogReader
from hashmatch.audit.verify import verify_reader
from hashmatch.errors import AuditError
from hashmatch.index.atomic import AtomicFile
from hashmatch.signing import SigningKey, VerifierKey
from hashmatch.signing.note import cosign

__all__ = ["cosign_log"]


def cosign_log(
    folder: str | os.PathLike[str], trust: Iterable[VerifierKey], key: SigningKey, state: str | os.PathLike[str]
) -> Checkpoint:
    """Verify a log, and sign its newest checkpoint as a witness: in ``witnessed``, beside the checkpoint.

    Parameters
    ----------
    folder : path
        Folder of the log; the witness writes one file there.
    trust : iterable of VerifierKey
        Keys of the log that are believed.
    key : SigningKey
        Key of the witness: ``SigningKey.make(name, witness=True)``.
    state : path
        File of the witness, elsewhere than the log: the last checkpoint that he signed. Made where there is none.

    Returns
    -------
    Checkpoint
        What was signed.

    Raises
    ------
    AuditError
        If the log is not sound, does not begin with what the witness signed before, or a file cannot be written.
    """
    state = Path(state)
    try:
        before = [state.read_bytes()[: MAX_NOTE + 1]] if state.exists() else []
        with LogReader(folder) as reader:
            found = verify_reader(reader, trust, against=before)
            if found.problem is not None:
                raise AuditError(f"not signed: {found.problem}", reason="damaged")
            note = cosign(reader.checkpoint().note, key, time=int(time.time()))
            data = note.encode()
            signed = read_checkpoint(data, reader.origin, reader.keys, key.verifiers)
            for path in (state, reader.files.witnessed):  # a crash between them leaves a witness who knows more
                part = AtomicFile(path)
                with part as stream:
                    stream.write(data)
                    part.finish()
    except OSError as error:
        raise AuditError(f"the witness cannot write: {error.strerror}", reason="unwritable") from error
    return signed
