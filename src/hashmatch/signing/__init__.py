"""Keys, signed statements and sealed files: what lets a reader tell who said a thing, and whether it was changed.

Needs ``pip install 'hashmatch[evidence]'``, which brings ``cryptography``.
"""

from hashmatch.signing.keys import SigningKey, VerifierKey, parse_verifier_keys
from hashmatch.signing.note import Note, read_statement, sign_statement, sign_text, verify_note
from hashmatch.signing.rotation import follow_rotations, rotate

__all__ = [
    "Note",
    "SigningKey",
    "VerifierKey",
    "follow_rotations",
    "parse_verifier_keys",
    "read_statement",
    "rotate",
    "sign_statement",
    "sign_text",
    "verify_note",
]
