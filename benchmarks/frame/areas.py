"""The commands of ``python -m benchmarks``, by the folder that each module is in."""

from __future__ import annotations

from typing import Final

AREAS: Final = {
    "speed": {
        "hashing": "pixels and files to hashes, beside pdqhash, imagehash, perception, imagededup, threatexchange",
        "ties": "what ties cost PDQ on smooth and plain pictures: median, mean and 99th percentile",
        "lookup": "exact search within a radius, beside faiss, usearch, pybktree, imagededup, threatexchange, NumPy",
        "endtoend": "bytes to verdict, one and many threads, and a folder",
        "threads": "8 threads' worth of look-ups and hashes against one thread",
        "policies": "what each policy costs beyond decoding",
        "frames": "what an animation costs by each policy",
        "isolation": "what decoding in a restricted worker costs a folder scan",
        "scan": "a folder scan beside bare decoding, imagehash and threatexchange; a ledger, and matching it again",
        "service": "hash look-ups and pictures over HTTP, beside a handler as HMA's; overload; changes of a list",
        "planner_costs": "the costs that the index planner starts from",
    },
    "quality": {
        "robustness": "recall and false matches for every edit, by the profiles, plain hashes and imagehash",
        "keypoints": "keypoint records: recall, false pairs, time and bytes, beside SIFT, ORB and AKAZE",
        "crops": "the crop search: recall, cost, evidence between unrelated pictures",
        "trims": "framed pictures: recall by the boxes found, needless boxes, cost",
        "rotations": "rotations by a few degrees: recall, evidence between unrelated pictures",
        "views": "other producers' shrinks, how near unrelated pictures come",
        "points": "keypoint records by their number of points: recall of two crops, and bytes",
        "conformance": "PDQ and its turns beside pdqhash, bit by bit",
        "drift": "how far the hashes of other front ends lie from ours",
        "synthetic_ladder": "how photo-like the synthetic photos are",
    },
    "errors": {
        "strangers": "how near unrelated pictures come, for every algorithm",
        "plain": "reports of plain and patterned entries by unlike pictures",
        "confirm": "what a second hash that must agree costs in recall and saves in false reports",
        "privacy": "what a simple inversion gets out of a keypoint record",
        "budget": "the library's tables of false reports, made of the results of views, crops, rotations and keypoints",
    },
    "life": {
        "life": "an index of one and ten million hashes: made, opened, shared, changed, watched, compacted",
        "urls": "lists of known addresses: microseconds for an address, bytes and seconds for millions of entries",
        "imports": "delivered lists into a list, beside SQLite's own bulk insert; one hash into a long list",
        "bundles": "signed lists of a million entries: made, sealed, taken, followed, with the peak of memory",
        "audit": "an audit log: appending beside a match, bytes, proofs, verifying, replaying",
        "house": "figures of the source: rooms, names, and how far a match walks",
        "sameness": "whether two commits give the same reports, field by field",
    },
    "frame": {
        "record": "measure areas, keep the results, and put their tables into the documents",
        "performance": "the documents' tables from the kept results; measures nothing",
        "environments": "make the contenders' own environments",
        "smoke": "every benchmark, small",
    },
}
"""What each command does, by folder and name."""

FOLDERS: Final = {name: folder for folder, names in AREAS.items() for name in names}
"""The folder of each command."""
