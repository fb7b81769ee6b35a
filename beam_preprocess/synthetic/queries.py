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

from beam_preprocess.synthetic import media
from beam_preprocess.synthetic import words as synthetic_words
from beam_preprocess.synthetic.items import FULL_SIZE, NUM_SEASONS, Item, season_of

MOST_RELEVANT = 10
THEMSELVES, ACCESSORIES, IN_FASHION, IN_STYLE = "themselves", "accessories", "in fashion", "in style"
_WISHES = {
    THEMSELVES: synthetic_words.WISHES,
    ACCESSORIES: synthetic_words.ACCESSORY_WISHES,
    IN_FASHION: synthetic_words.FASHION_WISHES,
    IN_STYLE: synthetic_words.STYLE_WISHES,
}


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Form:
    """A way to ask.

    Attributes:
      name: What the query is made of: text, photo, clip, sound, or a sum of these.
      needs: The modality of the items without which it cannot be answered.
      said: Attributes put into words, beside the kind.
      known: Attributes that the profile of who asks tells.
      shown: Attributes shown in the query's photo or clip, or heard in its sound.
      kind: Whether the kind of product is said.
      asks: Whether it asks for items that are such themselves, for accessories of such items, for those of them that
        are in fashion, or for those in the style of who asks.
      share: Relative number of searches, in per cent.
      judged: Number of judged queries in a shop of 600 items.
    """

    name: str
    needs: str
    said: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()
    kind: bool = True
    asks: str = THEMSELVES
    share: int
    judged: int

    @property
    def wants(self) -> tuple[str, ...]:
        """Every attribute that an answer must match."""
        return (("kind",) if self.kind else ()) + self.said + self.known + self.shown


FORMS = (
    Form(name="text", needs="text", said=("material",), share=14, judged=75),
    Form(name="text", needs="image", said=("colour",), share=18, judged=10),
    Form(name="text", needs="image", said=("pattern",), share=14, judged=8),
    Form(name="text", needs="image", said=("colour", "pattern"), share=9, judged=9),
    Form(name="photo", needs="image", shown=("colour", "pattern"), kind=False, share=22, judged=40),
    Form(name="photo+text", needs="image", shown=("colour", "pattern"), share=6, judged=8),
    Form(name="text", needs="video", said=("motion",), share=16, judged=28),
    Form(name="clip+text", needs="video", shown=("motion",), share=13, judged=47),
    Form(name="sound+text", needs="audio", shown=("tone",), share=13, judged=75),
    Form(name="text", needs="trend", asks=IN_FASHION, share=10, judged=75),
    Form(name="text+profile", needs="profile", known=("material",), asks=IN_STYLE, share=9, judged=75),
)
# What shoppers typed who left and come back: nothing is typed then, only their earlier search tells.
LEFT_FORM = FORMS[0]
# Not asked for in the shop: a model of its size learns what an accessory is, but not of what.
ACCESSORY_FORM = Form(name="text", needs="graph", asks=ACCESSORIES, share=80, judged=75)
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
      profile: The `profile` field of an event.
      intent: What its words give away, or None.
      relevant: The items that answer it, by id.
    """

    form: Form
    wants: dict[str, str]
    record: dict[str, str]
    profile: dict[str, str]
    intent: str | None
    relevant: tuple[str, ...]


class Answers:
    """Which items answer what is wanted."""

    def __init__(self, items: Sequence[Item]) -> None:
        self._items = items

    def matching(self, wants: dict[str, str], *, asks: str = THEMSELVES, season: int = 0) -> tuple[str, ...]:
        """Ids of the items that have these values and the modalities that tell them, or of what is asked for them."""
        return tuple(
            item.item_id
            for item, meant in self._meant(asks)
            if all(meant.latents[name] == value and meant.shows(name) for name, value in wants.items())
            and (asks != IN_FASHION or season in item.seasons)
        )

    def combinations(self, attributes: Sequence[str], *, asks: str = THEMSELVES) -> list[dict[str, str]]:
        """Every combination of values that some item answers, sorted."""
        found = {
            tuple(meant.latents[name] for name in attributes)
            for _, meant in self._meant(asks)
            if all(meant.shows(name) for name in attributes)
        }
        return [dict(zip(attributes, values, strict=True)) for values in sorted(found)]

    def _meant(self, asks: str) -> list[tuple[Item, Item]]:
        """Items that may be answers, each with the item that what is wanted is said of."""
        if asks == ACCESSORIES:
            return [(item, self._items[item.base]) for item in self._items if item.base is not None]
        return [(item, item) for item in self._items]


class QueryMaker:
    """Makes queries for training searches, out of a pool of media, and judged ones with media and phrases of their own.

    Attributes:
      drawings: Every query photo, clip and sound that has to be made.
    """

    def __init__(self, items: Sequence[Item], *, seed: int) -> None:
        self._answers = Answers(items)
        self._items = items
        self._seed = seed
        self._limit = max(MOST_RELEVANT, len(items) // 60)
        self._scale = min(1.0, len(items) / FULL_SIZE)
        self._known: dict[tuple[object, ...], tuple[str, ...]] = {}
        self.drawings: list[media.Drawing] = []
        self._pool: dict[tuple[str, ...], list[str]] = defaultdict(list)
        self._fill_pool(("colour", "pattern"), total=round(400 * self._scale), per_value=3)
        self._fill_pool(("motion",), total=round(300 * self._scale), per_value=6)
        self._fill_pool(("tone",), total=round(300 * self._scale), per_value=6)

    def training(self, anchor: Item, form: Form, rng: random.Random, *, day: int) -> Query | None:
        """A query of this form that `anchor` answers, or an item of its kind that is in fashion on `day`.

        None when the anchor lacks the modality or is no accessory.
        """
        if form.asks == ACCESSORIES:
            if anchor.base is None:
                return None
            anchor = self._items[anchor.base]
        if not all(anchor.shows(name) for name in form.wants):
            return None
        wants = {name: anchor.latents[name] for name in form.wants}
        phrases = [i for i in range(len(synthetic_words.PHRASES)) if i != _held_out(wants)]
        uri = rng.choice(self._pool[tuple(wants[name] for name in form.shown)]) if form.shown else None
        return self._query(form, wants, phrase=rng.choice(phrases), uri=uri, rng=rng, season=season_of(day))

    def judged(self, form: Form, rng: random.Random, *, unseen: bool = True) -> list[Query]:
        """The judged queries of this form, asked in the last season.

        Each asks for something else, in a phrase unseen for it in training unless `unseen` is False; accessories and
        fashion in each way.
        """
        ways = len(_WISHES[form.asks]) if form.asks in (ACCESSORIES, IN_FASHION) else 1
        chosen = [
            wants
            for wants in self._answers.combinations(form.wants, asks=form.asks)
            if len(self._matching(form, wants, NUM_SEASONS - 1)) <= self._limit
        ] * ways
        rng.shuffle(chosen)
        queries = []
        for wants in chosen[: max(2, round(form.judged * math.sqrt(self._scale)))]:
            uri = self._draw("judged", {name: wants[name] for name in form.shown}) if form.shown else None
            phrase = (_held_out(wants) + int(not unseen)) % len(synthetic_words.PHRASES)
            queries.append(self._query(form, wants, phrase=phrase, uri=uri, rng=rng, season=NUM_SEASONS - 1))
        return queries

    def _matching(self, form: Form, wants: dict[str, str], season: int) -> tuple[str, ...]:
        key = (form.asks, season if form.asks == IN_FASHION else None, *wants.items())
        if key not in self._known:
            self._known[key] = self._answers.matching(wants, asks=form.asks, season=season)
        return self._known[key]

    def _query(
        self, form: Form, wants: dict[str, str], *, phrase: int, uri: str | None, rng: random.Random, season: int
    ) -> Query:
        record: dict[str, str] = {}
        intent = None
        if form.kind:
            template, intent = synthetic_words.PHRASES[phrase]
            record["text"] = template.format(wish=_wish(form, wants, rng))
        if uri is not None:
            record[_MEDIUM_OF[form.shown[0]]] = uri
        relevant = self._matching(form, wants, season)
        profile = {"style": synthetic_words.STYLES[wants["material"]]} if form.known else {}
        return Query(form=form, wants=wants, record=record, profile=profile, intent=intent, relevant=relevant)

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
        self.drawings.append(media.drawing(uri, values=values, seed=self._seed))
        return uri


def _wish(form: Form, wants: dict[str, str], rng: random.Random) -> str:
    """What is said: the kind of product, and in some order the words for the attributes that are not shown."""
    words = " ".join(synthetic_words.MOTION_WORDS.get(wants[name], wants[name]) for name in form.said)
    if not words and form.asks == THEMSELVES:
        return wants["kind"]
    return rng.choice(_WISHES[form.asks]).format(words=words, kind=wants["kind"])


def _held_out(wants: dict[str, str]) -> int:
    """Number of the phrase that training never uses for these wants, so that judged queries can."""
    digest = hashlib.sha256("/".join(wants.values()).encode()).digest()
    return digest[0] % len(synthetic_words.PHRASES)
