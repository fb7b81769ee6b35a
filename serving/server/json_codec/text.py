"""JSON text to Python values and back, with the tokens and messages of TF Serving's parser (RapidJSON).

Beyond strict JSON it takes NaN, Infinity and Inf. Bytes that are not UTF-8 and lone surrogates become U+FFFD: text of
unknown origin is never a reason to fail. TF Serving passes such bytes through, and reads nothing behind the document.
Nesting beyond Python's recursion limit is an error, not a crash.
"""

import json
import re
from typing import Any

from serving.server.protocol.compatibility import EXTENDED, Compatibility
from serving.server.protocol.errors import invalid

RAPIDJSON_MESSAGES: tuple[tuple[str, str], ...] = (
    ("Extra data", "The document root must not be followed by other values."),
    ("Unterminated string", "Missing a closing quotation mark in string."),
    ("Expecting property name", "Missing a name for object member."),
    ("Expecting ':'", "Missing a colon after a name of object member."),
    ("Invalid control character", "Invalid encoding in string."),
    ("Invalid \\escape", "Invalid escape character in string."),
    ("Invalid \\uXXXX escape", "Incorrect hex digit after \\u escape in string."),
)
STRING = r'"(?:[^"\\]|\\.)*+"?'  # Possessive, and an open string runs to the end: linear time on any text.
STRING_OR_INF = re.compile(rf"{STRING}|\bInf\b", re.DOTALL)
STRING_OR_FLOAT = re.compile(rf"{STRING}|-?\d+(?:\.\d+(?:e[+-]?\d+)?|e[+-]?\d+)", re.DOTALL)
RAW_BYTES = "surrogateescape"
MAX_LOOKBACK_CHARACTERS = 100_000
SURROGATE = re.compile("[\ud800-\udfff]")
JSON_TYPE_NAMES: dict[type, str] = {dict: "Object", list: "Array", str: "String", int: "Number", float: "Number"}


def parse_json(body: bytes, compatibility: Compatibility = EXTENDED) -> Any:
    """Parses a JSON document.

    Args:
      body: The bytes of the request.
      compatibility: Whether bytes that are not UTF-8 are replaced, and bytes behind the document are an error.

    Raises:
      ServingError: INVALID_ARGUMENT `JSON Parse error: ... at offset: N`, N in bytes of the UTF-8 text.
    """
    text = body.decode("utf-8", "replace" if compatibility.writes_valid_json else RAW_BYTES).removeprefix("\ufeff")
    if not text.strip():
        raise invalid("JSON Parse error: The document is empty")
    try:
        try:
            return _load(text, compatibility)
        except json.JSONDecodeError:
            if "Inf" not in text:
                raise
            return _load(STRING_OR_INF.sub(_spell_infinity, text), compatibility)
    except json.JSONDecodeError as error:
        offset = len(text[: error.pos].encode("utf-8", "replace"))
        raise invalid(f"JSON Parse error: {_rapidjson_message(error, text)} at offset: {offset}") from error
    except RecursionError as error:
        raise invalid("JSON Parse error: Terminate parsing due to Handler error. It is nested too deeply.") from error
    except ValueError as error:
        raise invalid("JSON Parse error: Number too big to be stored in double.") from error


def dump_json(value: Any, compatibility: Compatibility = EXTENDED) -> bytes:
    """Writes a value as JSON in UTF-8; NaN and infinite floats are bare tokens, so valid JSON has none of them."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=True)
    if compatibility.writes_valid_json:
        return text.encode("utf-8", "replace")
    return STRING_OR_FLOAT.sub(_spell_float, text).encode("utf-8", RAW_BYTES)


def json_type_name(value: Any) -> str:
    """Returns TF Serving's name of the value's JSON type."""
    if value is None:
        return "Null"
    if isinstance(value, bool):
        return "True" if value else "False"
    return JSON_TYPE_NAMES[type(value)]


def utf8(text: str, *, raw: bool = False) -> bytes:
    """Encodes text in UTF-8; a lone surrogate (possible in JSON by escape) becomes U+FFFD, raw bytes come back."""
    try:
        return text.encode("utf-8", RAW_BYTES if raw else "strict")
    except UnicodeEncodeError:
        return SURROGATE.sub("\ufffd", text).encode()


def valid_text(text: str) -> str:
    """Returns the text with U+FFFD for lone surrogates, which a proto's string cannot hold."""
    return SURROGATE.sub("\ufffd", text)


def _load(text: str, compatibility: Compatibility) -> Any:
    if compatibility.rejects_trailing_bytes:
        return json.loads(text)
    start = len(text) - len(text.lstrip(" \t\r\n"))
    return json.JSONDecoder().raw_decode(text, start)[0]


def _spell_float(match: re.Match[str]) -> str:
    """A float in at most six digits where that reads back the same (`9e+06`), as TF Serving prints it."""
    text = match.group()
    if text.startswith('"'):
        return text
    short = f"{float(text):g}"
    if float(short) != float(text):
        return text
    return short if "." in short or "e" in short else f"{short}.0"


def _spell_infinity(match: re.Match[str]) -> str:
    return "Infinity" if match.group() == "Inf" else match.group()


def _rapidjson_message(error: json.JSONDecodeError, text: str) -> str:
    """The words of TF Serving's JSON library for a fault that Python found."""
    if error.msg.startswith("Expecting ',' delimiter"):
        opened = re.sub(STRING, "", text[: error.pos], flags=re.DOTALL)
        depth_of_list = _innermost_open_bracket(opened[-MAX_LOOKBACK_CHARACTERS:]) == "["
        return "Missing a comma or " + ("] after an array element." if depth_of_list else "} after an object member.")
    return next((words for start, words in RAPIDJSON_MESSAGES if error.msg.startswith(start)), "Invalid value.")


def _innermost_open_bracket(text: str) -> str:
    """The bracket that is still open at the end of the text (strings already taken out)."""
    closed = 0
    for character in reversed(text):
        if character in "]}":
            closed += 1
        elif character in "[{":
            if closed == 0:
                return character
            closed -= 1
    return ""
