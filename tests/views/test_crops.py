"""Uncropped views, their score and support, the climb and the search; judged by padding pixels and by every entry."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest

from hashmatch.hashers.pdq import PDQHasher
from hashmatch.hashers.pdq_float32 import COSINES
from hashmatch.index.probing import GuidedIndex
from hashmatch.synthetic import edits, picture
from hashmatch.view import Turn
from hashmatch.views.crops import CropSearch, guided_index
from hashmatch.views.evidence.bit_odds import ALIGNED, STEEPNESS, certainties, flat_bits, score, standardised
from hashmatch.views.evidence.cohort import RivalRule
from hashmatch.views.evidence.crop_views import CutGrid, axis_matrix, unseen_covariance, unseen_share, view_coefficients
from hashmatch.views.evidence.likelihood import support
from hashmatch.views.evidence.refine import climb, kept, score_at
from hashmatch.views.small import SMALL_SIDE, small_luma, turn_small

HASHER = PDQHasher()


def code_of(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Hash as bytes."""
    return np.frombuffer(HASHER.hash_pixels(pixels)[0].data, np.uint8)


@pytest.fixture(scope="module")
def photos() -> list[npt.NDArray[np.uint8]]:
    """Make a few photographs of two shapes."""
    return [picture("photo", seed, [(256, 320), (320, 240)][seed % 2]) for seed in range(9100, 9112)]


@pytest.fixture(scope="module")
def index(photos: list[npt.NDArray[np.uint8]]) -> GuidedIndex:
    """List the photographs' hashes among random ones."""
    random = np.random.default_rng(1).integers(0, 256, (20_000, 32), dtype=np.uint8)
    return guided_index(np.concatenate([np.stack([code_of(p) for p in photos]), random]))


@pytest.mark.parametrize("shape", [(1, 1), (3, 500), (128, 128), (131, 77, 3), (700, 513, 3)])
def test_small_luma_keeps_a_constant(shape: tuple[int, ...]) -> None:
    """Weights add up to 1, so a flat picture of any shape stays flat."""
    small = small_luma(np.full(shape, 93, np.uint8))
    assert small.shape == (SMALL_SIDE, SMALL_SIDE)
    assert np.allclose(small, 93, atol=1e-3)


def test_small_luma_is_the_mean_over_exact_cells() -> None:
    """A cell is the mean of a picture blown up so far that cells hold whole pixels."""
    pixels = np.random.default_rng(2).integers(0, 256, (96, 512), dtype=np.uint8)
    # lags of 0.375 and 1 px; 96 rows blown up 16-fold put every border on a whole row
    tall = np.pad(np.repeat(pixels, 16, axis=0)[6:], ((0, 6), (0, 0)), mode="edge")
    wide = np.pad(tall[:, 1:].astype(float), ((0, 0), (0, 1)), mode="edge")
    expected = wide.reshape(SMALL_SIDE, 12, SMALL_SIDE, 4).mean(axis=(1, 3))
    assert np.allclose(small_luma(pixels)[:-1, :-1], expected[:-1, :-1], atol=1e-3)


def test_whole_view_is_near_pdq(photos: list[npt.NDArray[np.uint8]]) -> None:
    """The view of no cut differs from PDQ of the pixels in few bits."""
    drifts = []
    for pixels in photos:
        coefficients = view_coefficients(small_luma(pixels), [(0, 0)], [(0, 0)])
        odds = certainties(coefficients, unseen_share([(0, 0)], [(0, 0)]), ALIGNED)[0, 0]
        drifts.append(np.count_nonzero((odds > 0) != flat_bits(code_of(pixels))))
    assert np.mean(drifts) <= 8
    assert max(drifts) <= 20


def test_axis_matrix_of_constant_is_zero() -> None:
    """A constant side, padded by any cut, has no coefficient but the one PDQ leaves out."""
    for cut in ((0, 0), (100, 0), (33, 210), (-20, 300)):
        assert np.allclose(axis_matrix(*cut).sum(axis=1), 0, atol=1e-4)


def test_axis_matrix_places_the_seen_part() -> None:
    """A narrow bump at a share of the cut side gives the cosines at its place in the whole side."""
    before, after = 100, 200
    bump = np.zeros(SMALL_SIDE, np.float32)
    bump[60:68] = 1
    place = before / 1000 + 0.7 * 0.5
    got = axis_matrix(before, after) @ (bump - bump.mean())
    assert np.corrcoef(got[:4], np.cos(np.pi * np.arange(1, 5) * place))[0, 1] > 0.97
    assert COSINES.shape == (16, 64)


def test_axis_matrix_refuses_cuts_out_of_range() -> None:
    """A cut beyond the range is an error, not a silent other view."""
    with pytest.raises(ValueError, match="thousandths"):
        axis_matrix(301, 0)


def test_views_of_a_grid_equal_single_views(photos: list[npt.NDArray[np.uint8]]) -> None:
    """Batching changes nothing."""
    small, cuts = small_luma(photos[0]), CutGrid(both=(0, 50), one=(200,)).axis_cuts
    together = view_coefficients(small, cuts, cuts)
    for row, down in enumerate(cuts):
        for column, across in enumerate(cuts):
            alone = axis_matrix(*down) @ small @ axis_matrix(*across).T
            assert np.allclose(together[row, column], alone, atol=1e-2)


def test_more_cut_off_is_less_seen() -> None:
    """The share that was not seen grows with the cut and stays between 0 and 1."""
    shares = [unseen_share([(cut, 0)], [(0, cut)]).mean() for cut in range(0, 301, 20)]
    assert shares[0] == 0
    assert all(a < b for a, b in pairwise(shares))
    assert shares[-1] < 1


def test_score_counts_for_and_against() -> None:
    """A hash scores highest where every bit is the query's, lowest where none is, and nothing where nothing is sure."""
    odds = np.linspace(-5, 5, 256, dtype=np.float32)
    best = score(odds, odds > 0, ALIGNED)
    assert best > 0 > score(odds, odds <= 0, ALIGNED)
    one_off = (odds > 0) ^ (np.arange(256) == 0)
    assert best > score(odds, one_off, ALIGNED)
    assert score(np.zeros(256, np.float32), odds > 0, ALIGNED) == pytest.approx(0, abs=1e-3)


def test_flat_bits_invert_the_published_order() -> None:
    """The last bit of the published form is the coefficient of index 0."""
    code = np.zeros(32, np.uint8)
    code[-1] = 1
    assert flat_bits(code).nonzero()[0].tolist() == [0]


def test_climb_never_ends_below_its_start(photos: list[npt.NDArray[np.uint8]]) -> None:
    """Nor does it go further than its bounds."""
    for number, pixels in enumerate(photos[:4]):
        small = small_luma(edits.crop_sides(pixels, left=0.08, bottom=0.05))
        for bits in (flat_bits(code_of(pixels)), flat_bits(code_of(photos[number + 4]))):
            start = score_at(small, bits[None], (66, 0), (0, 66))[0]
            fit = climb(small, bits, (66, 0), (0, 66))
            assert fit.score >= start.score - 1e-3
            moves = np.abs(np.subtract(fit.columns + fit.rows, (66, 0, 0, 66)))
            assert moves.max() <= 24
            assert kept(fit.columns) * kept(fit.rows) >= 0.6


def test_support_is_the_integral_over_the_margin(photos: list[npt.NDArray[np.uint8]]) -> None:
    """Laplace's approximation is near what drawing margins at random gives, where few bits are in doubt."""
    rng = np.random.default_rng(5)
    columns, rows = (30, 0), (0, 0)
    whole, unseen = unseen_covariance(columns)
    down, _ = unseen_covariance(rows)
    # the field is separable, and one axis was seen whole
    spread = np.sqrt(np.outer(np.diag(down), np.diag(whole)).ravel())
    root = np.linalg.cholesky(np.kron(down, unseen) / np.outer(spread, spread) + 1e-12 * np.eye(256))
    pixels = edits.crop_sides(photos[0], left=0.03)
    seen = view_coefficients(small_luma(pixels), [columns], [rows])[0, 0]
    mean = standardised(seen, unseen_share([columns], [rows])[0, 0])
    bits = flat_bits(code_of(photos[0]))
    sign = np.where(bits, 1.0, -1.0) / np.sqrt(0.01 + 0.01 * STEEPNESS.astype(np.float64))
    drawn = mean + rng.standard_normal((40_000, 256)) @ root.T
    nats = -np.logaddexp(0, -sign * drawn).sum(1)
    integral = np.logaddexp.reduce(nats) - np.log(len(nats)) + 256 * np.log(2)
    assert support(seen, bits, columns, rows).nats == pytest.approx(integral, abs=3)


def test_a_margin_explains_the_wrong_bits_of_a_crop_only(photos: list[npt.NDArray[np.uint8]]) -> None:
    """Of two hashes with as many wrong bits, as sure ones, the crop's own is the likelier by far."""
    rng = np.random.default_rng(6)
    gains = []
    for pixels in photos:
        small, bits = small_luma(edits.crop_sides(pixels, left=0.15)), flat_bits(code_of(pixels))
        seen = view_coefficients(small, [(150, 0)], [(0, 0)])[0, 0]
        odds = certainties(seen, unseen_share([(150, 0)], [(0, 0)])[0, 0], ALIGNED)
        order = np.argsort(np.abs(odds))
        wrong = (odds[order] > 0) != bits[order]
        other = odds > 0
        for low in range(0, 256, 32):  # as many wrong bits of each sureness, at other places
            other[order[low : low + 32]] ^= rng.permutation(wrong[low : low + 32])
        true, chance = (support(seen, code, (150, 0), (0, 0)).nats for code in (bits, other))
        assert true > 60
        gains.append(true - chance)
    assert np.median(gains) > 20


def test_copies_are_judged_by_the_margin_of_one(photos: list[npt.NDArray[np.uint8]]) -> None:
    """A copy gets what the first got; other hashes never more than by a margin of their own."""
    seen = view_coefficients(small_luma(edits.crop_sides(photos[0], top=0.1)), [(0, 0)], [(100, 0)])[0, 0]
    codes = np.stack([flat_bits(code_of(pixels)) for pixels in photos])
    codes[1] = codes[0]
    codes[1, :4] ^= True
    first = support(seen, codes[0], (0, 0), (100, 0))
    nats = first.of_others(codes[0], codes)
    assert nats[0] == pytest.approx(first.nats)
    assert nats[1] <= support(seen, codes[1], (0, 0), (100, 0)).nats + 3
    assert nats[2:].max() < 0


@pytest.mark.parametrize(
    "cut",
    [{"left": 0.05}, {"bottom": 0.1}, {"left": 0.05, "top": 0.05, "right": 0.05, "bottom": 0.05}, {"top": 0.02}],
)
def test_cropped_photographs_are_found(
    cut: dict[str, float], photos: list[npt.NDArray[np.uint8]], index: GuidedIndex
) -> None:
    """Nearly every cropped photograph leads to its whole, with cuts near the true ones, and to nothing else."""
    found = [CropSearch().search(small_luma(edits.crop_sides(pixels, **cut)), index) for pixels in photos]
    hits = [items[0] for number, items in enumerate(found) if [item.position for item in items] == [number]]
    assert len(hits) >= len(photos) - 1
    assert all(not items or items[0].position < len(photos) for items in found)
    true = [1000 * cut.get(side, 0) for side in ("left", "right", "top", "bottom")]
    errors = [np.abs(np.subtract(hit.fit.columns + hit.fit.rows, true)).max() for hit in hits]
    assert np.median(errors) <= 15


def test_every_copy_in_a_list_is_found(photos: list[npt.NDArray[np.uint8]]) -> None:
    """Copies are no rivals of one another, and more copies than are climbed are reported too."""
    codes = np.repeat(code_of(photos[0])[None], 30, axis=0)
    found = CropSearch().search(small_luma(edits.crop_sides(photos[0], left=0.05)), guided_index(codes))
    assert sorted(item.position for item in found) == list(range(30))


def test_a_withdrawn_entry_is_as_if_it_had_never_been_listed(photos: list[npt.NDArray[np.uint8]]) -> None:
    """It is not found, and it is no rival of another entry."""
    small = small_luma(edits.crop_sides(photos[0], left=0.16))
    near = photos[0], edits.crop_sides(photos[0], left=0.08), *photos[1:]
    codes = np.stack([code_of(pixels) for pixels in near])
    search = CropSearch(min_evidence=-100.0, rivals=RivalRule(cost=12.0))
    index, gone = guided_index(codes), np.zeros(len(codes), np.bool_)
    both = {item.position: item.evidence for item in search.search(small, index)}
    assert {0, 1} <= both.keys()
    gone[1] = True
    left = search.search(small, index, withdrawn=gone)
    alone = search.search(small, guided_index(np.delete(codes, 1, axis=0)))
    assert [item.evidence for item in left] == [item.evidence for item in alone]
    assert left[0].position == 0
    with_rival, without = search.rivals.taken(1, len(codes)), search.rivals.taken(0, len(codes) - 1)
    assert left[0].evidence == pytest.approx(both[0] + with_rival - without, abs=1e-3)
    assert search.search(small, index, withdrawn=np.ones(len(codes), np.bool_)) == []


def test_rivals_and_kin_take_from_the_evidence(photos: list[npt.NDArray[np.uint8]]) -> None:
    """Another cut of the picture is a rival, and of the entry's kin: both are counted, each by its rule."""
    small = small_luma(edits.crop_sides(photos[0], left=0.16))
    codes = np.stack([code_of(photos[0]), code_of(edits.crop_sides(photos[0], left=0.08))])
    assert 62 < np.bitwise_count(codes[0] ^ codes[1]).sum() <= 120
    index = guided_index(codes)

    def evidence(rule: RivalRule) -> float:
        found = CropSearch(min_evidence=-400.0, rivals=rule).search(small, index)
        return next(item.evidence for item in found if item.position == 0)

    support, rule = evidence(RivalRule(cost=0.0)), RivalRule(cost=12.0)
    assert support - evidence(rule) == pytest.approx(rule.taken(1, 2), abs=1e-3)
    assert support - evidence(replace(rule, kin=120)) == pytest.approx(rule.taken(2, 2), abs=1e-3)


@pytest.mark.parametrize("turn", list(Turn))
def test_turned_small_is_the_small_of_the_turned(turn: Turn) -> None:
    """Where every cell is one pixel and half of it, turning pixels and turning cells give PDQ nearly the same."""
    pixels = picture("photo", 9200, (512, 512)).astype(np.float32).mean(axis=2)
    turned = turn_small(pixels[:, :], turn)
    assert turned.flags.c_contiguous
    expected = {
        Turn.NONE: pixels,
        Turn.ROTATE_90: np.rot90(pixels),
        Turn.ROTATE_180: np.rot90(pixels, 2),
        Turn.ROTATE_270: np.rot90(pixels, 3),
        Turn.MIRROR: np.fliplr(pixels),
        Turn.FLIP: np.flipud(pixels),
        Turn.TRANSPOSE: pixels.swapaxes(0, 1),
        Turn.TRANSVERSE: np.rot90(pixels.swapaxes(0, 1), 2),
    }[turn]
    assert np.array_equal(turned, expected)
    assert np.abs(turn_small(small_luma(pixels), turn) - small_luma(expected)).mean() < 6


def test_crops_of_turned_pictures_are_found(photos: list[npt.NDArray[np.uint8]], index: GuidedIndex) -> None:
    """A search of all turns finds crops in any, says how the query was turned, and gives cuts of the turned picture."""
    search = CropSearch(turns=tuple(Turn))
    cropped = {
        Turn.MIRROR: np.fliplr(edits.crop_sides(photos[0], left=0.1)),
        Turn.ROTATE_90: np.rot90(edits.crop_sides(photos[1], left=0.1), -1),
        Turn.TRANSPOSE: edits.crop_sides(photos[2], left=0.1).swapaxes(0, 1),
    }
    for number, (turn, query) in enumerate(cropped.items()):
        small = small_luma(np.ascontiguousarray(query))
        best = search.search(small, index)[0]
        assert (best.position, best.turn) == (number, turn)
        assert best.distance == best.fit.distance <= 60
        assert abs(best.fit.columns[0] - 100) <= 20
        assert CropSearch().search(small, index) == []


@pytest.mark.parametrize("kind", ["low-texture", "document"])
def test_plain_kinds_do_not_match_photographs(kind: str, index: GuidedIndex) -> None:
    """Nor does a picture with little in it, in any turn."""
    for seed in range(9300, 9303):
        assert CropSearch(turns=tuple(Turn)).search(small_luma(picture(kind, seed, (256, 256))), index) == []


def test_plain_pictures_match_nothing(index: GuidedIndex) -> None:
    """Flat, 1 pixel wide and ramped pictures lead to no entry."""
    ramp = np.add.outer(np.arange(200), np.arange(150)).astype(np.uint8)
    for pixels in (np.full((100, 100), 7, np.uint8), np.zeros((50, 1), np.uint8), np.arange(200)[None] * 1.0, ramp):
        assert CropSearch().search(small_luma(pixels), index) == []


def test_an_empty_list_has_no_answer(photos: list[npt.NDArray[np.uint8]]) -> None:
    """No entries, nothing found."""
    assert CropSearch().search(small_luma(photos[0]), guided_index(np.empty((0, 32), np.uint8))) == []


def test_search_is_repeatable(photos: list[npt.NDArray[np.uint8]], index: GuidedIndex) -> None:
    """The same query gives the same answer."""
    small = small_luma(edits.crop_sides(photos[3], right=0.1))
    assert CropSearch().search(small, index) == CropSearch().search(small, index)


def test_guided_index_finds_by_each_group() -> None:
    """An entry's own key finds all entries with that key that lie near enough, as a look at every entry does."""
    codes = np.random.default_rng(5).integers(0, 4, (3000, 16), dtype=np.uint8)
    index = GuidedIndex(codes, range(127, -1, -1), 4)
    bits, queries = np.unpackbits(codes, axis=1), index.words[:20]
    for group in range(4):
        keys = bits[:, index.groups[group]] @ (1 << np.arange(index.key_bits)).astype(np.uint32)
        asked, chances = keys[None, :20].astype(np.uint32), np.zeros((1, 20), np.float32)
        for radius in (128, 14):
            rows, positions, distances = index.near(
                group, asked, chances, queries, least=0.0, limit=10**6, radius=radius
            )
            for row in range(20):
                away = (bits != bits[row]).sum(axis=1)
                expected = ((keys == keys[row]) & (away <= radius)).nonzero()[0]
                assert positions[rows == row].tolist() == expected.tolist()
                assert distances[rows == row].tolist() == away[expected].tolist()
        rows, _, _ = index.near(group, asked, -chances - 1, queries, least=0.0, limit=10**6, radius=128)
        assert len(rows) == 0


def test_guided_index_stops_at_the_limit() -> None:
    """A list of copies gives no more entries than asked for, and whole buckets only."""
    index = GuidedIndex(np.zeros((500, 32), np.uint8), range(256), 2)
    for keys, limit, expected in ((3, 1200, 1000), (3, 1000, 1000), (3, 999, 500), (1, 499, 0)):
        asked = np.zeros((keys, 1), np.uint32)
        found = index.near(
            0, asked, np.zeros((keys, 1), np.float32), index.words[:1], least=-1.0, limit=limit, radius=0
        )
        assert len(found[1]) == expected


def test_options_are_checked() -> None:
    """Options out of range are refused."""
    with pytest.raises(ValueError, match="turn"):
        CropSearch(turns=())
    with pytest.raises(ValueError, match="rare_cost"):
        CropSearch(rare_cost=-1.0)
    with pytest.raises(ValueError, match="grid"):
        CutGrid(both=(), one=())
    with pytest.raises(ValueError, match="groups"):
        GuidedIndex(np.zeros((5, 8), np.uint8), range(10), 3)
    with pytest.raises(ValueError, match="32 bytes"):
        guided_index(np.zeros((5, 8), np.uint8))
