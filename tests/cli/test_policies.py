"""Policy files and the options that change a policy, on the command line; and formats told apart."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from hashmatch import ReferenceList, hash_image, profiles
from hashmatch.cli.app import app
from hashmatch.policy import MatchPolicy
from hashmatch.synthetic import picture
from support.picture_makers import save

PHOTO = picture("photo", 11, size=(160, 200))
RUNNER = CliRunner()


def run(*words: object) -> tuple[int, str, str]:
    """Run a command in this process."""
    result = RUNNER.invoke(app, [str(word) for word in words], env={"COLUMNS": "200", "TERM": "dumb"})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    """Make a list that knows the photo."""
    with ReferenceList.create(tmp_path / "list.hashmatch", name="demo") as ref:
        ref.add("photo", hashes=[hash_image(PHOTO)])
    return tmp_path / "list.hashmatch"


@pytest.mark.parametrize("name", profiles.PRESETS)
def test_what_is_shown_is_read_again(name: str, tmp_path: Path) -> None:
    """As TOML and as JSON the preset is whole; shown again from its file, it is the same text."""
    code, out, _ = run("policy", "show", name)
    assert code == 0
    assert profiles.policy_from_toml(out) == profiles.PRESETS[name]
    (tmp_path / "mine.toml").write_text(out)
    assert run("policy", "show", tmp_path / "mine.toml")[1] == out
    assert MatchPolicy.from_dict(json.loads(run("policy", "show", name, "--json")[1])) == profiles.PRESETS[name]


def test_check_says_what_a_file_means_and_spends(tmp_path: Path, listed: Path) -> None:
    """In sentences for people, as JSON for machines, with the budget where a list is given."""
    path = tmp_path / "mine.toml"
    path.write_text('base = "standard"\n[rules.pdq]\nthreshold = 20\n[decode]\nformats = ["PNG"]\nframes = "all"\n')
    code, out, _ = run("policy", "check", path)
    assert code == 0
    for said in ("rules.pdq.threshold=20", "pdq: within 20", "decodes: PNG;", "frames: all"):
        assert said in out
    assert "false reports" not in out
    assert "false reports" in run("policy", "check", path, "--list", listed)[1]
    record = json.loads(run("policy", "check", path, "-l", listed, "--json")[1])
    assert record["policy"]["rules"]["pdq"]["threshold"] == 20
    assert record["budget"]["hashes"]["pdq"] == 1


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'base = "standard"\nturn = true', "unknown key 'turn'"),
        (b"\xff\xfe", "no text in UTF-8"),
        (b"#" * (2**20 + 1), "more than a megabyte"),
        (b"[", "no TOML"),
    ],
)
def test_a_bad_file_is_an_error_everywhere(content: bytes, says: str, tmp_path: Path, listed: Path) -> None:
    """Exit code 2, and the message names what is wrong."""
    path = tmp_path / "bad.toml"
    path.write_bytes(content)
    for words in (
        ("policy", "check", path),
        ("policy", "show", path),
        ("match", "x.png", "-l", listed, "-p", path),
        ("scan", tmp_path, "-l", listed, "-p", path),
        ("budget", "-p", path),
        ("index", "build", listed, "--folder", tmp_path, "-p", path),
    ):
        code, out, err = run(*words)
        assert (code, out) == (2, "")
        assert says in " ".join(err.replace("│", "").split())
    assert run("policy", "check", tmp_path / "nowhere.toml")[0] == 2
    assert "or name a policy file" in run("match", "x.png", "-l", listed, "-p", "best")[2]


def test_a_file_and_options_take_effect_and_are_named(tmp_path: Path, listed: Path) -> None:
    """The report's policy says what a file and each option changed."""
    path = tmp_path / "mine.toml"
    path.write_text('base = "fast"\n[decode]\nformats = ["TIFF"]\n')
    (tmp_path / "a.tif").write_bytes(save(PHOTO, "TIFF"))
    code, out, _ = run("match", tmp_path / "a.tif", "-l", listed, "-p", path, "-t", "pdq=9", "--json")
    assert (code, json.loads(out)["policy"]) == (0, "fast, decode.formats=TIFF, pdq=9")
    code, out, _ = run("match", tmp_path / "a.tif", "-l", listed, "--json")
    record = json.loads(out)
    assert (code, record["reason"], record["format"]) == (2, "format-not-allowed", "TIFF")
    assert "--formats" in record["advice"]
    options = ("--formats", "png,tiff", "--frames", "all", "--max-bytes", 10**9, "--max-pixels", 40_000)
    code, out, _ = run("match", tmp_path / "a.tif", "-l", listed, "--json", *options)
    assert code == 0
    assert json.loads(out)["policy"] == (
        "standard, formats=png+tiff, frames=all, max_bytes=1000000000, max_pixels=40000"
    )
    assert run("match", tmp_path / "a.tif", "-l", listed, "--formats", "all")[0] == 0
    code, out, _ = run("match", tmp_path / "a.tif", "-l", listed, "--formats", "all", "--max-pixels", 100)
    assert (code, "too-many-pixels" in out) == (2, True)
    for wrong, says in (("exe", "one or more of JPEG"), ("", "one or more of JPEG")):
        code, _, err = run("match", tmp_path / "a.tif", "-l", listed, "--formats", wrong)
        assert (code, says in " ".join(err.replace("│", "").split())) == (2, True)
    assert run("match", tmp_path / "a.tif", "-l", listed, "--frames", "some")[0] == 2


def test_three_things_told_apart_by_a_scan(tmp_path: Path, listed: Path) -> None:
    """Text is passed over; what is not read or switched off is named with its format, and the exit code is 2."""
    folder = tmp_path / "phone"
    folder.mkdir()
    (folder / "note.txt").write_text("P1 is no picture")
    assert run("scan", folder, "-l", listed)[0] == 1
    drawing = folder / "drawing.bin"
    for data, reason, name in (
        (b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>", "format-not-read", "SVG"),
        (save(PHOTO, "JPEG2000"), "format-not-read", "JP2"),
        (b"\xff\x0a" + bytes(99), "format-not-read", "JXL"),
        (save(PHOTO, "BMP"), "format-not-allowed", "BMP"),
    ):
        drawing.write_bytes(data)
        code, out, _ = run("scan", folder, "-l", listed, "--formats", "jpeg,png")
        assert code == 2
        assert f"({reason}: {name})" in out
        assert "drawing.bin" in out
        assert "note.txt" not in out


@pytest.mark.parametrize("name", ["BMP", "TIFF", "AVIF", "ICO", "PPM", "TGA"])
def test_formats_that_a_scan_finds_by_default(name: str, tmp_path: Path, listed: Path) -> None:
    """In worker processes they are decoded, and the photo is found."""
    image = Image.fromarray(PHOTO)
    options = {"sizes": [image.size]} if name == "ICO" else {}
    (tmp_path / "phone").mkdir()
    (tmp_path / "phone" / "a.bin").write_bytes(save(image, name, **options))
    assert run("scan", tmp_path / "phone", "-l", listed)[0] == 0


def test_the_name_of_a_changed_policy_is_printable() -> None:
    """Whatever a file holds, the name that reports carry is one line."""
    changed = profiles.policy_from_dict({"base": "fast", "decode": {"formats": ["png"]}, "max_matches": 7})
    assert changed.name.isprintable()
    assert dataclasses.replace(changed, name="fast").decode.formats == ("PNG",)
