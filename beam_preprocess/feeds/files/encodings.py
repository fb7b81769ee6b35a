"""Character encodings of a feed: byte-order mark, UTF-8 where all of it is, else by language or charset-normalizer."""

import codecs
import contextlib
import io
import re
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple, TextIO

import charset_normalizer

from beam_preprocess.feeds.files.locations import InputFile, open_binary
from trainer.language.detection import language_of

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_DECLARED = re.compile(r"""<(?:\?xml|meta)\b[^>]*?(?:encoding|charset)\s*=\s*["']?([\w.:-]+)""", re.IGNORECASE)
_SAMPLE_BYTES = 1 << 18
_WIDE_BYTES = 1 << 14
_CHUNK_BYTES = 1 << 20
_RUNS = re.compile(rb"[\x80-\xff]+")
_FEW = 10  # whole characters to a damaged one: fewer mean another encoding
# Encodings of Latin letters that charset-normalizer may name for a short text in any language.
_LATIN = {"cp1250", "cp1252", "cp1254", "cp1257", "latin_1", "iso8859_15", "iso8859_2", "mac_roman", "cp437", "cp850"}
_LATIN |= {"ascii"}
_TURKISH = b"\xd0\xdd\xde\xf0\xfd\xfe"  # letters of cp1254 that are Icelandic ones in cp1252
_BY_LANGUAGE = dict.fromkeys(("pl", "cs", "sk", "hu", "hr", "sr", "bs", "sl", "ro", "sq"), "cp1250") | dict.fromkeys(
    ("lt", "lv", "et"), "cp1257"
)


class Encoding(NamedTuple):
    """Encoding of a file.

    Attributes:
      name: Python's name.
      damaged: Number of byte sequences that it cannot decode; they are replaced by U+FFFD.
    """

    name: str
    damaged: int = 0


def encoding_of(file: InputFile) -> Encoding:
    """Returns the encoding of a text file, decided by all of its bytes."""
    with open_binary(file) as stream:
        sample = stream.read(_SAMPLE_BYTES)
        for mark, name in _BOMS:
            if sample.startswith(mark):
                return Encoding(name)
        wide = _wide_encoding(sample)
        if wide:
            return Encoding(wide)
        counts = _utf8_counts(sample, stream)
    if not counts.damaged:
        return Encoding("utf-8")
    if counts.damaged * _FEW <= counts.whole:
        return Encoding("utf-8", counts.damaged)
    letters = _around_damage(sample)
    best = None if _stand_alone(sample) else charset_normalizer.from_bytes(letters).best()
    # As UTF-8 the file as a whole is damaged; and a guess among the encodings of Latin letters is chance here.
    if best is None or best.encoding.startswith("utf") or best.encoding in _LATIN:
        return Encoding(_latin_encoding(letters))
    return Encoding(best.encoding)


def _latin_encoding(letters: bytes) -> str:
    """The encoding of Latin letters by the language, which is known by the other letters whatever the accents are."""
    if any(byte in letters for byte in _TURKISH) and language_of(letters.decode("cp1254", "replace")) in ("tr", "az"):
        return "cp1254"
    language = language_of(letters.decode("cp1252", "replace"))
    name = _BY_LANGUAGE.get(language, "cp1252")
    if name != "cp1250" or any(byte in letters for byte in range(0x80, 0xA0)):
        return name
    # Without a byte of Windows alone, the letters that both encodings have at different places decide.
    if language == "pl":
        return "iso8859_2" if b"\xb1" in letters and b"\xb9" not in letters else name
    return "iso8859_2" if b"\xb9" in letters or b"\xbe" in letters else name


def declared_encoding(begin: str, found: Encoding) -> Encoding:
    """Returns the encoding of an XML or HTML document: the declared one, unless its bytes say otherwise.

    Args:
      begin: Its first characters, read in any encoding that keeps ASCII.
      found: Its encoding by its bytes (`encoding_of`).
    """
    declared = _DECLARED.search(begin)
    if found.name.startswith("utf") and not found.damaged or not declared:
        return found
    try:
        name = codecs.lookup(declared[1]).name
    except LookupError:
        return found
    return found if name.startswith("utf") else Encoding(name)


class _Utf8Counts(NamedTuple):
    whole: int
    damaged: int


def _utf8_counts(sample: bytes, stream: BinaryIO) -> _Utf8Counts:
    """Characters beyond ASCII that are whole and damaged when the bytes are read as UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    whole = damaged = 0
    chunk = sample
    while chunk:
        if not chunk.isascii() or decoder.getstate()[0]:
            text = decoder.decode(chunk)
            bad = text.count("\ufffd") - chunk.count("\ufffd".encode())
            damaged += max(bad, 0)
            whole += len(text) - len(text.encode("ascii", "ignore")) - text.count("\ufffd")
        chunk = stream.read(_CHUNK_BYTES)
    return _Utf8Counts(whole, damaged + len(decoder.getstate()[0]))


def _wide_encoding(sample: bytes) -> str:
    """UTF-16 without a mark, known by the zero bytes of its digits, separators and ends of lines; "" otherwise."""
    begin = sample[: len(sample[:_WIDE_BYTES]) // 2 * 2]
    even, odd = begin[0::2].count(0), begin[1::2].count(0)
    if max(even, odd) < max(4, len(begin) // 50) or max(even, odd) <= 4 * min(even, odd):
        return ""
    name = "utf-16-le" if odd > even else "utf-16-be"
    try:
        codecs.getincrementaldecoder(name)().decode(begin)
    except UnicodeDecodeError:
        return ""
    return name


def _stand_alone(sample: bytes) -> bool:
    """Whether bytes beyond ASCII are mostly single, as accented Latin letters are; other scripts have runs."""
    runs = _RUNS.findall(sample)
    return sum(len(run) == 1 for run in runs) > 0.8 * len(runs)


def _around_damage(sample: bytes) -> bytes:
    """Lines with letters beyond ASCII, which alone tell encodings apart."""
    lines = [line for line in sample.splitlines() if not line.isascii()]
    return b"\n".join(lines[:500]) or sample


@contextlib.contextmanager
def open_text(file: InputFile, encoding: Encoding) -> Iterator[TextIO]:
    """Opens a text file; every spelling of a line's end becomes one."""
    with open_binary(file) as stream:
        yield io.TextIOWrapper(stream, encoding=encoding.name, errors="replace", newline=None)
