"""``python -m benchmarks NAME [options]``: run one benchmark; without a name, list them."""

from __future__ import annotations

import importlib
import os
import sys

from benchmarks.frame.runner import ONE_THREAD

AREAS = {
    "speed": {
        "hashing": "pixels and files to hashes, beside pdqhash, imagehash, perception, imagededup, threatexchange",
        "ties": "what ties cost PDQ on smooth and plain pictures: median, mean and 99th percentile",
        "lookup": "exact search within a radius, beside faiss, usearch, pybktree, imagededup, threatexchange, NumPy",
        "endtoend": "bytes to verdict, one and many threads, and a folder",
        "threads": "8 threads' worth of look-ups and hashes against one thread",
        "policies": "what each policy costs beyond decoding",
        "frames": "what an animation costs by each policy",
        "isolation": "what decoding in a restricted worker costs a folder scan",
        "planner_costs": "the costs that the index planner starts from",
    },
    "quality": {
        "robustness": "recall and false matches for every edit, by the profiles, plain hashes and imagehash",
        "keypoints": "keypoint records: recall, false pairs, time and bytes, beside SIFT, ORB and AKAZE",
        "crops": "the crop search: recall, cost, evidence between unrelated pictures",
        "trims": "framed pictures: recall by the boxes found, needless boxes, cost",
        "rotations": "rotations by a few degrees: recall, evidence between unrelated pictures",
        "views": "other producers' shrinks, how near unrelated pictures come",
        "drift": "how far the hashes of other front ends lie from ours",
        "synthetic_ladder": "how photo-like the synthetic photos are",
    },
    "errors": {
        "strangers": "how near unrelated pictures come, for every algorithm",
        "plain": "reports of plain and patterned entries by unlike pictures",
        "privacy": "what a simple inversion gets out of a keypoint record",
        "budget": "the library's tables of false reports, made of the results of views, crops, rotations and keypoints",
    },
    "life": {
        "life": "an index of one and ten million hashes: made, opened, shared, changed, watched, compacted",
        "imports": "delivered lists into a list, beside SQLite's own bulk insert; one hash into a long list",
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
"""What each command measures, by the folder that its module is in."""


def main() -> None:
    """Hand the options to the benchmark's own command."""
    folders = {name: folder for folder, names in AREAS.items() for name in names}
    if len(sys.argv) < 2 or sys.argv[1] not in folders:
        width = max(map(len, folders))
        print("python -m benchmarks NAME [options]; each takes --help and --quick")
        for folder, names in AREAS.items():
            print(f"\n{folder}/")
            print("\n".join(f"  {name:<{width}}  {what}" for name, what in names.items()))
        sys.exit(0 if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help") else 2)
    name = sys.argv.pop(1)
    sys.argv[0] = f"python -m benchmarks {name}"
    os.environ.update(ONE_THREAD)  # libraries read it when they are loaded, which comes next
    importlib.import_module(f"benchmarks.{folders[name]}.{name}").main()


if __name__ == "__main__":
    main()
