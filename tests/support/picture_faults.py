"""Picture files with one fault in a part that does not touch the pixels, by format, kind of part and fault."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image

from support.picture_makers import chunk, exif, exif_tiff, noise, save, smooth

MANY = 5_000
SIDE = (24, 32)  # px, height and width
Fault = tuple[str, str, bytes]  # kind, fault, file


def pixels() -> np.ndarray:
    """Make the picture that every file here shows."""
    return smooth(*SIDE)


# --- PNG

PNG_KINDS: dict[bytes, bytes] = {
    b"gAMA": struct.pack(">I", 45455),
    b"cHRM": struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000),
    b"sRGB": b"\0",
    b"cICP": b"\1\x0d\0\1",
    b"sBIT": b"\x08\x08\x08",
    b"iCCP": b"name\0\0" + zlib.compress(b"no profile"),
    b"bKGD": struct.pack(">3H", 1, 2, 3),
    b"hIST": struct.pack(">H", 1),
    b"pHYs": struct.pack(">IIB", 2835, 2835, 1),
    b"sPLT": b"name\0\x08" + struct.pack(">4BH", 1, 2, 3, 4, 5),
    b"tIME": struct.pack(">H5B", 2026, 1, 2, 3, 4, 5),
    b"eXIf": exif_tiff(1),
    b"tEXt": b"Title\0words",
    b"zTXt": b"Title\0\0" + zlib.compress(b"words"),
    b"iTXt": b"Title\0\0\0en\0Title\0words",
    b"mDCV": bytes(24),
    b"cLLI": bytes(8),
    b"acTL": struct.pack(">II", 1, 0),
    b"oFFs": bytes(9),
    b"vpAg": bytes(9),
    b"zzZz": b"anything",
    b"PLTE": bytes(range(30)),
}
_BOMB = zlib.compress(bytes(8 * 2**20), 9)
_PNG_BOMBS = {
    b"iCCP": b"name\0\0" + _BOMB,
    b"zTXt": b"Title\0\0" + _BOMB,
    b"iTXt": b"Title\0\1\0en\0Title\0" + _BOMB,
    b"tEXt": b"Title\0" + b"x" * 2**20,
}
_KEYS = (b"transparency", b"interlace", b"bbox", b"exif", b"icc_profile", b"default_image", b"gamma", b"xmp")


def png_parts() -> tuple[bytes, bytes, bytes]:
    """Give the PNG up to its pixels, its pixels, and its end."""
    data = save(pixels(), "PNG")
    at = data.index(b"IDAT") - 4
    end = data.index(b"IEND") - 4
    return data[:at], data[at:end], data[end:]


def _false(content: bytes) -> bytes:
    return content[:-4] + bytes(byte ^ 0x5A for byte in content[-4:])


def png_faults() -> Iterator[Fault]:
    """Give PNG files whose pixels are whole."""
    head, body, end = png_parts()
    content = body[8:-4]
    for kind, good in PNG_KINDS.items():
        name = kind.decode()
        yield name, "wrong checksum", head + _false(chunk(kind, good)) + body + end
        yield name, "empty", head + chunk(kind, b"") + body + end
        yield name, "too short", head + chunk(kind, good[:-1]) + body + end
        yield name, "too long", head + chunk(kind, good + bytes(300)) + body + end
        yield name, "nonsense", head + chunk(kind, b"\xff" * len(good)) + body + end
        yield name, "misplaced", head + body + chunk(kind, good) + end
        yield name, "misplaced, too short", head + body + chunk(kind, good[:-1]) + end
        yield name, "misplaced, wrong checksum", head + body + _false(chunk(kind, good)) + end
        if kind not in (b"cICP", b"gAMA", b"cHRM"):
            yield name, "repeated", head + 2 * chunk(kind, good) + body + end
            yield name, "many", head + MANY * chunk(kind, good) + body + end
        if kind in _PNG_BOMBS:
            yield name, "bomb", head + chunk(kind, _PNG_BOMBS[kind]) + body + end
            yield name, "many bombs", head + 80 * chunk(kind, _PNG_BOMBS[kind]) + body + end
            yield name, "bomb behind", head + body + 80 * chunk(kind, _PNG_BOMBS[kind]) + end
    for key in _KEYS:
        yield "tEXt", f"key {key.decode()}", head + chunk(b"tEXt", key + b"\0" + b"\x01\x02\x03\x04") + body + end
        yield "iTXt", f"key {key.decode()}", head + chunk(b"iTXt", key + b"\0\0\0\0\0words") + body + end
    yield "tRNS", "too short", head + chunk(b"tRNS", b"\0\1") + body + end
    yield "tRNS", "wrong checksum", head + _false(chunk(b"tRNS", bytes(6))) + body + end
    yield "tRNS", "misplaced", head + body + chunk(b"tRNS", bytes(6)) + end
    yield "fcTL", "too short", head + chunk(b"acTL", PNG_KINDS[b"acTL"]) + chunk(b"fcTL", b"\0") + body + end
    wild = struct.pack(">5I2H2B", 0, 999, 999, 9, 9, 1, 1, 0, 0)
    yield "fcTL", "too large", head + chunk(b"acTL", PNG_KINDS[b"acTL"]) + chunk(b"fcTL", wild) + body + end
    yield "fcTL", "without acTL", head + chunk(b"fcTL", wild) + body + end
    yield "fdAT", "too short", head + chunk(b"acTL", PNG_KINDS[b"acTL"]) + body + chunk(b"fdAT", b"\0") + end
    yield "fdAT", "without acTL", head + body + chunk(b"fdAT", bytes(40)) + end
    yield "IEND", "missing", head + body
    yield "IEND", "wrong checksum", head + body + _false(end)
    yield "IEND", "with content", head + body + chunk(b"IEND", b"content")
    yield "IEND", "cut", head + body + end[:6]
    yield "behind IEND", "junk", head + body + end + noise(500).tobytes()
    yield "IDAT", "wrong checksum", head + _false(body) + end
    yield "IDAT", "empty ones", head + chunk(b"IDAT", b"") + body + chunk(b"IDAT", b"") + end
    single = b"".join(chunk(b"IDAT", content[i : i + 1]) for i in range(len(content)))
    yield "IDAT", "one byte each", head + single + end
    yield "IDAT", "wrong Adler-32", head + chunk(b"IDAT", _false(content)) + end
    yield "IDAT", "no Adler-32", head + chunk(b"IDAT", content[:-4]) + end
    yield "IDAT", "more behind the stream", head + chunk(b"IDAT", content + bytes(90)) + end
    yield "IDAT", "another behind the stream", head + body + chunk(b"IDAT", noise(90).tobytes()) + end
    raw = zlib.decompress(content)
    yield "IDAT", "more rows", head + chunk(b"IDAT", zlib.compress(raw + bytes(1000))) + end
    small = bytes((0x08, 31 - (0x0800 % 31)))
    yield "IDAT", "window stated too small", head + chunk(b"IDAT", small + zlib.compress(raw)[2:]) + end
    half = len(content) // 2
    parts = chunk(b"IDAT", content[:half]), chunk(b"IDAT", content[half:])
    yield "IDAT", "text between", head + parts[0] + chunk(b"tEXt", b"a\0b") + parts[1] + end


# --- JPEG


def segment(marker: int, body: bytes) -> bytes:
    """Make one JPEG segment."""
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


JPEG_KINDS: dict[str, tuple[int, bytes]] = {
    "APP0 JFIF": (0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0"),
    "APP0 JFXX": (0xE0, b"JFXX\0\x10" + bytes(20)),
    "APP1 Exif": (0xE1, exif(1)),
    "APP1 XMP": (0xE1, b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta/>"),
    "APP2 ICC": (0xE2, b"ICC_PROFILE\0\1\1no profile"),
    "APP2 MPF": (0xE2, b"MPF\0II*\0\x08\0\0\0\0\0"),
    "APP2 FPXR": (0xE2, b"FPXR\0\0"),
    "APP12 Ducky": (0xEC, b"Ducky\0\1\0\4\0\0\0\x3c\0\0"),
    "APP13 Photoshop": (0xED, b"Photoshop 3.0\0" + b"8BIM\x03\xed\0\0\0\0\0\x10" + bytes(16)),
    "APP14 Adobe": (0xEE, b"Adobe\0\x64\0\0\0\0\1"),
    "COM": (0xFE, b"words"),
    **{f"APP{number}": (0xE0 + number, b"unknown") for number in range(16)},
}


def jpeg_plain(**options: object) -> bytes:
    """Write the picture as JPEG."""
    return save(pixels(), "JPEG", quality=92, **options)


def jpeg_scan_start(data: bytes) -> int:
    """Give where the entropy-coded bytes begin."""
    at = data.index(b"\xff\xda")
    return at + 2 + int(struct.unpack_from(">H", data, at + 2)[0])


def jpeg_faults() -> Iterator[Fault]:
    """Give JPEG files whose pixels are whole."""
    data = jpeg_plain()
    start, rest = data[:2], data[2:]
    bare = rest[2 + struct.unpack_from(">H", rest, 2)[0] :]  # without its APP0
    tables = data.index(b"\xff\xda")
    for name, (marker, good) in JPEG_KINDS.items():
        tail = bare if name == "APP0 JFIF" else rest
        for cut in range(len(good)):
            yield name, f"cut to {cut}", start + segment(marker, good[:cut]) + tail
        yield name, "length 0", start + bytes((0xFF, marker, 0, 0)) + tail
        yield name, "length 1", start + bytes((0xFF, marker, 0, 1)) + tail
        yield name, "too long", start + segment(marker, good + bytes(60_000)) + tail
        yield name, "nonsense", start + segment(marker, good[:6] + b"\xff" * 40) + tail
        yield name, "repeated", start + 2 * segment(marker, good) + tail
        yield name, "many", start + MANY * segment(marker, good) + tail
        yield name, "misplaced", data[:tables] + segment(marker, good) + data[tables:]
        yield name, "behind the scan", data[:-2] + segment(marker, good) + data[-2:]
    yield "COM", "200,000", start + 200_000 * segment(0xFE, b"") + rest
    for marker in (0x01, *range(0xD0, 0xD8)):
        yield f"marker {marker:02X}", "among the segments", data[:tables] + bytes((0xFF, marker)) + data[tables:]
        yield f"marker {marker:02X}", "first", start + rest[:20][:18] + bytes((0xFF, marker)) + rest[18:]
    yield "fill bytes", "before a segment", data[:tables] + b"\xff" * 500 + data[tables:]
    yield "junk", "between segments", data[:tables] + b"junk" * 100 + data[tables:]
    yield "junk", "stuffed", data[:tables] + b"\xff\0" * 100 + data[tables:]
    yield "EOI", "missing", data[:-2]
    yield "EOI", "fill bytes before", data[:-2] + b"\xff" * 100 + data[-2:]
    yield "EOI", "padding before", data[:-2] + bytes(500) + data[-2:]
    yield "behind EOI", "junk", data + noise(500).tobytes()
    yield "behind EOI", "another picture", data + data


# --- GIF

GIF_KINDS = {
    "comment": b"!\xfe\x05words\0",
    "plain text": b"!\x01\x0c" + bytes(12) + b"\x05words\0",
    "loop": b"!\xff\x0bNETSCAPE2.0\x03\x01\0\0\0",
    "XMP": b"!\xff\x0bXMP DataXMP<x/>" + bytes((1, *range(255, -1, -1), 0)),
    "ICC": b"!\xff\x0bICCRGBG1012\x05words\0",
    "unknown": b"!\x77\x05words\0",
    "control": b"!\xf9\x04\0\0\0\0\0",
}


def gif_faults() -> Iterator[Fault]:
    """Give GIF files whose pixels are whole."""
    data = save(Image.fromarray(pixels()).quantize(64), "GIF")
    at = 13 + (3 << (data[10] & 7) + 1)
    assert data[at] in b"!,"
    head, body = data[:at], data[at:]
    for name, good in GIF_KINDS.items():
        yield name, "plain", head + good + body
        yield name, "empty", head + good[:2] + b"\0" + body
        yield name, "too short", head + good[:2] + b"\1\0\0" + body
        yield name, "too long", head + good[:-1] + b"\x40" + bytes(64) + b"\0" + body
        yield name, "repeated", head + 2 * good + body
        yield name, "many", head + MANY * good + body
        yield name, "misplaced", head + body[:-1] + good + b";"
        yield name, "misplaced, empty", head + body[:-1] + good[:2] + b"\0;"
        yield name, "cut at the end", head + body[:-1] + good[:-1]
    yield "comment", "70,000", head + 70_000 * GIF_KINDS["comment"] + body
    yield "comment", "of a megabyte", head + b"!\xfe" + 4_200 * (b"\xff" + bytes(255)) + b"\0" + body
    yield "trailer", "missing", data[:-1]
    yield "trailer", "junk behind", data + noise(500).tobytes()
    yield "blocks", "nothing between", head + bytes(5) + body
    yield "blocks", "nothing behind", head + body[:-1] + bytes(5) + b";"
    yield "header", "version unknown", b"GIF87a" + data[6:]


# --- WebP


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    """Write a RIFF container of WebP."""
    body = b"WEBP"
    for kind, content in chunks:
        body += kind + struct.pack("<I", len(content)) + content + b"\0" * (len(content) & 1)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def webp_faults(lossless: bool) -> Iterator[Fault]:
    """Give WebP files whose pixels are whole."""
    data = save(pixels(), "WEBP", lossless=lossless, quality=90)
    kind, content = data[12:16], data[20 : 20 + struct.unpack_from("<I", data, 16)[0]]
    pixel = (kind, content)
    size = struct.pack("<I", SIDE[1] - 1)[:3] + struct.pack("<I", SIDE[0] - 1)[:3]

    def extended(flags: int) -> tuple[bytes, bytes]:
        return b"VP8X", bytes((flags, 0, 0, 0)) + size

    def sized(file: bytes, change: int) -> bytes:
        return file[:4] + struct.pack("<I", max(0, len(file) - 8 + change)) + file[8:]

    for change in (-len(content), -20, -8, -2, -1, 1, 2, 9, 4_000):
        yield "RIFF", f"size {change:+}", sized(data, change)
        yield "RIFF", f"size {change:+}, extended", sized(riff(extended(0), pixel), change)
    yield "RIFF", "size 0", data[:4] + bytes(4) + data[8:]
    yield "RIFF", "size too large by far", data[:4] + b"\xfe\xff\xff\xff" + data[8:]
    odd = riff((kind, content if len(content) & 1 else content + b"\0"))
    yield "RIFF", "padding missing", sized(odd[:-1], 0)
    yield "behind", "junk", data + noise(500).tobytes()
    metadata = {b"ICCP": (0x20, b"no profile"), b"EXIF": (0x08, exif_tiff(1)), b"XMP ": (0x04, b"<x/>")}
    for name, (flag, good) in {**metadata, b"abcd": (0, b"unknown")}.items():
        text = name.decode()
        for fault, body in (
            ("plain", good),
            ("empty", b""),
            ("too short", good[:5]),
            ("nonsense", b"\xff" * 40),
            ("too long", good + bytes(70_001)),
        ):
            yield text, fault, riff(extended(flag), (name, body), pixel)
            yield text, f"{fault}, behind", riff(extended(flag), pixel, (name, body))
            yield text, f"{fault}, without VP8X", riff(pixel, (name, body))
        yield text, "no flag", riff(extended(0), (name, good), pixel)
        yield text, "repeated", riff(extended(flag), (name, good), (name, good), pixel)
        yield text, "many", riff(extended(flag), *[(name, good)] * MANY, pixel)
        if flag:
            yield text, "flag only", riff(extended(flag), pixel)
        whole = riff(extended(flag), pixel, (name, good))
        yield text, "cut at the end", whole[:-5]
    for flags in (0x02, 0x10, 0x3C, 0xC1, 0xFF):
        yield "VP8X", f"flags {flags:02X}", riff(extended(flags), pixel)
    yield "VP8X", "repeated", riff(extended(0), extended(0), pixel)


# --- TIFF

TIFF_TAGS: dict[str, tuple[int, int, bytes]] = {
    "DocumentName": (269, 2, b"a name\0"),
    "ImageDescription": (270, 2, b"words\0"),
    "Make": (271, 2, b"maker\0"),
    "XResolution": (282, 5, struct.pack("<II", 72, 1)),
    "YResolution": (283, 5, struct.pack("<II", 72, 1)),
    "ResolutionUnit": (296, 3, struct.pack("<H", 2)),
    "Software": (305, 2, b"software\0"),
    "DateTime": (306, 2, b"2026:01:02 03:04:05\0"),
    "XMP": (700, 1, b"<x:xmpmeta/>"),
    "IPTC": (33723, 7, b"iptc data"),
    "Photoshop": (34377, 1, b"8BIM\x03\xed"),
    "Exif IFD": (34665, 4, struct.pack("<I", 8)),
    "ICC profile": (34675, 7, b"no profile"),
    "GPS IFD": (34853, 4, struct.pack("<I", 8)),
    "SubIFDs": (330, 4, struct.pack("<I", 8)),
    "unknown": (65_001, 4, struct.pack("<I", 8)),
}
_TIFF_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1}


def tiff(*tags: tuple[int, int, int, bytes], next_at: int = 0, compression: str = "raw") -> bytes:
    """Write the picture as TIFF with more tags: number, type, count and value, or four bytes as they are."""
    plain = save(pixels(), "TIFF", compression=compression)
    (at,) = struct.unpack_from("<I", plain, 4)
    (count,) = struct.unpack_from("<H", plain, at)
    entries = [plain[at + 2 + 12 * i : at + 14 + 12 * i] for i in range(count)]
    data = plain + b"\0" * (len(plain) & 1)
    for tag, kind, number, value in tags:
        if len(value) > 4:
            place = struct.pack("<I", len(data))
            data += value + b"\0" * (len(value) & 1)
        else:
            place = value.ljust(4, b"\0")
        entries = [entry for entry in entries if struct.unpack_from("<H", entry)[0] != tag]
        entries.append(struct.pack("<HHI", tag, kind, number) + place)
    entries.sort(key=lambda entry: struct.unpack_from("<H", entry)[0])
    where = len(data)
    data += struct.pack("<H", len(entries)) + b"".join(entries) + struct.pack("<I", next_at or 0)
    return data[:4] + struct.pack("<I", where) + data[8:]


def tiff_faults(compression: str) -> Iterator[Fault]:
    """Give TIFF files whose pixels are whole."""

    def write(*tags: tuple[int, int, int, bytes], next_at: int = 0) -> bytes:
        return tiff(*tags, next_at=next_at, compression=compression)

    for name, (tag, kind, value) in TIFF_TAGS.items():
        number = len(value) // _TIFF_SIZES[kind]
        yield name, "plain", write((tag, kind, number, value))
        yield name, "count 0", write((tag, kind, 0, value))
        yield name, "count too large", write((tag, kind, 2**31 - 1, value))
        yield name, "count far too large", write((tag, kind, 2**32 - 1, value))
        yield name, "type unknown", write((tag, 99, number, value))
        for other in (1, 2, 3, 5, 9, 12, 13, 16):
            yield name, f"type {other}", write((tag, other, number, value))
        yield name, "behind the end", write((tag, kind, 4_000, b"\xf0\xff\xff\x7f"))
        yield name, "nonsense", write((tag, kind, number, b"\xff" * len(value)))
    first = struct.unpack_from("<I", write(), 4)[0]
    yield "next IFD", "cyclic", write(next_at=first)
    yield "next IFD", "behind the end", write(next_at=2**31)
    yield "next IFD", "odd", write(next_at=3)
    yield "behind", "junk", write() + noise(500).tobytes()


# --- AVIF


def box(kind: bytes, content: bytes) -> bytes:
    """Make one box."""
    return struct.pack(">I4s", len(content) + 8, kind) + content


def avif_faults() -> Iterator[Fault]:
    """Give AVIF files whose pixels are whole."""
    image = Image.fromarray(pixels())
    plain = save(image, "AVIF", speed=10, quality=90)
    first = struct.unpack_from(">I", plain)[0]
    for kind in (b"free", b"skip", b"uuid", b"zzzz"):
        yield kind.decode(), "behind", plain + box(kind, noise(50).tobytes())
        yield kind.decode(), "many", plain + MANY * box(kind, b"")
        yield kind.decode(), "cut", plain + box(kind, noise(50).tobytes())[:-9]
    yield "behind", "junk", plain + noise(500).tobytes()
    assert plain[4:8] == b"ftyp"
    assert first < len(plain)
    marked = Image.Exif()
    marked[271] = "a maker of cameras"
    for name, options, content in (
        ("Exif", {"exif": marked.tobytes()}, marked.tobytes()[6:]),
        ("mime", {"xmp": b"<x:xmpmeta/>"}, b"<x:xmpmeta/>"),
    ):
        with_item = save(image, "AVIF", speed=10, quality=90, **options)
        at = with_item.rindex(content)
        for fault, value in (("nonsense", b"\xff" * len(content)), ("zeros", bytes(len(content)))):
            yield name, fault, with_item[:at] + value + with_item[at + len(content) :]
        if name == "Exif":
            yield name, "offset too large", with_item[: at - 4] + b"\x7f\xff\xff\xff" + with_item[at:]
        entry = with_item.index(b"infe" + bytes((2, 0, 0, 0)), with_item.index(name.encode()) - 16) - 4
        number = with_item[entry + 12 : entry + 14]
        places = with_item.index(b"iloc")
        for fault, extent in (("extent behind the end", b"\x7f\0\0\0\0\0\1\0"), ("extent empty", bytes(8))):
            data = bytearray(with_item)
            version = data[places + 4]
            here = data.index(number, places + 12)
            here += 2 + (2 if version else 0) + 2
            here += (data[places + 9] >> 4) + 2
            data[here : here + 8] = extent
            yield name, fault, bytes(data)


FAULTS: dict[str, tuple[str, Callable[[], Iterator[Fault]]]] = {
    "PNG": ("PNG", png_faults),
    "JPEG": ("JPEG", jpeg_faults),
    "GIF": ("GIF", gif_faults),
    "WebP": ("WEBP", lambda: webp_faults(lossless=False)),
    "WebP lossless": ("WEBP", lambda: webp_faults(lossless=True)),
    "TIFF": ("TIFF", lambda: tiff_faults("raw")),
    "TIFF LZW": ("TIFF", lambda: tiff_faults("tiff_lzw")),
    "AVIF": ("AVIF", avif_faults),
}


def plain_file(name: str) -> bytes:
    """Give the file without a fault."""
    image = Image.fromarray(pixels())
    match name:
        case "JPEG":
            return jpeg_plain()
        case "GIF":
            return save(image.quantize(64), "GIF")
        case "WebP" | "WebP lossless":
            return save(image, "WEBP", lossless=name != "WebP", quality=90)
        case "TIFF":
            return tiff()
        case "TIFF LZW":
            return tiff(compression="tiff_lzw")
        case "AVIF":
            return save(image, "AVIF", speed=10, quality=90)
        case _:
            return b"".join(png_parts())
