"""Pseudo-queries: texts and photos that a shopper might search an item by, made from the item itself.

They let a shop without events train, and teach retrieval of items that have no interaction yet. The same item always
gives the same queries; they go to the train split only.
"""

import hashlib
import io
import random
from collections.abc import Callable, Iterator
from typing import Any

from beam_preprocess.events import examples
from beam_preprocess.events.rows import Interaction
from beam_preprocess.items import ValidRecord
from beam_preprocess.media.media_root import MediaRoot, MediaUnavailable
from beam_preprocess.outcomes import Count
from serving.client.errors import MediaError
from serving.client.images import image_wire
from trainer.language.plain_words import is_unspaced, split_words
from trainer.spec.config import Config

_UNSPACED_PIECE = 2  # characters: most words of Chinese have two
_MAX_WORDS = 5
_MIN_CROP = 0.5  # share of the side
Record = dict[str, Any]


def pseudo_query_rows(keyed: tuple[str, ValidRecord], *, media_root: MediaRoot, config: Config) -> Iterator[Any]:
    """Yields (split, shard, (sort key, serialized Example)) of the pseudo-queries of one (item_id, `ValidRecord`)."""
    item_id, (_, record) = keyed
    photo = _photo(record, media_root, config)
    for number in range(config.data.pseudo_queries):
        chance = random.Random(hashlib.sha256(f"{item_id}/{number}".encode()).digest())
        # Text and photo in turn; the photo is an item's own, so the query is a part of it.
        as_photo = photo is not None and number % 2 == 1
        text = "" if as_photo else text_query(record, chance)
        if not text and photo is None:
            continue
        image = {} if text or photo is None else {"query_image": crop(photo, px=config.wire.image_px, chance=chance)}
        yield from examples.serialize_row(Interaction.pseudo(item_id, text, number=number), image, config=config)
        yield Count("pseudo_queries")


def text_query(record: Record, chance: random.Random) -> str:
    """Returns a few words of the item, chosen by `chance`; "" when it has none."""
    makers: list[Callable[[Record, random.Random], list[str]]] = [*_TEXT_MAKERS]
    weights = list(_TEXT_MAKERS.values())
    while makers:
        (index,) = chance.choices(range(len(makers)), weights)
        words = makers[index](record, chance)
        if words:
            return " ".join(words)
        del makers[index], weights[index]
    return ""


def crop(photo: bytes, *, px: int, chance: random.Random) -> bytes:
    """Returns a JPEG of `px` x `px`: a random part of a square JPEG, at least half its side, mirrored half the time."""
    from PIL import Image

    with Image.open(io.BytesIO(photo), formats=("JPEG",)) as image:
        side = max(1, round(image.width * chance.uniform(_MIN_CROP, 1.0)))
        left, top = chance.randint(0, image.width - side), chance.randint(0, image.height - side)
        part = image.crop((left, top, left + side, top + side))
    if chance.random() < 0.5:
        part = part.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    lossless = io.BytesIO()
    part.save(lossless, "PNG")
    return image_wire(lossless.getvalue(), px=px)


def _photo(record: Record, media_root: MediaRoot, config: Config) -> bytes | None:
    """The item's best photo at twice the model's resolution; None when it has no usable one."""
    for uri in record.get("images", []):
        try:
            return image_wire(media_root.read(uri), px=2 * config.wire.image_px)
        except (MediaUnavailable, MediaError):  # counted where the item itself is written
            continue
    return None


def _words(text: str) -> list[str]:
    """The words of a text; a run of a script without spaces is cut into pieces that a shopper might type."""
    words: list[str] = []
    for word in split_words(text):
        cut = _UNSPACED_PIECE if is_unspaced(word) else len(word)
        words += [word[start : start + cut] for start in range(0, len(word), cut)]
    return words


def _span(words: list[str], chance: random.Random, max_words: int = _MAX_WORDS) -> list[str]:
    """A span of consecutive words."""
    if not words:
        return []
    length = chance.randint(1, min(max_words, len(words)))
    start = chance.randint(0, len(words) - length)
    return words[start : start + length]


def _title_span(record: Record, chance: random.Random) -> list[str]:
    return _span(_words(record.get("title", "")), chance)


def _title_subset(record: Record, chance: random.Random) -> list[str]:
    words = _words(record.get("title", ""))
    kept = sorted(chance.sample(range(len(words)), min(len(words), chance.randint(1, _MAX_WORDS))))
    return [words[index] for index in kept]


def _brand_and_kind(record: Record, chance: random.Random) -> list[str]:
    brand, path = _words(record.get("brand", "")), record.get("category", [])
    kind = _words(path[-1]) if path else _span(_words(record.get("title", "")), chance, max_words=2)
    return [*brand, *kind] if brand or path else []


def _attribute_and_kind(record: Record, chance: random.Random) -> list[str]:
    values = sorted(record.get("attributes", {}).values())
    path = record.get("category", [])
    kind = _words(path[-1]) if path else _span(_words(record.get("title", "")), chance, max_words=2)
    return [*_words(chance.choice(values)), *kind][: 2 * _MAX_WORDS] if values else []


def _description_span(record: Record, chance: random.Random) -> list[str]:
    return _span(_words(record.get("description", "")), chance)


_TEXT_MAKERS: dict[Callable[[Record, random.Random], list[str]], float] = {
    _title_span: 0.35,
    _title_subset: 0.25,
    _brand_and_kind: 0.15,
    _attribute_and_kind: 0.1,
    _description_span: 0.15,
}
