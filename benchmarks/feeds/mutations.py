"""Mutations of exports for the fuzz: separators, encodings, damage, odd values, types, depth and size."""

import gzip
import io
import json
import random
import re
import zipfile
from collections.abc import Callable
from typing import Any

_CELLS = (
    "", "N/A", "-", "0", "-1", "1e999", "NaN", "1.234", "1.234,5", "19,90 €", "US$ 5", "03/04/2024", "31.12.2024",
    "0001-01-01", "9999999999999999999999", "1710010112000", "2024-03-09T12:00:00+99:00", "20240230", "\ufffd",
    "\u0000", "\u202e", "ｆｕｌｌ", "١٢٫٥", "a|b;c,d", "[", "{", "[1,[2,[3]]]", '{"a":{"b":[1]}}', "&bogus;",
    "&#x110000;", "<p>", "</", "<!--", "]]>", '="00123"', "'123", "1.23E+15", "=cmd()", "a@b.example",
    "\u2028", "\\", '"', "''", "://", "http://[", "file:///etc/passwd", "%zz", "true", "inf", "--5", "(5)", "5-", "²",
)  # fmt: skip
_PIECES = (
    b"\x00", b"\r", b"\n", b"\r\n", b'"', b"'", b"\\", b",", b";", b"\t", b"<", b">", b"&", b"{", b"}", b"[", b"]",
    b"\xff\xfe", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\x1a", b"\x85", b"\xe2\x80\xa8", b"sep=;\n", b"null", b"]]>",
    b"<!DOCTYPE x [<!ENTITY a 'b'>]>", b"&a;", b"\\ud800", b"1e999", b"PK\x03\x04", b"\x1f\x8b",
)  # fmt: skip
_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1e308, 10**400, float("nan"), float("inf"), "", "x", "[", [], {}, [[]], [None], [{}],
    {"": None}, {"value": {"value": []}}, "2024-03-09", [1, "a", None], {"@id": "x"}, {"@value": {}}, "\ud800",
)  # fmt: skip
_ENCODINGS = ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig", "cp1252", "cp1251", "gbk", "shift_jis")
_DEPTHS = (50, 2000, 100_000)
_SIZES = (70_000, 1_100_000)

Mutation = Callable[[bytes, random.Random], bytes]


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Returns a changed copy of a file: one to three mutations, one after the other."""
    for _ in range(chance.choice((1, 1, 2, 3))):
        data = chance.choice(MUTATIONS)(data, chance)
    return data


def _separators(data: bytes, chance: random.Random) -> bytes:
    old, new = chance.sample((b",", b";", b"\t", b"|", b"::", b"^"), 2)
    lines = data.splitlines(keepends=True)
    everywhere = chance.random() < 0.6
    return b"".join(line.replace(old, new) if everywhere or chance.random() < 0.5 else line for line in lines)


def _encoding(data: bytes, chance: random.Random) -> bytes:
    return data.decode("utf-8", "replace").encode(chance.choice(_ENCODINGS), "replace")


def _truncated(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data) + 1)]


def _shuffled(data: bytes, chance: random.Random) -> bytes:
    lines = data.splitlines(keepends=True)
    chance.shuffle(lines)
    return b"".join(lines)


def _columns(data: bytes, chance: random.Random) -> bytes:
    """Repeats, empties, removes or exchanges cells of the first line."""
    first, _, rest = data.partition(b"\n")
    cells = re.split(rb"([,;\t|])", first)
    place, other = chance.randrange(len(cells)), chance.randrange(len(cells))
    action = chance.randrange(4)
    if action == 0:
        cells.append(b"," + cells[place])
    elif action == 1:
        cells[place] = b""
    elif action == 2:
        cells[place] = cells[other]
    else:
        cells[place], cells[other] = cells[other], cells[place]
    return b"".join(cells) + b"\n" + rest


def _cell(data: bytes, chance: random.Random) -> bytes:
    lines = data.splitlines(keepends=True) or [b""]
    number = chance.randrange(len(lines))
    cells = re.split(rb"([,;\t|])", lines[number])
    cells[chance.randrange(len(cells))] = chance.choice(_CELLS).encode()
    lines[number] = b"".join(cells)
    return b"".join(lines)


def _flipped(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.choice((1, 4, 64)) if changed else 0):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _repeated(data: bytes, chance: random.Random) -> bytes:
    lines = data.splitlines(keepends=True) or [b""]
    place = chance.randrange(len(lines))
    return b"".join(lines[:place] + lines[place : place + 1] * chance.choice((2, 40)) + lines[place:])


def _piece(data: bytes, chance: random.Random) -> bytes:
    for _ in range(chance.choice((1, 3))):
        place = chance.randrange(len(data) + 1)
        data = data[:place] + chance.choice(_PIECES) + data[place:]
    return data


def _slice(data: bytes, chance: random.Random) -> bytes:
    """Removes or repeats a slice."""
    begin = chance.randrange(len(data) + 1)
    end = min(len(data), begin + chance.choice((1, 10, 200)))
    return data[:begin] + data[begin:end] * chance.choice((0, 2)) + data[end:]


def _huge(data: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(len(data) + 1)
    unit = chance.choice((b"x", b"1", b"<p>", b"<", b"&amp;", b'"', b"\n", b",", b"a,", b"{", b"[1,", b"/", b" ", b">"))
    return data[:place] + unit * (chance.choice(_SIZES) // len(unit)) + data[place:]


def _line_ends(data: bytes, chance: random.Random) -> bytes:
    return data.replace(b"\n", chance.choice((b"\r", b"\r\n", b"\n\n", b"\r\r\n", b"\n\r")))


def _packed(data: bytes, chance: random.Random) -> bytes:
    if chance.random() < 0.5:
        return gzip.compress(data, 0, mtime=0)  # not smaller, as the limit of time is by size
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for number in range(chance.choice((1, 2))):
            archive.writestr(zipfile.ZipInfo(f"part-{number}.txt"), data)
    return packed.getvalue()


def _json_value(data: bytes, chance: random.Random) -> bytes:
    """Puts another value at a random place of a JSON document, or of some of its lines."""
    try:
        return json.dumps(_exchanged(json.loads(data), chance, chance.choice(_VALUES))).encode()
    except (ValueError, RecursionError):
        pass
    lines = data.splitlines()
    for number in chance.sample(range(len(lines)), min(len(lines), chance.choice((1, 3)))):
        try:
            lines[number] = json.dumps(_exchanged(json.loads(lines[number]), chance, chance.choice(_VALUES))).encode()
        except (ValueError, RecursionError):
            continue
    return b"\n".join(lines)


def _depth(data: bytes, chance: random.Random) -> bytes:
    depth = chance.choice(_DEPTHS)
    opened, closed = chance.choice(((b"[", b"]"), (b'{"a":', b"}"), (b"<a>", b"</a>"), (b"<div>", b"</div>")))
    nested = opened * depth + b"1" + closed * depth
    place = chance.choice([match.end() for match in re.finditer(rb"[:>,\t]\s*", data)] or [0])
    return data[:place] + nested + (b"," if chance.random() < 0.5 else b"") + data[place:]


def _exchanged(value: Any, chance: random.Random, other: Any) -> Any:
    if isinstance(value, dict) and value and chance.random() < 0.85:
        name = chance.choice(list(value))
        return {**value, name: _exchanged(value[name], chance, other)}
    if isinstance(value, list) and value and chance.random() < 0.85:
        place = chance.randrange(len(value))
        return [_exchanged(part, chance, other) if number == place else part for number, part in enumerate(value)]
    return other


MUTATIONS: tuple[Mutation, ...] = (
    _separators, _encoding, _truncated, _shuffled, _columns, _cell, _cell, _flipped, _repeated, _piece, _slice, _huge,
    _line_ends, _packed, _json_value, _json_value, _json_value, _depth,
)  # fmt: skip
