"""Queries of the synthetic shop, each with the modality it needs and its relevant items.

A query wants some attribute values. They are named in its text, or shown in a fresh photo, clip or sound; an item is
relevant when it has these values *and* the modality that shows them.
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

MAX_RELEVANT = 10
MATCHING, IN_FASHION, IN_STYLE = "matching", "in fashion", "in style"
_PATTERNS = {
    MATCHING: synthetic_words.QUERY_PATTERNS,
    IN_FASHION: synthetic_words.FASHION_PATTERNS,
    IN_STYLE: synthetic_words.STYLE_PATTERNS,
}


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class QueryForm:
    """Form of a query.

    Attributes:
      name: Components of the query: text, photo, clip, sound, or a sum of these.
      needs: Modality of the items without which it cannot be answered.
      text_attributes: Attributes named in the text, beside the kind.
      profile_attributes: Attributes that the profile of the shopper gives.
      media_attributes: Attributes shown in the photo, clip or sound of the query.
      kind: Whether the text names the kind of product.
      target: Items asked for: all that match, those of them in fashion, or those in the style of the shopper.
      share: Relative number of searches, in per cent.
      judged: Number of judged queries in a shop of 600 items.
    """

    name: str
    needs: str
    text_attributes: tuple[str, ...] = ()
    profile_attributes: tuple[str, ...] = ()
    media_attributes: tuple[str, ...] = ()
    kind: bool = True
    target: str = MATCHING
    share: int
    judged: int

    @property
    def wants(self) -> tuple[str, ...]:
        """Every attribute that a relevant item must match."""
        return (("kind",) if self.kind else ()) + self.text_attributes + self.profile_attributes + self.media_attributes


QUERY_FORMS = (
    QueryForm(name="text", needs="text", text_attributes=("material",), share=14, judged=75),
    QueryForm(name="text", needs="image", text_attributes=("colour",), share=18, judged=10),
    QueryForm(name="text", needs="image", text_attributes=("pattern",), share=14, judged=8),
    QueryForm(name="text", needs="image", text_attributes=("colour", "pattern"), share=9, judged=9),
    QueryForm(name="photo", needs="image", media_attributes=("colour", "pattern"), kind=False, share=22, judged=40),
    QueryForm(name="photo+text", needs="image", media_attributes=("colour", "pattern"), share=6, judged=8),
    QueryForm(name="text", needs="video", text_attributes=("motion",), share=16, judged=28),
    QueryForm(name="clip+text", needs="video", media_attributes=("motion",), share=13, judged=47),
    QueryForm(name="sound+text", needs="audio", media_attributes=("tone",), share=13, judged=75),
    QueryForm(name="text", needs="trend", target=IN_FASHION, share=10, judged=75),
    QueryForm(
        name="text+profile", needs="profile", profile_attributes=("material",), target=IN_STYLE, share=9, judged=75
    ),
)
# Searches that are abandoned: the shopper comes back later without a query, so only the earlier search is evidence.
ABANDONED_FORM = QUERY_FORMS[0]
NUM_HISTORY_QUERIES = 75
# The component of a query that shows an attribute, and the folder of its files.
_MEDIUM_OF = {"colour": "image", "pattern": "image", "motion": "video", "tone": "audio"}
_FILES = {"image": ("photos", "jpg"), "video": ("clips", "mp4"), "audio": ("sounds", "wav")}


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Query:
    """One query and its relevant items.

    Attributes:
      form: Its form.
      wants: Value of each wanted attribute.
      record: The `query` field of an event.
      profile: The `profile` field of an event.
      intent: Intent that its words express, or None.
      relevant: Ids of the relevant items.
    """

    form: QueryForm
    wants: dict[str, str]
    record: dict[str, str]
    profile: dict[str, str]
    intent: str | None
    relevant: tuple[str, ...]


class GroundTruth:
    """Relevant items of wanted attribute values."""

    def __init__(self, items: Sequence[Item]) -> None:
        self._items = items

    def matching(self, wants: dict[str, str], *, target: str = MATCHING, season: int = 0) -> tuple[str, ...]:
        """Returns the ids of the items that have these values and the modalities that show them."""
        return tuple(
            item.item_id
            for item in self._items
            if all(item.latents[name] == value and item.shows(name) for name, value in wants.items())
            and (target != IN_FASHION or season in item.seasons)
        )

    def combinations(self, attributes: Sequence[str]) -> list[dict[str, str]]:
        """Returns every combination of values that some item has and shows, sorted."""
        found = {
            tuple(item.latents[name] for name in attributes)
            for item in self._items
            if all(item.shows(name) for name in attributes)
        }
        return [dict(zip(attributes, values, strict=True)) for values in sorted(found)]


class QueryGenerator:
    """Generator of training queries, from a pool of media, and of judged ones with media and phrases of their own.

    Attributes:
      media: Every query photo, clip and sound to be rendered.
    """

    def __init__(self, items: Sequence[Item], *, seed: int) -> None:
        self._ground_truth = GroundTruth(items)
        self._seed = seed
        self._limit = max(MAX_RELEVANT, len(items) // 60)
        self._scale = min(1.0, len(items) / FULL_SIZE)
        self._known: dict[tuple[object, ...], tuple[str, ...]] = {}
        self.media: list[media.MediaSpec] = []
        self._pool: dict[tuple[str, ...], list[str]] = defaultdict(list)
        self._fill_pool(("colour", "pattern"), total=round(400 * self._scale), per_value=3)
        self._fill_pool(("motion",), total=round(300 * self._scale), per_value=6)
        self._fill_pool(("tone",), total=round(300 * self._scale), per_value=6)

    def training_query(self, anchor: Item, form: QueryForm, rng: random.Random, *, day: int) -> Query | None:
        """Returns a query of this form that `anchor` answers, or an item of its kind that is in fashion on `day`.

        None when the anchor lacks the modality.
        """
        if not all(anchor.shows(name) for name in form.wants):
            return None
        wants = {name: anchor.latents[name] for name in form.wants}
        phrases = [i for i in range(len(synthetic_words.PHRASES)) if i != _held_out_phrase(wants)]
        uri = (
            rng.choice(self._pool[tuple(wants[name] for name in form.media_attributes)])
            if form.media_attributes
            else None
        )
        return self._query(form, wants, phrase=rng.choice(phrases), uri=uri, rng=rng, season=season_of(day))

    def judged_queries(self, form: QueryForm, rng: random.Random, *, unseen: bool = True) -> list[Query]:
        """Returns the judged queries of this form, asked in the last season.

        Each wants other values, in a phrase unseen for them in training unless `unseen` is False; fashion is asked for
        in every phrasing.
        """
        phrasings = len(_PATTERNS[form.target]) if form.target == IN_FASHION else 1
        chosen = [
            wants
            for wants in self._ground_truth.combinations(form.wants)
            if len(self._matching(form, wants, NUM_SEASONS - 1)) <= self._limit
        ] * phrasings
        rng.shuffle(chosen)
        queries = []
        for wants in chosen[: max(2, round(form.judged * math.sqrt(self._scale)))]:
            uri = (
                self._new_medium("judged", {name: wants[name] for name in form.media_attributes})
                if form.media_attributes
                else None
            )
            phrase = (_held_out_phrase(wants) + int(not unseen)) % len(synthetic_words.PHRASES)
            queries.append(self._query(form, wants, phrase=phrase, uri=uri, rng=rng, season=NUM_SEASONS - 1))
        return queries

    def _matching(self, form: QueryForm, wants: dict[str, str], season: int) -> tuple[str, ...]:
        key = (form.target, season if form.target == IN_FASHION else None, *wants.items())
        if key not in self._known:
            self._known[key] = self._ground_truth.matching(wants, target=form.target, season=season)
        return self._known[key]

    def _query(
        self, form: QueryForm, wants: dict[str, str], *, phrase: int, uri: str | None, rng: random.Random, season: int
    ) -> Query:
        record: dict[str, str] = {}
        intent = None
        if form.kind:
            template, intent = synthetic_words.PHRASES[phrase]
            record["text"] = template.format(query=_query_text(form, wants, rng))
        if uri is not None:
            record[_MEDIUM_OF[form.media_attributes[0]]] = uri
        relevant = self._matching(form, wants, season)
        profile = {"style": synthetic_words.STYLES[wants["material"]]} if form.profile_attributes else {}
        return Query(form=form, wants=wants, record=record, profile=profile, intent=intent, relevant=relevant)

    def _fill_pool(self, attributes: tuple[str, ...], *, total: int, per_value: int) -> None:
        """Specifies about `total` query media, at least `per_value` for each combination of values."""
        combinations = self._ground_truth.combinations(attributes)
        for wants in combinations:
            for _ in range(max(per_value, round(total / len(combinations)))):
                self._pool[tuple(wants.values())].append(self._new_medium("seen", wants))

    def _new_medium(self, prefix: str, values: dict[str, str]) -> str:
        number = len(self.media)
        folder, suffix = _FILES[_MEDIUM_OF[next(iter(values))]]
        uri = f"media/queries/{folder}/{prefix}-{number:05d}.{'png' if suffix == 'jpg' and number % 3 == 0 else suffix}"
        self.media.append(media.media_spec(uri, values=values, seed=self._seed))
        return uri


def _query_text(form: QueryForm, wants: dict[str, str], rng: random.Random) -> str:
    """The text of a query: the kind of product and, in some order, the words for the attributes that are not shown."""
    words = " ".join(synthetic_words.MOTION_WORDS.get(wants[name], wants[name]) for name in form.text_attributes)
    if not words and form.target == MATCHING:
        return wants["kind"]
    return rng.choice(_PATTERNS[form.target]).format(words=words, kind=wants["kind"])


def _held_out_phrase(wants: dict[str, str]) -> int:
    """Index of the phrase that training never uses for these values, so that judged queries can."""
    digest = hashlib.sha256("/".join(wants.values()).encode()).digest()
    return digest[0] % len(synthetic_words.PHRASES)
