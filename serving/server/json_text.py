"""JSON text to Python values and back, with the tokens and the messages of TF Serving's parser.

Beyond strict JSON it takes NaN, Infinity and Inf. Bytes that are not UTF-8 and lone surrogates become U+FFFD: text of
unknown origin is never a reason to fail. Nesting beyond Python's recursion limit is an error, not a crash.
"""

import json
import re
from typing import Any

from serving.server.errors import invalid

RAPIDJSON_WORDS: tuple[tuple[str, str], ...] = (
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
LOOKED_BACK_CHARACTERS = 100_000
SURROGATE = re.compile("[\ud800-\udfff]")
TYPE_WORDS: dict[type, str] = {dict: "Object", list: "Array", str: "String", int: "Number", float: "Number"}


def parse(body: bytes) -> Any:
    """The value of a JSON document.

    Raises:
      ServingError: INVALID_ARGUMENT `JSON Parse error: ... at offset: N`, N in bytes of the UTF-8 text.
    """
    text = body.decode("utf-8", "replace").removeprefix("\ufeff")
    if not text.strip():
        raise invalid("JSON Parse error: The document is empty")
    try:
        try:
            return json.loads(text)
        except json.JSONDecodeError:
            if "Inf" not in text:
                raise
            return json.loads(STRING_OR_INF.sub(_spell_infinity, text))
    except json.JSONDecodeError as error:
        offset = len(text[: error.pos].encode("utf-8", "replace"))
        raise invalid(f"JSON Parse error: {_words(error, text)} at offset: {offset}") from error
    except RecursionError as error:
        raise invalid("JSON Parse error: Terminate parsing due to Handler error. It is nested too deeply.") from error
    except ValueError as error:
        raise invalid("JSON Parse error: Number too big to be stored in double.") from error


def dump(value: Any) -> bytes:
    """The value as JSON in UTF-8, with bare NaN and Infinity tokens as TF Serving writes them."""
    return json.dumps(value, ensure_ascii=False, allow_nan=True).encode("utf-8", "replace")


def type_word(value: Any) -> str:
    """What TF Serving calls the value's JSON type."""
    if value is None:
        return "Null"
    if isinstance(value, bool):
        return "True" if value else "False"
    return TYPE_WORDS[type(value)]


def utf8(text: str) -> bytes:
    """The text in UTF-8; a lone surrogate (possible in JSON by escape) becomes U+FFFD."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return SURROGATE.sub("\ufffd", text).encode()


def _spell_infinity(match: re.Match[str]) -> str:
    return "Infinity" if match.group() == "Inf" else match.group()


def _words(error: json.JSONDecodeError, text: str) -> str:
    """The words of TF Serving's JSON library for a fault that Python found."""
    if error.msg.startswith("Expecting ',' delimiter"):
        opened = re.sub(STRING, "", text[: error.pos], flags=re.DOTALL)
        depth_of_list = _last_open(opened[-LOOKED_BACK_CHARACTERS:]) == "["
        return "Missing a comma or " + ("] after an array element." if depth_of_list else "} after an object member.")
    return next((words for start, words in RAPIDJSON_WORDS if error.msg.startswith(start)), "Invalid value.")


def _last_open(text: str) -> str:
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
