"""The client: a query in a caller's terms, its inputs in wire form, the answer as a page of results."""

import dataclasses
import hashlib
import hmac
import json
import types
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .audio import audio_wire
from .errors import ClientError
from .images import Media, image_wire
from .search_options import (
    QUERY_WEIGHT_PREFIX,
    WEIGHT_PREFIX,
    Filters,
    boosted,
    liked,
    paged,
    weighted,
    who_asks,
)
from .specs import SignatureSpec, fill
from .transports import Grpc, Rest, Transport
from .video import video_wire

DEFAULT_TIMEOUT_SECONDS = 10.0
SCORE_PREFIX = "score_"
STALE_CODES = ("INVALID_ARGUMENT", "FAILED_PRECONDITION", "HTTP 400")


@dataclasses.dataclass(frozen=True, kw_only=True)
class SearchResult:
    """One page of results, best first.

    Args:
      ids: Item ids.
      scores: The score of each.
      parts: The parts of each score by name (dense, click, ...), one value a result.
      boosts: What boosts added to each score.
      intent: Probability of each intent, in the order of the signature's description; empty if the bundle does not say.
      num_variants: How many items of the same product pass the filters, for each result.
      total_matches: How many products pass the filters; -1 if the bundle does not say.
      num_results: How many results there are; the length of `ids`.
      query_status: Remarks on the query as a bit mask; 0 means that everything was understood.
      bundle_version: The version of the bundle that answered.
    """

    ids: tuple[str, ...]
    scores: tuple[float, ...]
    parts: Mapping[str, tuple[float, ...]]
    boosts: tuple[float, ...]
    intent: tuple[float, ...]
    num_variants: tuple[int, ...]
    total_matches: int
    num_results: int
    query_status: int
    bundle_version: str


class Client:
    """Searches a bundle.

    Args:
      rest: Root URL of the REST surface (`http://host:8501`); give this or `grpc`.
      grpc: `host:port` of the gRPC surface.
      model_name: The name the server has the model under.
      user_hash_key: Key of the hash that stands for a user; needed only with `user_id`. The same key as in training.
      timeout_seconds: Of each call.

    Raises:
      ValueError: Unless exactly one of `rest` and `grpc` is given.
    """

    def __init__(
        self,
        *,
        rest: str | None = None,
        grpc: str | None = None,
        model_name: str = "vitrine",
        user_hash_key: bytes | None = None,
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
    ) -> None:
        if (rest is None) == (grpc is None):
            raise ValueError("Client needs either rest='http://host:port' or grpc='host:port'; give exactly one.")
        self._user_hash_key = user_hash_key
        self._transport: Transport
        if rest is not None:
            self._transport = Rest(rest, model_name=model_name, timeout_seconds=timeout_seconds)
        else:
            self._transport = Grpc(str(grpc), model_name=model_name, timeout_seconds=timeout_seconds)
        self._signatures: Mapping[str, SignatureSpec] | None = None
        self._wire_spec: Mapping[str, Any] | None = None

    def search(
        self,
        *,
        text: str | None = None,
        image: Media | None = None,
        video: Media | None = None,
        audio: Media | None = None,
        history: Sequence[str] = (),
        history_ages_days: Sequence[float] | None = None,
        searches: Sequence[str] = (),
        search_ages_days: Sequence[float] | None = None,
        profile: Mapping[str, str] | None = None,
        like: Mapping[str, float] | Sequence[str] = (),
        query_weights: Mapping[str, float] | None = None,
        filters: Filters | None = None,
        page: int = 1,
        page_size: int = 10,
        weights: Mapping[str, float] | None = None,
        diversity: float | None = None,
        intent_weight: float | None = None,
        boosts: Mapping[str, float] | None = None,
        user_id: str | None = None,
    ) -> SearchResult:
        """Items for a query of any mixture of text, photo, clip, sound, history and liked items.

        Args:
          text: In any language.
          image: Path or bytes of a photo.
          video: Path or bytes of a clip.
          audio: Path or bytes of a voice or another sound.
          history: Ids of items the user met before this query; one that was met twice stands there twice.
          history_ages_days: How long ago each was met, in days; zeros when left out.
          searches: What the user typed into searches before this one.
          search_ages_days: How long ago each was typed, in days; zeros when left out.
          profile: What is known of the user, such as a country, as the event log has it.
          like: Ids of items to search by, or {id: weight}; below 0 = less like this. They are not among the results.
          query_weights: How much each part of the query counts by name (`text`, `image`, ...), 1 where left out; below
            0 = less like it.
          filters: What every result must pass.
          page: From 1.
          page_size: Results a page; more than the bundle publishes is refused (TF Serving: brought into range).
          weights: Weight of each score component by name (`dense`, `lexical`, ...); the bundle's own where left out.
          diversity: 0 to 1; moves results that resemble those above them down.
          intent_weight: How much the intent that the query gives away moves weights and diversity; 0 = not at all.
          boosts: {item id: what is added to its score}.
          user_id: Leaves this process only as a keyed hash.

        Raises:
          ValueError: For a weight the bundle lacks, ages that do not match the history, a page below 1.
          MediaError: For a photo, clip or sound without a wire form (a ClientError and a ValueError).
          ClientError: When the server refuses or cannot be reached.
        """
        inputs = self._search_inputs(
            text=text,
            image=image,
            video=video,
            audio=audio,
            history=history,
            history_ages_days=history_ages_days,
            searches=searches,
            search_ages_days=search_ages_days,
            profile=profile,
            like=like,
            query_weights=query_weights,
            filters=filters,
            page=page,
            page_size=page_size,
            weights=weights,
            diversity=diversity,
            intent_weight=intent_weight,
            boosts=boosts,
            user_id=user_id,
        )
        return _search_result(self.predict("search", inputs))

    def explain(self, item_id: str, **search: Any) -> dict[str, Any]:
        """Why an item stands where it does in the answer to `search(**search)`, or why it does not.

        Returns:
          The outputs of `explain` without the batch axis, texts as str; `pairs` is {part of the query: {branch of the
          item: what they add}} and `words` {word: what it adds} without those that add nothing.

        Raises:
          ValueError: As `search`.
          ClientError: As `search`.
        """
        return _explained(self.predict("explain", {**self._search_inputs(**search), "item_id": [item_id]}))

    def rank(self, item_ids: Sequence[str], **search: Any) -> dict[str, tuple[float, ...]]:
        """The scores of given items for a query, in the order given: `scores` and every score component by name.

        Args:
          item_ids: The items; one that is not in the catalogue scores 0.
          **search: The content, `like` and weights of `search`.

        Raises:
          ValueError: As `search`, and for anything else.
          ClientError: As `search`.
        """
        found = self.predict("rank", {**self._search_inputs(page=None, **search), "item_ids": [list(item_ids)]})
        return {
            name.removeprefix(SCORE_PREFIX): tuple(float(value) for value in values[0])
            for name, values in sorted(found.items())
            if name.startswith(SCORE_PREFIX) or name == "scores"
        }

    def suggest(self, text: str) -> str:
        """The text with words that the catalogue lacks replaced by the nearest that it has."""
        return _text(self.predict("suggest", {"query_text": [text]})["suggestion"][0])

    def complete(self, text: str) -> tuple[str, ...]:
        """How a text that was begun may go on, the most frequent first."""
        found = self.predict("complete", {"query_text": [text]})
        return tuple(_text(item) for item in found["completions"][0][: int(found["num_results"][0])])

    def similar_items(self, item_id: str, *, page: int = 1, page_size: int = 10) -> SearchResult:
        """Items like the given one, which is not among them."""
        inputs = {"item_id": [item_id], "page": [page], "page_size": [page_size]}
        return _search_result(self.predict("similar_items", inputs))

    def embed_query(
        self,
        *,
        text: str | None = None,
        image: Media | None = None,
        video: Media | None = None,
        audio: Media | None = None,
        history: Sequence[str] = (),
        history_ages_days: Sequence[float] | None = None,
        searches: Sequence[str] = (),
        search_ages_days: Sequence[float] | None = None,
        profile: Mapping[str, str] | None = None,
        user_id: str | None = None,
    ) -> dict[str, np.ndarray]:
        """The outputs of `embed_query` for one query, without the batch axis (`vector` is [dim])."""
        query = self._query(text=text, image=image, video=video, audio=audio, user_id=user_id)
        past = (history, history_ages_days, searches, search_ages_days, profile)
        query |= who_asks(*past, wire_spec=self.wire_spec)
        return {name: value[0] for name, value in self.predict("embed_query", query).items()}

    def predict(self, signature_name: str, inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """The outputs of any signature by name.

        Args:
          signature_name: As the bundle has it.
          inputs: Arrays or lists, [batch, ...] each; what is left out is sent with its default.

        Raises:
          ValueError: For an unknown signature or input, or one that is missing and has no default.
          ClientError: When the server refuses or cannot be reached.
        """
        specs = self.signatures()
        try:
            return self._predict(signature_name, inputs, specs)
        except (ClientError, ValueError) as error:
            if isinstance(error, ClientError) and error.code not in STALE_CODES:
                raise
            fresh = self.signatures(refresh=True)
            if repr(fresh) == repr(specs):
                raise
            return self._predict(signature_name, inputs, fresh)  # A new bundle has come with other signatures.

    def signatures(self, *, refresh: bool = False) -> Mapping[str, SignatureSpec]:
        """The signatures by name, asked for once."""
        if self._signatures is None or refresh:
            self._signatures = self._transport.signatures()
            self._wire_spec = None
        return self._signatures

    def wire_spec(self) -> Mapping[str, Any]:
        """The sizes of the wire form (`image_px`, `num_frames`, `audio_ms`, `history_length`, ...), asked for once."""
        if self._wire_spec is None:
            found = self.predict("wire_spec", {"placeholder": [0]})["spec_json"]
            self._wire_spec = json.loads(found[0])
        return self._wire_spec

    def _predict(
        self, signature_name: str, inputs: Mapping[str, Any], specs: Mapping[str, SignatureSpec]
    ) -> dict[str, np.ndarray]:
        if signature_name not in specs:
            names = ", ".join(sorted(specs))
            raise ValueError(f"Signature {signature_name!r} is not in the bundle; it has {names}.")
        spec = specs[signature_name]
        return self._transport.predict(signature_name, fill(signature_name, inputs, spec), spec)

    def _search_inputs(
        self,
        *,
        history: Sequence[str] = (),
        history_ages_days: Sequence[float] | None = None,
        searches: Sequence[str] = (),
        search_ages_days: Sequence[float] | None = None,
        profile: Mapping[str, str] | None = None,
        like: Mapping[str, float] | Sequence[str] = (),
        query_weights: Mapping[str, float] | None = None,
        filters: Filters | None = None,
        page: int | None = 1,
        page_size: int = 10,
        weights: Mapping[str, float] | None = None,
        diversity: float | None = None,
        intent_weight: float | None = None,
        boosts: Mapping[str, float] | None = None,
        **content: Any,
    ) -> dict[str, Any]:
        """The inputs of `search` for one row; `content` is that of `_query`."""
        known = self.signatures()["search"].inputs
        past = (history, history_ages_days, searches, search_ages_days, profile)
        return {
            **self._query(**content),
            **who_asks(*past, wire_spec=self.wire_spec),
            **liked(like),
            **weighted(query_weights, known, prefix=QUERY_WEIGHT_PREFIX, what="parts of a query"),
            **(filters.inputs() if filters else {}),
            **(paged(page, page_size) if page is not None else {}),
            **weighted(weights, known, prefix=WEIGHT_PREFIX, what="score components"),
            **({} if diversity is None else {"diversity": [diversity]}),
            **({} if intent_weight is None else {"intent_weight": [intent_weight]}),
            **boosted(boosts),
        }

    def _query(
        self,
        *,
        text: str | None = None,
        image: Media | None = None,
        video: Media | None = None,
        audio: Media | None = None,
        user_id: str | None = None,
    ) -> dict[str, Any]:
        """The wire inputs of a query of one row; what is absent is left out."""
        query: dict[str, Any] = {}
        if text is not None:
            query["query_text"] = [text]
        if image is not None:
            query["query_image"] = [image_wire(image, px=self.wire_spec()["image_px"])]
        if video is not None:
            sizes = self.wire_spec()
            query["query_video"] = [video_wire(video, frames=sizes["num_frames"], px=sizes["frame_px"])]
        if audio is not None:
            query["query_audio"] = [audio_wire(audio, milliseconds=self.wire_spec()["audio_ms"])]
        if user_id is not None:
            if not self._user_hash_key:
                raise ValueError("user_id needs Client(user_hash_key=...): a user id never leaves in the clear.")
            query["user_hash"] = [hmac.new(self._user_hash_key, user_id.encode(), hashlib.sha256).hexdigest()]
        return query


def _search_result(outputs: Mapping[str, np.ndarray]) -> SearchResult:
    """The first row of a search answer."""
    count = int(outputs["num_results"][0])
    parts = {
        name.removeprefix(SCORE_PREFIX): tuple(float(value) for value in values[0][:count])
        for name, values in sorted(outputs.items())
        if name.startswith(SCORE_PREFIX)
    }
    return SearchResult(
        ids=tuple(_text(item) for item in outputs["ids"][0][:count]),
        scores=tuple(float(score) for score in outputs["scores"][0][:count]),
        parts=types.MappingProxyType(parts),
        boosts=tuple(float(value) for value in outputs.get("boosts", [[]])[0][:count]),
        intent=tuple(float(value) for value in outputs.get("intent", [[]])[0]),
        num_variants=tuple(int(value) for value in outputs.get("num_variants", [[]])[0][:count]),
        total_matches=int(outputs.get("total_matches", [-1])[0]),
        num_results=count,
        query_status=int(outputs["query_status"][0]),
        bundle_version=_text(outputs["bundle_version"][0]),
    )


def _explained(outputs: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The first row of an explanation, with names beside the numbers."""
    row = {name: value[0] for name, value in outputs.items()}
    columns, names = [[_text(name) for name in row.pop(key)] for key in ("item_branches", "query_components")]
    pairs, words = row.pop("contribution_matrix"), [_text(word) for word in row.pop("words")]
    by_word: dict[str, float] = {}
    for word, value in zip(words, row.pop("word_contributions"), strict=True):
        if word:
            by_word[word] = by_word.get(word, 0.0) + float(value)
    told = {name: _text(value) if isinstance(value, bytes) else value.tolist() for name, value in row.items()}
    table = {part: dict(zip(columns, map(float, line), strict=True)) for part, line in zip(names, pairs, strict=True)}
    return {**told, "pairs": table, "words": by_word}


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")
