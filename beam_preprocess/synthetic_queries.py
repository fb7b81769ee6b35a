"""Queries of the synthetic shop, each with the modality it needs and the items that answer it.

A query wants some attribute values. What is wanted is said in words, or shown or heard in a fresh photo, clip or sound;
the items that answer it have these values *and* the modality that tells them.
"""

import dataclasses
import hashlib
import math
import random
from collections import defaultdict
from collections.abc import Sequence

from beam_preprocess import rendering, synthetic_words
from beam_preprocess.synthetic_items import FULL_SIZE, Item

MOST_RELEVANT = 10


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Form:
    """A way to ask.

    Attributes:
      name: What the query is made of: text, photo, clip, sound, or a sum of these.
      needs: The modality of the items without which it cannot be answered.
      said: Attributes put into words, beside the kind.
      shown: Attributes shown in the query's photo or clip, or heard in its sound.
      kind: Whether the kind of product is said.
      share: Relative number of searches, in per cent.
      judged: Number of judged queries in a shop of 600 items.
    """

    name: str
    needs: str
    said: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()
    kind: bool = True
    share: int
    judged: int

    @property
    def wants(self) -> tuple[str, ...]:
        """Every attribute that an answer must match."""
        return (("kind",) if self.kind else ()) + self.said + self.shown


FORMS = (
    Form(name="text", needs="text", said=("material",), share=16, judged=75),
    Form(name="text", needs="image", said=("colour",), share=16, judged=20),
    Form(name="text", needs="image", said=("pattern",), share=12, judged=10),
    Form(name="text", needs="image", said=("colour", "pattern"), share=7, judged=10),
    Form(name="photo", needs="image", shown=("colour", "pattern"), kind=False, share=18, judged=25),
    Form(name="photo+text", needs="image", shown=("colour", "pattern"), share=6, judged=10),
    Form(name="text", needs="video", said=("motion",), share=16, judged=38),
    Form(name="clip+text", needs="video", shown=("motion",), share=13, judged=37),
    Form(name="sound+text", needs="audio", shown=("tone",), share=13, judged=75),
)
JUDGED_HISTORIES = 75
# The part of a query that an attribute is shown in, and where its files lie.
_MEDIUM_OF = {"colour": "image", "pattern": "image", "motion": "video", "tone": "audio"}
_FILES = {"image": ("photos", "jpg"), "video": ("clips", "mp4"), "audio": ("sounds", "wav")}


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Query:
    """One query and its answer.

    Attributes:
      form: How it asks.
      wants: Value of each wanted attribute.
      record: The `query` field of an event.
      intent: What its words give away, or None.
      relevant: The items that answer it, by id.
    """

    form: Form
    wants: dict[str, str]
    record: dict[str, str]
    intent: str | None
    relevant: tuple[str, ...]


class Answers:
    """Which items answer what is wanted."""

    def __init__(self, items: Sequence[Item]) -> None:
        self._items = items

    def matching(self, wants: dict[str, str]) -> tuple[str, ...]:
        """Ids of the items that have these values and the modalities that tell them."""
        return tuple(
            item.item_id
            for item in self._items
            if all(item.latents[name] == value and item.shows(name) for name, value in wants.items())
        )

    def combinations(self, attributes: Sequence[str]) -> list[dict[str, str]]:
        """Every combination of values that some item answers, sorted."""
        found = {
            tuple(item.latents[name] for name in attributes)
            for item in self._items
            if all(item.shows(name) for name in attributes)
        }
        return [dict(zip(attributes, values, strict=True)) for values in sorted(found)]


class QueryMaker:
    """Makes queries for training searches, out of a pool of media, and judged ones with media and phrases of their own.

    Attributes:
      drawings: Every query photo, clip and sound that has to be made.
    """

    def __init__(self, items: Sequence[Item], *, seed: int) -> None:
        self._answers = Answers(items)
        self._seed = seed
        self._limit = max(MOST_RELEVANT, len(items) // 60)
        self._scale = min(1.0, len(items) / FULL_SIZE)
        self._known: dict[tuple[tuple[str, str], ...], tuple[str, ...]] = {}
        self.drawings: list[rendering.Drawing] = []
        self._pool: dict[tuple[str, ...], list[str]] = defaultdict(list)
        self._fill_pool(("colour", "pattern"), total=round(400 * self._scale), per_value=3)
        self._fill_pool(("motion",), total=round(300 * self._scale), per_value=6)
        self._fill_pool(("tone",), total=round(300 * self._scale), per_value=6)

    def training(self, anchor: Item, form: Form, rng: random.Random) -> Query | None:
        """A query of this form that `anchor` answers; None when the anchor lacks the modality."""
        if not all(anchor.shows(name) for name in form.wants):
            return None
        wants = {name: anchor.latents[name] for name in form.wants}
        phrases = [i for i in range(len(synthetic_words.PHRASES)) if i != _held_out(wants)]
        uri = rng.choice(self._pool[tuple(wants[name] for name in form.shown)]) if form.shown else None
        return self._query(form, wants, phrase=rng.choice(phrases), uri=uri, rng=rng)

    def judged(self, form: Form, rng: random.Random) -> list[Query]:
        """The judged queries of this form: each asks for something else, in a phrase unseen for it in training."""
        chosen = [
            wants for wants in self._answers.combinations(form.wants) if len(self._matching(wants)) <= self._limit
        ]
        rng.shuffle(chosen)
        queries = []
        for wants in chosen[: max(2, round(form.judged * math.sqrt(self._scale)))]:
            uri = self._draw("judged", {name: wants[name] for name in form.shown}) if form.shown else None
            queries.append(self._query(form, wants, phrase=_held_out(wants), uri=uri, rng=rng))
        return queries

    def _matching(self, wants: dict[str, str]) -> tuple[str, ...]:
        key = tuple(wants.items())
        if key not in self._known:
            self._known[key] = self._answers.matching(wants)
        return self._known[key]

    def _query(self, form: Form, wants: dict[str, str], *, phrase: int, uri: str | None, rng: random.Random) -> Query:
        record: dict[str, str] = {}
        intent = None
        if form.kind:
            template, intent = synthetic_words.PHRASES[phrase]
            record["text"] = template.format(wish=_wish(form, wants, rng))
        if uri is not None:
            record[_MEDIUM_OF[form.shown[0]]] = uri
        return Query(form=form, wants=wants, record=record, intent=intent, relevant=self._matching(wants))

    def _fill_pool(self, attributes: tuple[str, ...], *, total: int, per_value: int) -> None:
        """Draws about `total` query media, at least `per_value` for each combination of values."""
        combinations = self._answers.combinations(attributes)
        for wants in combinations:
            for _ in range(max(per_value, round(total / len(combinations)))):
                self._pool[tuple(wants.values())].append(self._draw("seen", wants))

    def _draw(self, prefix: str, values: dict[str, str]) -> str:
        number = len(self.drawings)
        folder, suffix = _FILES[_MEDIUM_OF[next(iter(values))]]
        uri = f"media/queries/{folder}/{prefix}-{number:05d}.{'png' if suffix == 'jpg' and number % 3 == 0 else suffix}"
        self.drawings.append(rendering.drawing(uri, values=values, seed=self._seed))
        return uri


def _wish(form: Form, wants: dict[str, str], rng: random.Random) -> str:
    """What is said: the kind of product, and in some order the words for the attributes that are not shown."""
    words = " ".join(synthetic_words.MOTION_WORDS.get(wants[name], wants[name]) for name in form.said)
    if not words:
        return wants["kind"]
    return rng.choice(synthetic_words.WISHES).format(words=words, kind=wants["kind"])


def _held_out(wants: dict[str, str]) -> int:
    """Number of the phrase that training never uses for these wants, so that judged queries can."""
    digest = hashlib.sha256("/".join(wants.values()).encode()).digest()
    return digest[0] % len(synthetic_words.PHRASES)
