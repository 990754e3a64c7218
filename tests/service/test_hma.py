"""The routes of Hasher-Matcher-Actioner: golden answers, clients, and that nothing looks clean that is not."""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import signal
from collections.abc import Awaitable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from threatexchange.signal_type.pdq.pdq_utils import simple_distance

from hashmatch import HashValue, ReferenceList, fingerprint, hash_image
from hashmatch.errors import PolicyError
from hashmatch.picture.encode import jpeg, png
from hashmatch.profiles import FAST, STANDARD, THOROUGH
from hashmatch.service import hma
from hashmatch.service.app import served
from hashmatch.service.config import LimitSettings, ListSettings, ServerSettings, ServiceConfig, config_from_toml
from hashmatch.service.hma import EVIDENCE, KEYPOINTS, PATHS, bank_content_id, banks_of, routes
from hashmatch.service.service import Service
from support.service_makers import KNOWN, LISTED, STRANGER, UNKNOWN, ask, process

GOLDEN = Path(__file__).parent.parent / "golden/hma"
CASES = [
    pytest.param(case, id=f"{path.stem}: {case['case']}")
    for path in sorted(GOLDEN.glob("*.json"))
    for case in json.loads(path.read_text(encoding="ascii"))
]
ONE = "0f1e2d3c4b5a69788796a5b4c3d2e1f0" * 2
TWO = "ff" + ONE[2:]
CONFIG = ServiceConfig(server=ServerSettings(hma=True), limits=LimitSettings(body_bytes=200_000))
UPLOADS = {
    "known": png(LISTED),
    "other": png(STRANGER),
    "plain": png(np.full((64, 64, 3), 200, np.uint8)),
    "junk": b"this is no picture",
    "cut": png(LISTED)[:800],
    "empty": b"",
    "large": bytes(300_000),
}


@pytest.fixture
def banks(tmp_path: Path) -> tuple[Path, Path]:
    """Make the lists of the golden files."""
    first, second = tmp_path / "first.hashmatch", tmp_path / "second.hashmatch"
    with ReferenceList.create(first, name="bank-a") as ref:
        ref.add("one", hashes=[HashValue.parse(ONE, algorithm="pdq")])
        ref.add("two", hashes=[HashValue.parse(TWO, algorithm="pdq")])
    with ReferenceList.create(second, name="Bank b") as ref:
        ref.add("three", hashes=[HashValue.parse(ONE, algorithm="pdq")])
        ref.add("photo", fingerprint=fingerprint(LISTED, ("pdq",)))
    for path in (first, second):
        os.utime(path, (1764500000, 1764500000))
    return first, second


async def sent(client: httpx.AsyncClient, request: dict[str, Any]) -> httpx.Response:
    """Send the request of a golden case."""
    more: dict[str, Any] = {"params": request["query"]}
    if request.get("files"):
        more["files"] = [(field, ("a.png", UPLOADS[name])) for field, name in request["files"]]
    if "json" in request:
        more["json"] = request["json"]
    if "body" in request:
        more |= {"content": request["body"].encode(), "headers": {"content-type": request["type"]}}
    return await client.request(request["method"], request["path"], **more)


@pytest.mark.parametrize("case", CASES)
def test_golden(case: dict[str, Any], banks: tuple[Path, Path]) -> None:
    """Status, body and what the answer is worth; errors have the form that clients read."""
    response = ask(*banks, what=lambda client: sent(client, case["request"]), config=CONFIG)
    wanted = case["answer"]
    assert response.status_code == wanted["status"], response.text
    if "text" in wanted:
        assert response.text == wanted["text"]
    else:
        words = {"HASH": hash_image(LISTED).hex(), "OTHER": hash_image(STRANGER).hex()}
        told = {
            name: words.get(value, value) if isinstance(value, str) else value for name, value in wanted["json"].items()
        } if isinstance(wanted["json"], dict) else wanted["json"]  # fmt: skip
        assert response.json() == told
    assert response.headers.get("x-hashmatch-outcome") == wanted.get("outcome")


def test_every_route_has_a_golden_case_and_a_part_in_the_document(banks: tuple[Path, Path]) -> None:
    """What is served is what is documented and tried."""

    def check(service: Service) -> None:
        made = {(item.path, method) for item in routes(service) for method in (item.methods or set()) - {"HEAD"}}
        assert made == {(path, method.upper()) for path, item in PATHS.items() for method in item}
        tried = {(case.values[0]["request"]["path"], case.values[0]["request"]["method"]) for case in CASES}
        assert made == tried
        assert hma in served(service)

    ask(*banks, what=lambda client: client.get("/status"), config=CONFIG, prepare=check)


def test_they_are_off_unless_asked_for(banks: tuple[Path, Path]) -> None:
    """Nobody who does not know of them opens this door."""

    def check(service: Service) -> None:
        assert hma not in served(service)

    async def get(client: httpx.AsyncClient) -> set[int]:
        return {(await client.get(path)).status_code for path in PATHS}

    assert ask(*banks, what=get, prepare=check) == {404}
    with pytest.raises(PolicyError, match="goes with hma"):
        ServerSettings(hma_without_token=True)


@pytest.mark.parametrize(
    ("settings", "scopes", "status"),
    [
        (ServerSettings(hma=True), None, 401),
        (ServerSettings(hma=True), "status", 403),
        (ServerSettings(hma=True), "match", 200),
        (ServerSettings(hma=True, hma_without_token=True), None, 200),
    ],
)
def test_a_token_is_needed_unless_the_configuration_says_otherwise(
    banks: tuple[Path, Path], settings: ServerSettings, scopes: str | None, status: int
) -> None:
    """Their clients send none; then it is for the operator to say who reaches the port. The other routes stay shut."""
    token = "0123456789abcdef"  # noqa: S105 - made up
    headers = {} if scopes is None else {"authorization": f"Bearer {token}"}

    async def get(client: httpx.AsyncClient) -> list[int]:
        asked = {"signal": ONE, "signal_type": "pdq"}
        return [
            (await client.get("/m/lookup", params=asked, headers=headers)).status_code,
            (await client.get("/status")).status_code,
            (await client.post("/v1/match/hashes", json={"hashes": [f"pdq:{ONE}"]})).status_code,
        ]

    config = replace(CONFIG, server=settings)
    assert ask(*banks, what=get, config=config, tokens=f"portal {scopes or 'admin'} {token}") == [status, 200, 401]


def made_up(n: int) -> list[str]:
    """Made-up hashes, many of them near each other."""
    rng = np.random.default_rng(5)
    codes = rng.integers(0, 256, (n, 32), np.uint8)
    for row in range(0, n - 1, 3):
        codes[row + 1] = codes[row]
        for bit in rng.choice(256, rng.integers(0, 45), replace=False):
            codes[row + 1, bit // 8] ^= 1 << (bit % 8)
    codes[200:500] = codes[0]  # more than a report holds otherwise
    return [code.tobytes().hex() for code in codes]


def test_pdq_answers_are_those_of_a_comparison_with_all(tmp_path: Path) -> None:
    """10,000 entries: each within 31 bits by the comparison of threatexchange, its distance, and no other."""
    hashes = made_up(10_000)
    with ReferenceList.create(tmp_path / "list", name="example") as ref, ref.transaction():
        for number, value in enumerate(hashes):
            ref.add(f"e{number}", hashes=[HashValue.parse(value, algorithm="pdq")])
    asked = [hashes[0], hashes[1], hashes[3_001], hashes[-1], "5" * 64]

    async def get(client: httpx.AsyncClient) -> list[tuple[Any, Any]]:
        found = []
        for text in asked:
            words = {"signal": text, "signal_type": "pdq", "include_distance": "1"}
            raw, by_bank = [await client.get(path, params=words) for path in ("/m/raw_lookup", "/m/lookup")]
            found.append((raw.json()["matches"], by_bank.json()))
        return found

    for text, (raw, by_bank) in zip(asked, ask(tmp_path / "list", what=get, config=CONFIG), strict=True):
        far = [(simple_distance(text, value), number) for number, value in enumerate(hashes)]
        wanted = {bank_content_id("example", f"e{number}"): str(bits) for bits, number in far if bits <= 31}
        assert {item["bank_content_id"]: item["distance"] for item in raw} == wanted
        assert len(raw) == len(wanted)
        assert by_bank == ({"EXAMPLE": raw} if wanted else {})


def test_more_matches_than_an_answer_holds_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer is a match all the same, and a header says how many there are."""
    monkeypatch.setattr("hashmatch.service.config.HMA_MATCHES", 3)
    value = HashValue.parse(ONE, algorithm="pdq")
    with ReferenceList.create(tmp_path / "list", name="example") as ref:
        for number in range(5):
            ref.add(f"e{number}", hashes=[value])
    config = replace(CONFIG, policy=replace(STANDARD, max_matches=2))
    asked = {"signal": ONE, "signal_type": "pdq"}
    response = ask(tmp_path / "list", what=lambda client: client.get("/m/lookup", params=asked), config=config)
    assert (len(response.json()["EXAMPLE"]), response.headers["x-hashmatch-matches"]) == (3, "5")


def test_shares_are_drawn_as_the_original_draws_them(banks: tuple[Path, Path]) -> None:
    """The same seed, the same banks; those left out are named; ``bypass_coinflip`` and raw look-ups ask all."""
    tables = {
        "bank-a": ListSettings(path=str(banks[0]), share=0.5),
        "Bank b": ListSettings(path=str(banks[1]), share=0.0),
    }
    config = replace(CONFIG, lists=tables)
    seeds = [str(number) for number in range(12)]

    async def get(client: httpx.AsyncClient) -> list[Any]:
        words = {"signal": ONE, "signal_type": "pdq"}
        found = [await client.get("/m/lookup", params=words | {"seed": seed}) for seed in seeds]
        every = await client.get("/m/lookup", params=words | {"bypass_coinflip": "true"})
        files = {"photo": ("a.png", UPLOADS["known"])}
        upload = await client.post("/m/lookup", params={"bypass_coinflip": "true"}, files=files)
        without = await client.post("/m/lookup", files=files)
        shares = (await client.get("/c/banks")).json()
        return [found, every, upload, without, (await client.get("/m/raw_lookup", params=words)).json(), shares]

    found, every, upload, without, raw, shares = ask(*banks, what=get, config=config)
    for seed, response in zip(seeds, found, strict=True):
        drawn = ["BANK_A"] if random.Random(seed).random() <= 0.5 else []
        assert list(response.json()) == drawn
        assert response.headers["x-hashmatch-left-out"] == ("BANK_B" if drawn else "BANK_A,BANK_B")
        assert response.headers["x-hashmatch-outcome"] == ("match" if drawn else "nothing-to-compare")
    assert {len(response.json()) for response in found} == {0, 1}
    assert list(every.json()) == ["BANK_A", "BANK_B"]
    assert "x-hashmatch-left-out" not in every.headers
    assert list(upload.json()["pdq"]) == ["BANK_B"]
    assert without.json() == {"pdq": {}}
    assert "BANK_B" in without.headers["x-hashmatch-left-out"]
    assert len(raw["matches"]) == 3
    assert [item["matching_enabled_ratio"] for item in shares] == [0.5, 0.0]


def test_numbers_of_entries_outlive_the_file(banks: tuple[Path, Path], tmp_path: Path) -> None:
    """After more entries, a withdrawal, a compaction, and in a list that was exported and imported anew."""

    def numbers(path: Path) -> dict[str, int]:
        asked = {"signal": ONE, "signal_type": "pdq", "include_distance": "true"}
        found = ask(path, what=lambda client: client.get("/m/raw_lookup", params=asked), config=CONFIG).json()
        return {item["distance"]: item["bank_content_id"] for item in found["matches"]}

    before = numbers(banks[0])
    assert before == {"0": bank_content_id("bank-a", "one"), "4": bank_content_id("bank-a", "two")}
    with ReferenceList.open(banks[0], writable=True) as ref:
        ref.withdraw("one")
        ref.add("zero", hashes=[HashValue.parse("5" * 64, algorithm="pdq")])
        ref.add("one", hashes=[HashValue.parse(ONE, algorithm="pdq")])
    assert numbers(banks[0]) == before
    anew = tmp_path / "anew"
    with ReferenceList.open(banks[0]) as ref, ReferenceList.create(anew, name="bank-a") as other:
        for entry in reversed(list(ref)):
            other.add(entry.entry_id, hashes=entry.hashes)
    assert numbers(anew) == before
    assert bank_content_id("Bank b", "one") != bank_content_id("bank-a", "one")
    assert all(0 <= number < 2**53 for number in before.values())


@pytest.mark.parametrize(
    ("names", "banks"),
    [
        (["ncmec", "IWF 2026/11"], ["NCMEC", "IWF_2026_11"]),
        (["a-b", "a_b", "A B"], ["A_B", "A_B_[0-9A-F]{6}", "A_B_[0-9A-F]{6}"]),
        (["straße", "日本"], ["STRASSE", "__"]),
        (["same", "same"], ["SAME", "SAME_[0-9A-F]{6}"]),
    ],
)
def test_bank_names(names: list[str], banks: list[str]) -> None:
    """Of their alphabet, each once; a list more changes no name of those before it."""
    lists = [(name, f"id-{number}", 1.0) for number, name in enumerate(names)]
    found = [bank.name for bank in banks_of(lists)]
    assert all(re.fullmatch(wanted, name) for name, wanted in zip(found, banks, strict=True))
    assert len(set(found)) == len(found)
    assert [bank.name for bank in banks_of(lists[:1])] == found[:1]


def test_other_kinds_of_hashes_have_types_of_their_own(tmp_path: Path) -> None:
    """Digests, keypoint records, and what evidence decided; PDQ's key holds what PDQ's distance decided."""
    with ReferenceList.create(tmp_path / "list", name="example") as ref:
        ref.add("both", fingerprint=fingerprint(KNOWN, ("md5", "pdq", "keypoint")))
    part, less = jpeg(LISTED[30:, 40:], quality=92), jpeg(LISTED[:, 16:], quality=92)
    config = replace(CONFIG, policy=THOROUGH)
    record = hash_image(LISTED, "keypoint").hex()

    async def get(client: httpx.AsyncClient) -> list[Any]:
        files = {"photo": ("a.jpg", KNOWN)}
        whole = (await client.post("/m/lookup", files=files)).json()
        cut, cropped = [
            (await client.post("/m/lookup", files={"photo": ("a.jpg", data)})).json() for data in (part, less)
        ]
        only = (await client.post("/m/lookup?types=pdq", files={"photo": ("a.jpg", part)})).json()
        hashed = (await client.post("/h/hash", files={"photo": ("a.png", UPLOADS["known"])})).json()
        words = {"signal": record, "signal_type": KEYPOINTS}
        found = (await client.get("/m/lookup", params=words)).json()
        refused = await client.post("/m/compare", json={KEYPOINTS: [record, record]})
        return [whole, cut, cropped, only, hashed, found, refused, (await client.get("/c/signal_type")).json()]

    whole, cut, cropped, only, hashed, found, refused, types = ask(tmp_path / "list", what=get, config=config)
    number = bank_content_id("example", "both")
    assert whole["md5"] == {"EXAMPLE": [{"bank_content_id": number, "distance": "-"}]}
    assert whole["pdq"] == {"EXAMPLE": [{"bank_content_id": number, "distance": "0"}]}
    assert [item["bank_content_id"] for item in cut[KEYPOINTS]["EXAMPLE"]] == [number]
    assert float(cut[KEYPOINTS]["EXAMPLE"][0]["distance"]) <= -6
    assert cut["md5"] == {}
    assert [item["bank_content_id"] for item in cropped[EVIDENCE]["EXAMPLE"]] == [number]
    assert list(only) == ["pdq"]
    assert set(hashed) == {"pdq", "md5", KEYPOINTS}
    assert hashed["pdq"] == hash_image(LISTED).hex()
    assert hashed[KEYPOINTS] == record
    assert float(found["EXAMPLE"][0]["distance"]) <= -8
    assert refused.json() == {"message": f"{KEYPOINTS} does not support hash comparison"}
    assert [item["name"] for item in types] == ["pdq", "md5", KEYPOINTS]


def test_a_hash_is_made_also_where_a_digest_is_listed(tmp_path: Path) -> None:
    """A policy that stops at a digest says nothing of the other hashes; those are told all the same."""
    with ReferenceList.create(tmp_path / "list", name="example") as ref:
        ref.add("digest", fingerprint=fingerprint(UPLOADS["known"], ("md5",)))
    files = {"photo": ("a.png", UPLOADS["known"])}
    config = replace(CONFIG, policy=FAST)
    response = ask(tmp_path / "list", what=lambda client: client.post("/h/hash", files=files), config=config)
    assert response.json() == {"pdq": hash_image(LISTED).hex(), "md5": hash_image(UPLOADS["known"], "md5").hex()}
    assert "x-hashmatch-outcome" not in response.headers


@pytest.mark.skipif(os.name != "posix", reason="worker processes are tested on POSIX")
def test_a_process_of_its_own_serves_them(tmp_path: Path) -> None:
    """Over a socket, by the option, with pictures decoded in workers that are shut in as far as they can be here."""
    with ReferenceList.create(tmp_path / "list", name="example") as ref:
        ref.add("both", fingerprint=fingerprint(LISTED, ("pdq", "keypoint")))
    settings = 'policy = "thorough"\n[decoding]\nworkers = 1\nrequire = "none"\n[limits]\nbody_bytes = 200_000\n'
    (tmp_path / "serve.toml").write_text(settings, encoding="ascii")
    words = ("--hma", "--list", str(tmp_path / "list"), "--config", str(tmp_path / "serve.toml"))
    with process(*words) as running, httpx.Client(base_url=running.url, timeout=60) as client:
        uploads = {name: {"photo": ("a.png", data)} for name, data in UPLOADS.items()}
        hashed = client.post("/h/hash", files=uploads["known"]).json()
        assert hashed == {"pdq": hash_image(LISTED).hex(), KEYPOINTS: hash_image(LISTED, "keypoint").hex()}
        words_of = {"signal": hashed["pdq"], "signal_type": "pdq"}
        found = [{"bank_content_id": bank_content_id("example", "both"), "distance": "0"}]
        assert client.get("/m/lookup", params=words_of).json() == {"EXAMPLE": found}
        assert client.post("/m/lookup", files=uploads["known"]).json()["pdq"] == {"EXAMPLE": found}
        large = client.post("/m/lookup", files=uploads["large"])
        assert (large.status_code, large.json()) == (413, {"message": "Content too large"})
        plain = client.post("/m/lookup", files=uploads["plain"])
        assert (plain.status_code, plain.headers["x-hashmatch-outcome"]) == (200, "too-plain")
        assert running.end(signal.SIGTERM) == 0
    assert not any(hashed["pdq"] in line for line in running.lines)


def test_service_faults_are_no_clean_answers(banks: tuple[Path, Path]) -> None:
    """Without a decoder, and with a list that cannot be read, the answer is an error, which is retried."""

    async def get(client: httpx.AsyncClient) -> list[httpx.Response]:
        return [
            await client.post("/m/lookup", files={"photo": ("a.png", UPLOADS["other"])}),
            await client.get("/m/lookup", params={"signal": "5" * 64, "signal_type": "pdq"}),
        ]

    def shut(service: Service) -> None:
        service.matcher.close()

    for response in ask(*banks, what=get, config=CONFIG, prepare=shut):
        assert (response.status_code, response.json()) == (503, {"message": "index not yet ready"})


def test_an_empty_or_old_list_is_not_ready(tmp_path: Path, banks: tuple[Path, Path]) -> None:
    """As the word says, so that a balancer sends no picture; it lives all the same."""
    with ReferenceList.create(tmp_path / "empty", name="empty"):
        pass
    tables = {"bank-a": ListSettings(path=str(banks[0]), max_age=60)}

    async def get(client: httpx.AsyncClient) -> list[tuple[int, str]]:
        found = [await client.get("/status"), await client.get("/status/live")]
        return [(item.status_code, item.text) for item in found]

    live = (200, "I-AM-ALIVE")
    assert ask(tmp_path / "empty", what=get, config=CONFIG) == [(503, "INDEX-NOT-LOADED"), live]
    assert ask(banks[0], what=get, config=replace(CONFIG, lists=tables)) == [(503, "INDEX-STALE"), live]


def test_no_hash_and_no_file_name_is_repeated(banks: tuple[Path, Path], caplog: pytest.LogCaptureFixture) -> None:
    """In no error and no log, whatever parameter it is sent in."""
    caplog.set_level("DEBUG")

    async def get(client: httpx.AsyncClient) -> str:
        texts = []
        for words in (
            {"signal": ONE, "signal_type": ONE},
            {"signal": ONE + "0", "signal_type": "pdq"},
            {"signal": ONE, "signal_type": "pdq", "include_distance": ONE},
            {"signal": ONE, "signal_type": "pdq", "banks": ONE},
        ):
            texts += [(await client.get(path, params=words)).text for path in ("/m/lookup", "/m/raw_lookup")]
        texts.append((await client.get("/m/index/status", params={"signal_type": ONE})).text)
        texts.append((await client.post("/m/compare", json={ONE: [ONE, ONE]})).text)
        files = {ONE: ("secret name.png", UPLOADS["junk"])}
        texts += [(await client.post(f"/m/lookup?types={ONE}", files=files)).text for _ in range(2)]
        return "".join(texts)

    told = ask(*banks, what=get, config=CONFIG)
    ours = "".join(record.getMessage() for record in caplog.records if record.name.startswith("hashmatch"))
    assert not any(word in text for text in (told, ours) for word in (ONE, "secret"))


class Coop:
    """A client that does what those of Coop and FetLife do: hash, then look up, then compare with what it knows."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def good(self, request: Awaitable[httpx.Response]) -> Any:
        """Take JSON of an answer; these clients throw where the status is no success."""
        response = await request
        if not response.is_success:
            raise ValueError(response.json()["message"])
        return response.json()

    async def matched_banks(self, data: bytes, banks: list[str]) -> list[str]:
        """Hash an upload, look each hash up, and name the banks that are of interest."""
        hashes = await self.good(self.client.post("/h/hash", files={"photo": ("upload.jpg", data)}))
        found = set()
        for signal_type, text in hashes.items():
            if text:
                words = {"signal_type": signal_type, "signal": text}
                by_bank = await self.good(self.client.get("/m/lookup", params=words))
                found |= {bank for bank in banks if by_bank.get(bank)}
        return sorted(found)

    async def matches(self, data: bytes) -> dict[str, list[tuple[str, int, int]]]:
        """Look an upload up in one call, by type; distances are numbers for whom they are compared."""
        found = await self.good(self.client.post("/m/lookup", files={"photo": ("upload.jpg", data)}))
        return {
            name: [
                (bank, int(item["bank_content_id"]), int(item["distance"]))
                for bank, items in by_bank.items()
                for item in items
            ]
            for name, by_bank in found.items()
        }


def test_clients_work(banks: tuple[Path, Path]) -> None:
    """The whole of what they do, for a listed, an unknown, a plain and a broken upload."""

    async def run(client: httpx.AsyncClient) -> list[Any]:
        coop = Coop(client)
        assert (await client.get("/status")).text == "I-AM-ALIVE"
        names = [item["name"] for item in (await client.get("/c/banks")).json()]
        found: list[Any] = [await coop.matched_banks(data, names) for data in (KNOWN, UNKNOWN, UPLOADS["plain"])]
        found += [await coop.matches(data) for data in (KNOWN, UNKNOWN, UPLOADS["plain"])]
        with pytest.raises(ValueError, match="cannot be read"):
            await coop.matches(UPLOADS["cut"])
        with pytest.raises(ValueError, match="cannot be read"):
            await coop.matched_banks(UPLOADS["cut"], names)
        return found

    found = ask(*banks, what=run, config=CONFIG)
    assert found[:3] == [["BANK_B"], [], []]
    ((bank, number, far),) = found[3]["pdq"]
    assert (bank, number, far <= 31) == ("BANK_B", bank_content_id("Bank b", "photo"), True)
    assert found[4:] == [{"pdq": []}, {"pdq": []}]


def test_they_are_switched_on_in_the_file() -> None:
    """The only place that says that no token is asked for."""
    config = config_from_toml("[server]\nhma = true\nhma_without_token = true\n")
    assert config.server.hma
    assert config.server.hma_without_token
    assert config.searched.max_matches == 10_000
    assert ServiceConfig().searched.max_matches == STANDARD.max_matches


def test_answers_stay_right_while_a_list_changes(banks: tuple[Path, Path]) -> None:
    """An entry more is found by the next look-up after a reload, and the others keep their numbers."""
    words = {"signal": ONE, "signal_type": "pdq"}

    async def run(client: httpx.AsyncClient) -> list[list[int]]:
        found = []
        for number in range(5):
            found.append((await client.get("/m/raw_lookup", params=words)).json()["matches"])
            with ReferenceList.open(banks[0], writable=True) as ref:
                ref.add(f"more-{number}", hashes=[HashValue.parse(ONE, algorithm="pdq")])
            await asyncio.gather(client.post("/v1/reload"), client.get("/m/lookup", params=words))
        return found

    found = ask(*banks, what=run, config=CONFIG)
    assert [len(item) for item in found] == [3, 4, 5, 6, 7]
    assert all(set(first) < set(second) for first, second in pairwise(found))
