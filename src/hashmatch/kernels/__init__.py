"""Hot loops over packed codes; plain NumPy, the judge of any faster twin.

Floor: above `hashmatch.hashes`, below the indexes. Imports NumPy only.
"""

from hashmatch.kernels.reference import (
    euclidean_at,
    euclidean_scan,
    expand_ranges,
    hamming_at,
    hamming_scan,
    hamming_within,
    pack_words,
    substring_keys,
    unpack_words,
)

__all__ = [
    "euclidean_at",
    "euclidean_scan",
    "expand_ranges",
    "hamming_at",
    "hamming_scan",
    "hamming_within",
    "pack_words",
    "substring_keys",
    "unpack_words",
]
