"""Synthetic pictures and the ladder of edits, for the demo, the tests and the benchmarks.

Tests of a matcher need no real picture. `picture` makes seeded pictures of many kinds, `same_template` and `burst` make
hard negatives, `pattern` makes patterned, plain and faint pictures, `edits` holds named edits, and `LADDER` holds every
edit at several strengths. This room stands above `hashmatch.picture` and imports SciPy, so ``import hashmatch`` does
not load it.

Examples
--------
>>> from hashmatch.synthetic import LADDER, edits, picture
>>> pixels = picture("photo", seed=1)
>>> edits.crop_centre(pixels, area_removed=0.25).shape
(222, 222, 3)
>>> LADDER[0].name, LADDER[0](pixels).shape
('JPEG 95', (256, 256, 3))
"""

from hashmatch.synthetic import edits
from hashmatch.synthetic.ladder import LADDER, Edit, edit_named
from hashmatch.synthetic.patterns import PATTERN_KINDS, PLAIN_KINDS, pattern
from hashmatch.synthetic.variants import KINDS, TEMPLATE_KINDS, burst, picture, same_template

__all__ = [
    "KINDS",
    "LADDER",
    "PATTERN_KINDS",
    "PLAIN_KINDS",
    "TEMPLATE_KINDS",
    "Edit",
    "burst",
    "edit_named",
    "edits",
    "pattern",
    "picture",
    "same_template",
]
