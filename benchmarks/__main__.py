"""``python -m benchmarks AREA [options]``: run one benchmark; without an area, list them."""

from __future__ import annotations

import importlib
import os
import sys

from benchmarks.runner import ONE_THREAD

AREAS = {
    "hashing": "pixels and files to hashes, beside pdqhash, imagehash, perception, imagededup, threatexchange",
    "ties": "what ties cost PDQ on smooth and plain pictures: median, mean and 99th percentile",
    "lookup": "exact search within a radius, beside faiss, usearch, pybktree, imagededup, threatexchange, NumPy",
    "endtoend": "bytes to verdict, one and many threads, and a folder",
    "threads": "8 threads' worth of look-ups and hashes against one thread",
    "life": "an index of one and ten million hashes: made, out of core, opened, shared, changed, watched, compacted",
    "imports": "delivered lists into a list, beside SQLite's own bulk insert; one hash into a long list",
    "keypoints": "keypoint records: recall, false pairs, time and bytes, beside SIFT, ORB and AKAZE",
    "robustness": "recall and false matches for every edit, by the profiles, plain hashes and imagehash",
    "drift": "how far the hashes of other front ends lie from ours",
    "isolation": "what decoding in a restricted worker costs a folder scan",
    "policies": "what each policy costs beyond decoding",
    "frames": "what an animation costs by each policy",
    "crops": "the crop search: recall, cost, evidence between unrelated pictures",
    "trims": "framed pictures: recall by the boxes found, needless boxes, cost",
    "rotations": "rotations by a few degrees: recall, evidence between unrelated pictures",
    "views": "other producers' shrinks, how near unrelated pictures come",
    "budget": "the library's tables of false reports, made of the results of views, crops, rotations and keypoints",
    "strangers": "how near unrelated pictures come, for every algorithm",
    "plain": "reports of plain and patterned entries by unlike pictures",
    "privacy": "what a simple inversion gets out of a keypoint record",
    "synthetic_ladder": "how photo-like the synthetic photos are",
    "house": "figures of the source: rooms, names, and how far a match walks",
    "sameness": "whether two commits give the same reports, field by field",
    "planner_costs": "the costs that the index planner starts from",
    "record": "measure areas, keep the results, and put their tables into the documents",
    "performance": "the documents' tables from the kept results; measures nothing",
    "environments": "make the contenders' own environments",
    "smoke": "every benchmark, small",
}


def main() -> None:
    """Hand the options to the area's own command."""
    if len(sys.argv) < 2 or sys.argv[1] not in AREAS:
        width = max(map(len, AREAS))
        print("python -m benchmarks AREA [options]; each area takes --help\n")
        print("\n".join(f"  {name:<{width}}  {what}" for name, what in AREAS.items()))
        sys.exit(0 if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help") else 2)
    area = sys.argv.pop(1)
    sys.argv[0] = f"python -m benchmarks {area}"
    os.environ.update(ONE_THREAD)  # libraries read it when they are loaded, which comes next
    importlib.import_module(f"benchmarks.{area}").main()


if __name__ == "__main__":
    main()
