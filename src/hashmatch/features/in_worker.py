"""What a worker runs: file bytes to looks. Started by `hashmatch.jail.worker`; never imported by the host."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from typing import Final

import numpy as np

from hashmatch.errors import ImageTooLargeError
from hashmatch.features.extract import iter_looks
from hashmatch.features.policy_json import policy_from_json
from hashmatch.features.wire import pack_look
from hashmatch.hashers.facade import PICTURE_HASHERS
from hashmatch.jail.inside import Work, serve
from hashmatch.picture.encode import png
from hashmatch.picture.isolation import needs_threads, ready_codecs, tiny_files
from hashmatch.policy import MatchPolicy

__all__ = ["main", "prepare"]

_TASK: Final = struct.Struct("<H")
_WARM_SIZE: Final = (160, 200)


def main() -> None:
    """Serve the host that started this process."""
    serve(prepare, needs_threads=needs_threads)


def prepare(hello: bytes) -> Work:
    """Load everything that looking by a policy can need.

    Parameters
    ----------
    hello : bytes
        Most bytes of an answer (8, little-endian), then a line for each policy as `hashmatch.features.policy_json`
        writes it.

    Returns
    -------
    callable
        Takes a task (length of the question, 2 bytes; the question, JSON with ``algorithms``, ``keypoints``,
        ``listed`` and ``policy``, the number of a policy; the file) and yields each look in its byte form.
    """
    most = int.from_bytes(hello[:8], "little")
    policies = [policy_from_json(line) for line in hello[8:].split(b"\n")]
    for policy in policies:
        ready_codecs(policy.decode)
        _warm_up(policy)

    def work(task: memoryview) -> Iterator[bytes]:
        (length,) = _TASK.unpack_from(task)
        start = _TASK.size + length
        question = json.loads(bytes(task[_TASK.size : start]))
        left = most
        data, names = bytes(task[start:]), tuple(question["algorithms"])
        policy = policies[question["policy"]]
        for part in _looks(data, names, policy, question["keypoints"], listed=question["listed"]):
            left -= len(part)
            if left < 0:
                raise ImageTooLargeError("the answer is too long", reason="too-many-frames")
            yield part

    return work


def _looks(
    data: bytes, algorithms: tuple[str, ...], policy: MatchPolicy, keypoints: bool, *, listed: bool = False
) -> Iterator[bytes]:
    for look in iter_looks(data, algorithms, policy, keypoints=keypoints, listed=listed):
        yield b"".join(pack_look(look))


def _warm_up(policy: MatchPolicy) -> None:
    """Do once all that this policy can ask for, on a picture with a border, content and transparency."""
    rng = np.random.default_rng(1)
    small = rng.integers(0, 256, (_WARM_SIZE[0] // 8, _WARM_SIZE[1] // 8, 3), dtype=np.uint8)
    pixels = np.pad(np.kron(small, np.ones((8, 8, 1), np.uint8)), ((24, 24), (0, 0), (0, 0)))
    names = tuple(rule.algorithm for rule in policy.searches if rule.algorithm in PICTURE_HASHERS)
    for data in (png(pixels), next(tiny_files(policy.decode.allowed), b"")):
        for _ in _forgiven(_looks(data, names, policy, policy.keypoints is not None)):
            pass
    for _ in _forgiven(_looks(png(pixels), (), policy, False)):
        pass


def _forgiven(parts: Iterator[bytes]) -> Iterator[bytes]:
    """Go on to the end or to the first error: PNG need not be among the formats."""
    try:
        yield from parts
    except ValueError:
        return
