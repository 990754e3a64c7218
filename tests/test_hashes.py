"""Laws of the values: text and byte forms, order, equality, distance, secrecy."""

from __future__ import annotations

import copy
import math
import struct
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashmatch.algorithms import ALGORITHMS, Metric, algorithm_named
from hashmatch.errors import AlgorithmMismatchError, HashFormatError
from hashmatch.hashes import Fingerprint, HashValue, ViewHash, distance
from hashmatch.view import Background, Margins, Rendering, Shrink, Turn, View

HAMMING = sorted(name for name, a in ALGORITHMS.items() if a.metric is Metric.HAMMING)


@st.composite
def hash_values(draw: st.DrawFn, algorithm: str | None = None) -> HashValue:
    """Any hash of any algorithm, long enough for its digits not to stand in a message by chance."""
    name = draw(st.sampled_from(sorted(ALGORITHMS))) if algorithm is None else algorithm
    least, most = ALGORITHMS[name].n_bytes or 12, ALGORITHMS[name].n_bytes or 64
    return HashValue(name, draw(st.binary(min_size=least, max_size=most)))


margins = st.builds(Margins.of, st.tuples(*[st.integers(-20, 400)] * 4))
plain_views = st.builds(
    View,
    frame=st.integers(0, 2**32 - 1),
    background=st.sampled_from(Background),
    turn=st.sampled_from(Turn),
)
framed_views = st.builds(
    View,
    frame=st.integers(0, 2**32 - 1),
    trim=margins,
    turn=st.sampled_from(Turn),
    tilt=st.integers(-4500, 4500).map(lambda hundredths: hundredths / 100),
    cut=margins,
    shrink=st.sampled_from(Shrink),
)
views = (
    plain_views
    | framed_views
    | st.builds(replace, framed_views, rendering=st.sampled_from(Rendering), negative=st.booleans())
)
view_hashes = st.builds(ViewHash, value=hash_values(), quality=st.none() | st.integers(0, 100), view=views)


@given(hash_values())
def test_text_form_round_trips(value: HashValue) -> None:
    """Parsing the text form gives the same hash, in any case, with and without the algorithm."""
    assert HashValue.parse(str(value)) == value
    assert HashValue.parse(f"  {str(value).upper()}\n") == value
    assert HashValue.parse(value.hex().upper(), algorithm=value.algorithm) == value
    assert HashValue.parse(str(value), algorithm=value.algorithm) == value


@given(hash_values())
def test_byte_form_round_trips(value: HashValue) -> None:
    """Reading the byte form gives the same hash, and the form starts with its version."""
    data = value.to_bytes()
    assert data[0] == 1
    assert HashValue.from_bytes(data) == value


@given(hash_values(), st.data())
def test_byte_form_never_reads_other_bytes(value: HashValue, data: st.DataObject) -> None:
    """A cut, extended or re-versioned byte form is refused with the typed error."""
    form = value.to_bytes()
    cut = data.draw(st.integers(0, len(form) - 1))
    for bad in (form[:cut], form + b"\0", bytes([2]) + form[1:], b"\x01\x02\xff\xff"):
        with pytest.raises(HashFormatError):
            HashValue.from_bytes(bad)


def test_bit_order_is_that_of_the_published_hex() -> None:
    """The first hexadecimal digit holds the first four bits, most significant first."""
    value = HashValue.parse("pdq:8" + "0" * 63)
    assert value.data == b"\x80" + bytes(31)
    assert value.n_bits == 256
    assert distance(value, HashValue("pdq", bytes(32))) == 1


@pytest.mark.parametrize(
    ("text", "algorithm", "says"),
    [
        ("pdq:" + "0" * 63, None, "64 hexadecimal digits, not 63"),
        ("pdq:" + "0" * 63 + "g", None, "character 64"),
        ("0" * 64, None, "no algorithm is given"),
        ("phash:" + "0" * 64, None, "'phash-256'"),
        ("md4:" + "0" * 32, None, "choose one of"),
        ("pdq:" + "0" * 64, "sha256", "not a sha256 hash"),
        ("", "pdq", "not 0"),
        ("pdq:" + "\u0966" * 64, None, "character 1"),
        ("pdq:" + "0" * 62 + " 0", None, "character 63"),
    ],
)
def test_wrong_text_is_refused_with_a_reason(text: str, algorithm: str | None, says: str) -> None:
    """Each kind of wrong text gives the typed error that says what is wrong."""
    with pytest.raises(HashFormatError, match=says):
        HashValue.parse(text, algorithm=algorithm)


@pytest.mark.parametrize("bad", [None, 7, b"pdq:00"])
def test_parse_takes_text_only(bad: object) -> None:
    """Something that is not text gives the typed error."""
    with pytest.raises(HashFormatError):
        HashValue.parse(bad)  # type: ignore[arg-type]


def test_values_of_own_hashers_are_as_any() -> None:
    """Made unchecked, they equal those that are checked, and nothing else can be told of them."""
    value = HashValue.of_own("pdq", bytes(range(32)))
    checked = HashValue("pdq", bytes(range(32)))
    assert value == checked
    assert hash(value) == hash(checked)
    assert str(value) == str(checked)


def test_wrong_data_is_refused() -> None:
    """A hash cannot be made with another length or type of data, or of an unknown algorithm."""
    with pytest.raises(HashFormatError, match="32 bytes, not 31"):
        HashValue("pdq", bytes(31))
    with pytest.raises(HashFormatError, match="not str"):
        HashValue("pdq", "0" * 32)  # type: ignore[arg-type]
    with pytest.raises(HashFormatError, match="choose one of"):
        HashValue("x" * 5000 + "!", bytes(32))


def test_algorithm_name_is_normalised() -> None:
    """Upper case names mean the same algorithm, so equality holds."""
    assert HashValue("PDQ", bytes(32)) == HashValue("pdq", bytes(32))
    assert algorithm_named("SHA256").n_bytes == 32


@given(hash_values(), hash_values())
def test_equality_and_order_are_exact(a: HashValue, b: HashValue) -> None:
    """Two hashes are equal exactly when algorithm and bits are, and order follows both."""
    assert (a == b) == ((a.algorithm, a.data) == (b.algorithm, b.data))
    assert (a < b) == ((a.algorithm, a.data) < (b.algorithm, b.data))
    assert a != str(a)


@given(st.sampled_from(HAMMING), st.data())
def test_hamming_distance_counts_flipped_bits(name: str, data: st.DataObject) -> None:
    """Flipping k distinct bits moves a hash by exactly k."""
    value = data.draw(hash_values(name))
    flips = data.draw(st.sets(st.integers(0, value.n_bits - 1), max_size=value.n_bits))
    moved = int.from_bytes(value.data)
    for bit in flips:
        moved ^= 1 << bit
    other = HashValue(name, moved.to_bytes(len(value.data)))
    assert distance(value, other) == distance(other, value) == len(flips)


@given(hash_values("photodna"), hash_values("photodna"), hash_values("photodna"))
def test_photodna_distance_is_a_metric(a: HashValue, b: HashValue, c: HashValue) -> None:
    """The rounded-up Euclidean distance equals its definition and keeps the triangle inequality."""
    squared = sum((x - y) ** 2 for x, y in zip(a.data, b.data, strict=True))
    found = distance(a, b)
    assert found == math.isqrt(squared - 1) + 1 if squared else found == 0
    assert distance(a, c) <= found + distance(b, c)
    assert found <= ALGORITHMS["photodna"].max_distance


def test_photodna_radius_is_a_squared_radius() -> None:
    """A distance is at most r exactly when the squared distance is at most r squared."""
    base = HashValue("photodna", bytes(144))
    for last, expected in ((0, 200), (1, 201)):
        other = HashValue("photodna", bytes([200, last]) + bytes(142))
        assert distance(base, other) == expected


@given(st.data())
def test_digest_distance_is_discrete(data: st.DataObject) -> None:
    """Digests are equal or not: 0 or 1."""
    name = data.draw(st.sampled_from(["md5", "sha1", "sha256"]))
    a, b = data.draw(hash_values(name)), data.draw(hash_values(name))
    assert distance(a, b) == int(a != b)
    assert ALGORITHMS[name].max_distance == 1


def test_other_algorithms_do_not_compare() -> None:
    """Hashes of two algorithms have no distance, even when equally long."""
    with pytest.raises(AlgorithmMismatchError, match="sha256"):
        distance(HashValue("pdq", bytes(32)), HashValue("sha256", bytes(32)))


@given(hash_values())
def test_repr_shows_no_bits(value: HashValue) -> None:
    """The representation names algorithm and length only."""
    assert repr(value) == f"<HashValue {value.algorithm}, {value.n_bits} bits>"
    assert value.hex() not in repr(Fingerprint((ViewHash(value=value),)))


@given(hash_values(), st.integers(0, 10))
def test_errors_show_no_bits(value: HashValue, cut: int) -> None:
    """No error about a spoilt hash repeats its digits."""
    digits = value.hex()
    spoilt = [f"{value.algorithm}:{digits}0", f"{value.algorithm}:{digits[:-1]}x", f"{digits}:{digits}"]
    for text in spoilt:
        with pytest.raises(HashFormatError) as caught:
            HashValue.parse(text)
        assert digits[cut : cut + 12] not in str(caught.value)


@given(st.lists(view_hashes, max_size=12))
def test_fingerprint_round_trips(items: list[ViewHash]) -> None:
    """The byte form of a fingerprint gives back every view, hash and quality."""
    whole = Fingerprint(tuple(items))
    assert Fingerprint.from_bytes(whole.to_bytes()) == whole


@given(st.lists(view_hashes, min_size=1, max_size=3), st.data())
def test_spoilt_fingerprint_is_refused_or_another(items: list[ViewHash], data: st.DataObject) -> None:
    """Cutting or extending a fingerprint is refused; a changed byte never gives an untyped error."""
    form = Fingerprint(tuple(items)).to_bytes()
    for bad in (form[: data.draw(st.integers(0, len(form) - 1))], form + b"\0"):
        with pytest.raises(HashFormatError):
            Fingerprint.from_bytes(bad)
    at = data.draw(st.integers(0, len(form) - 1))
    changed = form[:at] + bytes([form[at] ^ data.draw(st.integers(1, 255))]) + form[at + 1 :]
    try:
        read = Fingerprint.from_bytes(changed)
    except HashFormatError:
        return
    assert read.to_bytes() == changed


@given(st.lists(st.builds(ViewHash, value=hash_values(), view=plain_views), max_size=3))
def test_plain_fingerprints_keep_the_first_form(items: list[ViewHash]) -> None:
    """What form 1 can say is written in form 1, so that older software reads it, and form 2 of it is refused."""
    form = Fingerprint(tuple(items)).to_bytes()
    assert form[:4] == b"HMF\x01"
    for later in (b"HMF\x02", b"HMF\x03", b"HMF\x04"):
        with pytest.raises(HashFormatError):
            Fingerprint.from_bytes(later + form[4:])


def test_the_lowest_form_that_says_all_is_written() -> None:
    """A shrunk view needs form 2, colours as shown or a negative form 4; a form 4 that nothing needs is refused."""
    value = HashValue("md5", bytes(16))
    for view, form in (
        (View(shrink=Shrink.SQUASH_512), 2),
        (View(rendering=Rendering.SHOWN), 4),
        (View(negative=True), 4),
    ):
        found = Fingerprint((ViewHash(value=value), ViewHash(value=value, view=view)))
        assert found.to_bytes()[:4] == b"HMF" + bytes((form,))
        assert Fingerprint.from_bytes(found.to_bytes()) == found
    spoilt = bytearray(found.to_bytes())
    at = spoilt.rindex(b"\x01" + struct.pack("<H", len(value.to_bytes())))
    spoilt[at] = 0
    with pytest.raises(HashFormatError, match="none of its views needs it"):
        Fingerprint.from_bytes(bytes(spoilt))
    spoilt[at] = 2
    with pytest.raises(HashFormatError, match="unknown view"):
        Fingerprint.from_bytes(bytes(spoilt))


def test_keypoint_records_have_any_length_and_no_distance() -> None:
    """A record has 1 to 4096 bytes, its byte form knows how many, and two are never compared by a distance."""
    value = HashValue("keypoint", b"\x01" * 300)
    assert value.n_bits == 2400
    for length in (0, 4097):
        with pytest.raises(HashFormatError, match="1 to 4096 bytes"):
            HashValue("keypoint", bytes(length))
    with pytest.raises(HashFormatError, match="2 to 8192 hexadecimal digits"):
        HashValue.parse("keypoint:abc")
    with pytest.raises(AlgorithmMismatchError, match="no distance"):
        distance(value, value)


def test_fingerprint_claiming_many_views_is_refused_at_once() -> None:
    """A count that the bytes cannot hold is refused without allocating for it."""
    with pytest.raises(HashFormatError, match="cut short"):
        Fingerprint.from_bytes(b"HMF\x01" + struct.pack("<I", 2**32 - 1))


def test_fingerprint_summaries() -> None:
    """`hashes` keeps order and drops repeats; `quality` is the first that is known."""
    a, b = HashValue("md5", bytes(16)), HashValue("pdq", bytes(32))
    turned = View(turn=Turn.MIRROR)
    whole = Fingerprint((ViewHash(value=a), ViewHash(value=b, quality=70), ViewHash(value=b, quality=60, view=turned)))
    assert whole.hashes == (a, b)
    assert whole.quality == 70
    assert Fingerprint((ViewHash(value=a),)).quality is None


def test_view_says_itself_in_words() -> None:
    """A view's text names all that was done, and nothing for the plain look."""
    assert str(View()) == "original"
    assert str(View(frame=3, background=Background.BLACK, turn=Turn.ROTATE_90)) == "frame 3, on black, rotated 90"
    framed = View(trim=Margins(top=125, bottom=125), turn=Turn.MIRROR, tilt=-2, cut=Margins(left=90))
    assert str(framed) == (
        "without a border of 12.5 % top, 12.5 % bottom, mirrored, turned back by -2 degrees, as if cut off by 9 % left"
    )
    assert str(View(shrink=Shrink.THUMBNAIL_512)) == "shrunk to 512"
    other = View(frame=1, rendering=Rendering.ALPHA_IGNORED, turn=Turn.FLIP, negative=True)
    assert str(other) == "frame 1, transparency ignored, flipped, negative"
    with pytest.raises(ValueError, match="frame"):
        View(frame=-1)
    with pytest.raises(ValueError, match="tilt"):
        View(tilt=46)
    with pytest.raises(ValueError, match="whole side"):
        Margins(left=600, right=400)
    with pytest.raises(ValueError, match="thousandths"):
        Margins(top=1000)
    with pytest.raises(ValueError, match="quality"):
        ViewHash(value=HashValue("md5", bytes(16)), quality=101)


def test_byte_form_is_unique() -> None:
    """One hash has one byte form: a name in upper case is accepted in text, never in bytes."""
    with pytest.raises(HashFormatError, match="byte form 1"):
        HashValue.from_bytes(b"\x01\x03PDQ" + bytes(32))


def test_values_are_made_of_the_right_types() -> None:
    """A hash given as text, or a hash where a view is meant, fails where it is given and not later."""
    value = HashValue("md5", bytes(16))
    with pytest.raises(TypeError, match="HashValue, not str"):
        ViewHash(value=str(value))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="ViewHash"):
        Fingerprint((value,))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="parse"):
        distance(value, str(value))  # type: ignore[arg-type]
    for quality in (50.5, True, "50"):
        with pytest.raises(ValueError, match="quality"):
            ViewHash(value=value, quality=quality)  # type: ignore[arg-type]


def test_members_are_hashed_alike_in_all_copies() -> None:
    """A view that went through a copy or through bytes is found by one that did not."""
    for kind in (Turn, Background, Rendering, Shrink):
        assert len(
            {*kind, *(copy.deepcopy(member) for member in kind), *(kind(member.value) for member in kind)}
        ) == len(kind)
    view = View(turn=Turn.FLIP, rendering=Rendering.RAW)
    (back,) = Fingerprint.from_bytes(
        Fingerprint((ViewHash(value=HashValue("pdq", bytes(32)), view=view),)).to_bytes()
    ).view_hashes
    assert {view: 1}[back.view] == 1
