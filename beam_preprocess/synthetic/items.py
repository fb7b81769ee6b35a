"""Items of the synthetic shop: their attributes, and the catalogue line that shows only part of them.

Kind and material are in the text alone, colour and pattern in the photo alone, motion in the clip alone, tone in the
sound alone. The item that an item is an accessory of is in its relations alone, and its season in market signals alone.
Values are spread so evenly, in pairs too, that no attribute can be guessed from another one, and that any two of them
together name a handful of items.
"""

import dataclasses
import itertools
import math
import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

from beam_preprocess.synthetic import media, words

FULL_SIZE = 600
ATTRIBUTES = ("kind", "material", "colour", "pattern", "motion", "tone")
_NO_PHOTO_SHARE, _NO_CLIP_SHARE, _NO_SOUND_SHARE, _NO_DESCRIPTION_SHARE = 0.05, 0.10, 0.30, 0.10
_GROUP_SHARE = 0.06
_ACCESSORY_SHARE, _SIMILAR_SHARE = 0.16, 0.2
NUM_SEASONS, SEASON_DAYS = 4, 12  # the last season lasts until the log ends
_MATERIAL_IN_TITLE = 0.7


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """Item with its ground truth.

    Attributes:
      item_id: Its id.
      group_id: Id of the product it is a variant of.
      latents: Value of each of `ATTRIBUTES`, shown by a modality or not.
      record: The catalogue line.
      quality: 0 to 1, expressed by reviews.
      popularity: Relative probability of being looked at.
      base: Index of the item that it is an accessory of, None for most items.
      seasons: Numbers of the seasons in which it is in fashion.
    """

    item_id: str
    group_id: str
    latents: dict[str, str]
    record: dict[str, Any]
    quality: float
    popularity: float
    base: int | None = None
    seasons: frozenset[int] = frozenset()

    def shows(self, attribute: str) -> bool:
        """Returns whether the item has the modality that shows this attribute."""
        if attribute in ("colour", "pattern"):
            return bool(self.record.get("images"))
        if attribute in ("motion", "tone"):
            return bool(self.record.get("video" if attribute == "motion" else "audio"))
        return True

    def ground_truth(self) -> dict[str, Any]:
        """Returns the line of `items_truth.jsonl`."""
        record: dict[str, Any] = {"item_id": self.item_id, "group_id": self.group_id, **self.latents}
        record |= {f"shows_{attribute}": self.shows(attribute) for attribute in ATTRIBUTES}
        return record | {"base": self.base, "seasons": sorted(self.seasons)}


def season_of(day: int) -> int:
    """Returns the season of a day of the log."""
    return min(day // SEASON_DAYS, NUM_SEASONS - 1)


def vocabularies(num_items: int) -> dict[str, tuple[str, ...]]:
    """Returns the values in use of each attribute: all for 600 items, fewer in a smaller shop, so that pairs exist."""
    share = min(1.0, math.sqrt(num_items / FULL_SIZE))
    full: dict[str, Sequence[str]] = {
        "kind": tuple(words.KINDS),
        "material": words.MATERIALS,
        "colour": tuple(media.COLOURS),
        "pattern": tuple(media.PATTERNS),
        "motion": media.MOTIONS,
        "tone": media.TONES,
    }
    return {name: tuple(values[: max(2, math.ceil(share * len(values)))]) for name, values in full.items()}


def make_items(num_items: int, *, seed: int) -> list[Item]:
    """Returns the items, in order of their ids."""
    rng = random.Random(f"{seed}/items")
    leaders = _group_leaders(num_items, rng)
    latents = _latents(leaders, vocabularies(num_items), rng)
    ranks = list(range(num_items))
    rng.shuffle(ranks)
    bases = [_accessory_base(index, latents, rng) for index in range(num_items)]
    seasons = _seasons(latents, rng)
    texts: dict[int, dict[str, Any]] = {}
    items = []
    for index, leader in enumerate(leaders):
        if leader not in texts:
            texts[leader] = _text_fields(latents[leader], rng)
        item_id, group_id = f"item-{index:05d}", f"group-{leader:05d}"
        record = {"item_id": item_id, "group_id": group_id, **texts[leader], **_offer_fields(texts[leader], rng)}
        record |= _media_fields(item_id, rng) | _relations(index, bases[index], latents, rng)
        items.append(
            Item(
                item_id=item_id,
                group_id=group_id,
                latents=latents[index],
                record=record,
                quality=rng.random(),
                popularity=1.0 / math.sqrt(ranks[index] + 10),
                base=bases[index],
                seasons=frozenset(seasons[index]),
            )
        )
    return items


def _group_leaders(num_items: int, rng: random.Random) -> list[int]:
    """For each item the first item of its group; about one in ten items is in a group of two."""
    leaders = list(range(num_items))
    for index in range(1, num_items):
        if leaders[index - 1] == index - 1 and rng.random() < _GROUP_SHARE:
            leaders[index] = index - 1
    return leaders


def _latents(leaders: list[int], values: dict[str, tuple[str, ...]], rng: random.Random) -> list[dict[str, str]]:
    """Attribute values of each item, each time the value that keeps it and its pairs with the others most even."""
    seen: Counter[tuple[str, ...]] = Counter()
    latents: list[dict[str, str]] = []
    for index, leader in enumerate(leaders):
        chosen: dict[str, str] = {}
        for attribute in ATTRIBUTES:
            if leader != index and attribute in ("kind", "material"):
                chosen[attribute] = latents[leader][attribute]
                continue
            taken = latents[leader]["colour"] if leader != index and attribute == "colour" else None
            options = [value for value in values[attribute] if value != taken]
            chosen[attribute] = min(options, key=lambda value: (_imbalance(seen, chosen, value), rng.random()))
        names = list(chosen.values())
        seen.update((name,) for name in names)
        seen.update(itertools.combinations(names, 2))
        latents.append(chosen)
    return latents


def _imbalance(seen: Counter[tuple[str, ...]], chosen: dict[str, str], value: str) -> int:
    """Count of `value` so far, alone and, with more weight, beside each value chosen before it."""
    return seen[(value,)] + 6 * sum(seen[(other, value)] ** 2 for other in chosen.values())


def _text_fields(latents: dict[str, str], rng: random.Random) -> dict[str, Any]:
    """Title, description, category and brand."""
    kind, material = latents["kind"], latents["material"]
    brand = rng.choice(words.BRANDS)
    model = f"{rng.choice(words.MODELS)} {rng.randrange(100, 1000)}"
    described = rng.random() >= _NO_DESCRIPTION_SHARE
    in_title = not described or rng.random() < _MATERIAL_IN_TITLE
    made = material if in_title else brand
    title = rng.choice([f"{made.title()} {kind.title()} {model}", f"{kind.title()} {model}, {made}"])
    record: dict[str, Any] = {"title": title}
    if described:
        sentences = rng.sample(words.FILLER_SENTENCES, 2)
        if not in_title:
            sentences.insert(rng.randrange(3), rng.choice(words.MATERIAL_SENTENCES).format(material=material))
        record["description"] = " ".join(sentences)
    return record | {"category": list(words.KINDS[kind]), "brand": brand}


def _offer_fields(text: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    """Attributes, price and stock. Kinds differ in price by the length of their name."""
    level = 8.0 + 6.0 * len(text["category"][-1])
    return {
        "attributes": {"size": rng.choice(words.SIZES)},
        "price": round(level * math.exp(rng.gauss(0, 0.35)), 2),
        "currency": "EUR",
        "in_stock": rng.random() < 0.92,
    }


def _media_fields(item_id: str, rng: random.Random) -> dict[str, Any]:
    """Addresses of the media that the item has, relative to the shop."""
    record: dict[str, Any] = {}
    if rng.random() >= _NO_PHOTO_SHARE:
        record["images"] = [f"media/photos/{item_id}.{rng.choice(['jpg', 'jpg', 'png'])}"]
    if rng.random() >= _NO_CLIP_SHARE:
        record["video"] = f"media/clips/{item_id}.mp4"
    if rng.random() >= _NO_SOUND_SHARE:
        record["audio"] = f"media/sounds/{item_id}.wav"
    return record


def _accessory_base(index: int, latents: list[dict[str, str]], rng: random.Random) -> int | None:
    """For about a sixth of the items the item of another kind that it is an accessory of."""
    far = [i for i, other in enumerate(latents) if other["kind"] != latents[index]["kind"]]
    return rng.choice(far) if far and rng.random() < _ACCESSORY_SHARE else None


def _relations(index: int, base: int | None, latents: list[dict[str, str]], rng: random.Random) -> dict[str, Any]:
    """Edges: `accessory_of` the base, and from about a fifth of the items `similar` within the kind."""
    near = [i for i, other in enumerate(latents) if other["kind"] == latents[index]["kind"] and i != index]
    edges = [("accessory_of", base)] if base is not None else []
    if rng.random() < _SIMILAR_SHARE:
        edges += [("similar", i) for i in rng.sample(near, min(2, len(near)))]
    relations = [{"type": edge, "item_id": f"item-{i:05d}"} for edge, i in edges]
    return {"relations": relations} if relations else {}


def _seasons(latents: list[dict[str, str]], rng: random.Random) -> list[set[int]]:
    """The seasons of each item: in each season about one in twelve items of a kind is in fashion, at least two."""
    seasons: list[set[int]] = [set() for _ in latents]
    for kind in sorted({values["kind"] for values in latents}):
        members = [i for i, values in enumerate(latents) if values["kind"] == kind]
        for season in range(NUM_SEASONS):
            for index in rng.sample(members, min(len(members), max(2, round(len(members) / 12)))):
                seasons[index].add(season)
    return seasons
