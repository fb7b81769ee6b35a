"""The client: a query in a caller's terms, its inputs in wire form, the answer as a page of results."""

import dataclasses
import hashlib
import hmac
import json
import types
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from serving.client.clips import clip_wire
from serving.client.errors import ClientError
from serving.client.media import Media, image_wire
from serving.client.sounds import sound_wire
from serving.client.specs import SignatureSpec, fill
from serving.client.transports import Grpc, Rest, Transport

DEFAULT_TIMEOUT_SECONDS = 10.0
SCORE_PREFIX = "score_"
WEIGHT_PREFIX = "weight_"
STALE_CODES = ("INVALID_ARGUMENT", "FAILED_PRECONDITION", "HTTP 400")


@dataclasses.dataclass(frozen=True, kw_only=True)
class SearchResult:
    """One page of results, best first.

    Args:
      ids: Item ids.
      scores: The score of each.
      parts: The parts of each score by name (dense, click, ...), one value a result.
      n_valid: How many results there are; the length of `ids`.
      query_status: Remarks on the query as a bit mask; 0 means that everything was understood.
      bundle_version: The version of the bundle that answered.
    """

    ids: tuple[str, ...]
    scores: tuple[float, ...]
    parts: Mapping[str, tuple[float, ...]]
    n_valid: int
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
        page: int = 1,
        page_size: int = 10,
        weights: Mapping[str, float] | None = None,
        user_id: str | None = None,
    ) -> SearchResult:
        """Items for a query of any mixture of text, photo, clip, sound and history.

        Args:
          text: In any language.
          image: Path or bytes of a photo.
          video: Path or bytes of a clip.
          audio: Path or bytes of a voice or another sound.
          history: Ids of items the user met before this query.
          history_ages_days: How long ago each was met, in days; zeros when left out.
          page: From 1.
          page_size: Results a page.
          weights: Weight of each score part by name (`dense`, `click`, ...); the bundle's own where left out.
          user_id: Leaves this process only as a keyed hash.

        Raises:
          ValueError: For a weight the bundle lacks, ages that do not match the history.
          MediaError: For a photo, clip or sound without a wire form (a ClientError and a ValueError).
          ClientError: When the server refuses or cannot be reached.
        """
        query = self._query(text=text, image=image, video=video, audio=audio, user_id=user_id)
        query |= self._history(history, history_ages_days)
        known = self.signatures()["search"].inputs
        for name, weight in (weights or {}).items():
            if WEIGHT_PREFIX + name not in known:
                names = ", ".join(key.removeprefix(WEIGHT_PREFIX) for key in known if key.startswith(WEIGHT_PREFIX))
                raise ValueError(f"Weight {name!r} is not one of the bundle's score parts; it has {names}.")
            query[WEIGHT_PREFIX + name] = [weight]
        return _search_result(self.predict("search", {**query, "page": [page], "page_size": [page_size]}))

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
        user_id: str | None = None,
    ) -> dict[str, np.ndarray]:
        """The outputs of `embed_query` for one query, without the batch axis (`vector` is [dim])."""
        query = self._query(text=text, image=image, video=video, audio=audio, user_id=user_id)
        query |= self._history(history, history_ages_days)
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
        """The sizes of the wire form (`image_px`, `frames`, `frame_px`, `audio_ms`, `max_history`), asked for once."""
        if self._wire_spec is None:
            found = self.predict("wire_spec", {"unused": [0]})["spec_json"]
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

    def _query(
        self, *, text: str | None, image: Media | None, video: Media | None, audio: Media | None, user_id: str | None
    ) -> dict[str, Any]:
        """The wire inputs of a query of one row; what is absent is left out."""
        query: dict[str, Any] = {}
        if text is not None:
            query["query_text"] = [text]
        if image is not None:
            query["query_image"] = [image_wire(image, px=self.wire_spec()["image_px"])]
        if video is not None:
            sizes = self.wire_spec()
            query["query_video"] = [clip_wire(video, frames=sizes["frames"], px=sizes["frame_px"])]
        if audio is not None:
            query["query_audio"] = [sound_wire(audio, milliseconds=self.wire_spec()["audio_ms"])]
        if user_id is not None:
            if not self._user_hash_key:
                raise ValueError("user_id needs Client(user_hash_key=...): a user id never leaves in the clear.")
            query["user_key"] = [hmac.new(self._user_hash_key, user_id.encode(), hashlib.sha256).hexdigest()]
        return query

    def _history(self, history: Sequence[str], ages_days: Sequence[float] | None) -> dict[str, Any]:
        """The history inputs of one row, cut to the most recent items the bundle takes."""
        if not history:
            return {}
        ages = [0.0] * len(history) if ages_days is None else [float(age) for age in ages_days]
        if len(ages) != len(history):
            raise ValueError(f"history_ages_days has {len(ages)} values for {len(history)} items; give one for each.")
        limit = int(self.wire_spec().get("max_history", len(history)))
        recent = sorted(sorted(range(len(history)), key=lambda index: (ages[index], -index))[:limit])
        return {
            "history_ids": [[history[index] for index in recent]],
            "history_ages": [[ages[index] for index in recent]],
        }


def _search_result(outputs: Mapping[str, np.ndarray]) -> SearchResult:
    """The first row of a search answer."""
    count = int(outputs["n_valid"][0])
    parts = {
        name.removeprefix(SCORE_PREFIX): tuple(float(value) for value in values[0][:count])
        for name, values in sorted(outputs.items())
        if name.startswith(SCORE_PREFIX)
    }
    return SearchResult(
        ids=tuple(_text(item) for item in outputs["ids"][0][:count]),
        scores=tuple(float(score) for score in outputs["scores"][0][:count]),
        parts=types.MappingProxyType(parts),
        n_valid=count,
        query_status=int(outputs["query_status"][0]),
        bundle_version=_text(outputs["bundle_version"][0]),
    )


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")
