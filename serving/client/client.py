"""Client of a bundle: a query in a caller's terms, its inputs in wire form, the answer as a page of results."""

import dataclasses
import json
from collections.abc import Iterable, Mapping
from typing import Any, Unpack

import numpy as np

from .arguments import Texts, texts
from .errors import ClientError
from .request_inputs import browse_inputs, display_inputs, facet_inputs, query_inputs, score_inputs, search_inputs
from .results import (
    FacetCounts,
    SearchResult,
    explanation,
    facet_counts,
    score_components,
    search_result,
    to_text,
)
from .search_options import (
    BrowseOptions,
    FacetOptions,
    PageOptions,
    QueryOptions,
    ScoreOptions,
    SearchOptions,
    check_names,
)
from .specs import SignatureSpec, fill_inputs
from .transports import NO_CREDENTIALS, Answer, Credentials, Grpc, Rest, Transport, Updated

DEFAULT_TIMEOUT_SECONDS = 10.0
STALE_CODES = ("INVALID_ARGUMENT", "FAILED_PRECONDITION", "HTTP 400")


class Client:
    """Client of one bundle.

    Args:
      rest: Root URL of the REST API (`https://host:8501`, or `host:8501` without TLS); give this or `grpc`. Works on
        both sides of a fork.
      grpc: `host:port` of the gRPC API, with `grpcs://` in front over TLS. After a fork each process needs a client of
        its own.
      model_name: The name of the model on the server.
      user_hash_key: Key of the hash of user ids; needed only with `user_id`. The same key as in training.
      timeout_seconds: Of each call.
      credentials: Token, certificate and trusted authorities, where the server asks for them.

    Raises:
      ValueError: Unless exactly one of `rest` and `grpc` is given, and is an address.
    """

    def __init__(
        self,
        *,
        rest: str | None = None,
        grpc: str | None = None,
        model_name: str = "vitrine",
        user_hash_key: bytes | None = None,
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
        credentials: Credentials = NO_CREDENTIALS,
    ) -> None:
        if (rest is None) == (grpc is None):
            raise ValueError("Client needs either rest='http://host:port' or grpc='host:port'; give exactly one.")
        self._user_hash_key = user_hash_key
        kind, address = (Rest, rest) if rest is not None else (Grpc, str(grpc))
        self._transport: Transport = kind(
            address, model_name=model_name, timeout_seconds=timeout_seconds, credentials=credentials
        )
        self._signatures: Mapping[str, SignatureSpec] | None = None
        self._wire_spec: Mapping[str, Any] | None = None

    def search(self, **options: Unpack[PageOptions]) -> SearchResult:
        """Searches by any mixture of text, photo, clip, sound, history and seed items.

        Args:
          **options: The fields of `PageOptions`: `text`, `image`, `video`, `audio`, `history`, `history_age_days`,
            `search_history`, `search_history_age_days`, `profile`, `user_id`, `seed_items`, `query_weights`,
            `score_weights`, `intent_weight`, `refused_constraints`, `boosts`, `filters`, `page`, `page_size`,
            `diversity`, `query_id`, `fields`, `facets` (with a call of their own).

        Raises:
          TypeError: For an option that does not exist.
          ValueError: For a weight or field the bundle lacks, ages that do not match the history, a page below 1.
          MediaError: For a photo, clip or sound without a wire form (a ClientError and a ValueError).
          ClientError: When the server refuses or cannot be reached.
        """
        check_names(options, PageOptions)
        fields = texts(options.get("fields"), name="fields")
        inputs = self._search_inputs(options) | display_inputs(fields, wire_spec=self.wire_spec)
        answer = self._answer("search", inputs, query_id=options.get("query_id") or "")
        found = search_result(answer.outputs, fields=fields, query_id=answer.query_id)
        return self._with_facets(found, options)

    def facets(self, names: Texts | bool = True, **options: Unpack[FacetOptions]) -> dict[str, FacetCounts]:
        """Counts what matches a text and filters by the values of facets.

        Args:
          names: `category.1` (a level), `brand`, `currency`, `price`, `attributes.KEY`, or `attributes` for the keys;
            True = those of the bundle's configuration.
          **options: The fields of `FacetOptions`: `text`, `filters`, `facet_text`, `price_bounds`.

        Raises:
          TypeError: As `search`.
          ValueError: As `search`.
          ClientError: As `search`.
        """
        check_names(options, FacetOptions)
        inputs = facet_inputs(names, options, wire_spec=self.wire_spec)
        return facet_counts(self.predict("facets", inputs), names=inputs["facets"][0])

    def explain(self, item_id: str, **options: Unpack[SearchOptions]) -> dict[str, Any]:
        """Explains the position of an item in the answer to `search(**options)`, or its absence.

        Args:
          item_id: The item.
          **options: As of `search`.

        Returns:
          The outputs of `explain` without the batch axis, texts as str; `contributions` is {component of the
          query: {branch of the item: contribution}} and `word_contributions` {word: contribution} without the words
          that contribute nothing.

        Raises:
          TypeError: As `search`.
          ValueError: As `search`.
          ClientError: As `search`.
        """
        check_names(options, SearchOptions)
        return explanation(self.predict("explain", {**self._search_inputs(options), "item_id": [item_id]}))

    def rank(self, item_ids: Texts, **options: Unpack[ScoreOptions]) -> dict[str, tuple[float, ...]]:
        """Scores given items for a query, in the order given: `scores` and every score component by name.

        Args:
          item_ids: The items; one that is not in the catalogue scores 0.
          **options: The fields of `ScoreOptions`: the query, seed items and weights of `search`.

        Raises:
          TypeError: As `search`.
          ValueError: As `search`, and for an option that `rank` of the bundle lacks.
          ClientError: As `search`.
        """
        check_names(options, ScoreOptions)
        known = self.signatures()["search"].inputs
        inputs = score_inputs(options, known, wire_spec=self.wire_spec, user_hash_key=self._user_hash_key)
        outputs = self.predict("rank", {**inputs, "item_ids": [texts(item_ids, name="item_ids")]})
        return {**score_components(outputs), "scores": tuple(float(score) for score in outputs["scores"][0])}

    def suggest(self, text: str) -> str:
        """Returns the text with words that the catalogue lacks replaced by the nearest that it has."""
        return to_text(self.predict("suggest", {"query_text": [text]})["suggestion"][0])

    def complete(self, text: str) -> tuple[str, ...]:
        """Returns completions of the beginning of a text, the most frequent first."""
        outputs = self.predict("complete", {"query_text": [text]})
        return tuple(to_text(item) for item in outputs["completions"][0][: int(outputs["num_results"][0])])

    def browse(self, sort_by: str = "popularity", **options: Unpack[BrowseOptions]) -> SearchResult:
        """Returns a page of everything that matches a text and filters, in an order of its own; it has no scores.

        Args:
          sort_by: `popularity`, `price_up`, `price_down`, `newest` or `rating`.
          **options: The fields of `BrowseOptions`: `text`, `filters`, `page`, `page_size`, `fields`, `facets`.

        Raises:
          TypeError: As `search`.
          ValueError: As `search`, and for an order that the bundle does not have.
          ClientError: As `search`.
        """
        check_names(options, BrowseOptions)
        fields = texts(options.get("fields"), name="fields")
        inputs = browse_inputs(sort_by, options, wire_spec=self.wire_spec)
        answer = self._answer("browse", inputs | display_inputs(fields, wire_spec=self.wire_spec))
        found = search_result(answer.outputs, fields=fields, query_id=answer.query_id)
        return self._with_facets(found, options)

    def similar_items(
        self, item_id: str, *, page: int = 1, page_size: int = 10, fields: Texts | None = None
    ) -> SearchResult:
        """Searches for items like the given one, which is not among the results; `fields` as of `search`."""
        names = texts(fields, name="fields")
        inputs = {"item_id": [item_id], "page": [page], "page_size": [page_size]}
        answer = self._answer("similar_items", inputs | display_inputs(names, wire_spec=self.wire_spec))
        return search_result(answer.outputs, fields=names, query_id=answer.query_id)

    def update_items(
        self, updates: Iterable[Mapping[str, Any]] | Mapping[str, Any], *, skip_unknown: bool = False
    ) -> Updated:
        """Changes items without a new version; when it returns, the change counts and is kept.

        Args:
          updates: One or several, each with `item_id` and some of `price` (None: not known), `in_stock`, `visible` and
            `boost` (added to the score).
          skip_unknown: Leave out items that the bundle does not have; otherwise one of them is an error, and nothing is
            changed. Over REST only.

        Raises:
          ValueError: For a field that there is not.
          ClientError: When the server refuses or cannot be reached.
        """
        given = [updates] if isinstance(updates, Mapping) else list(updates)
        return self._transport.update_items(given, skip_unknown=skip_unknown)

    def embed_query(self, **options: Unpack[QueryOptions]) -> dict[str, np.ndarray]:
        """Returns the outputs of `embed_query` for one query, without the batch axis (`vector` is [dim]).

        Args:
          **options: The fields of `QueryOptions`.

        Raises:
          TypeError: As `search`.
          ValueError: As `search`.
          ClientError: As `search`.
        """
        check_names(options, QueryOptions)
        inputs = query_inputs(options, wire_spec=self.wire_spec, user_hash_key=self._user_hash_key)
        return {name: value[0] for name, value in self.predict("embed_query", inputs).items()}

    def predict(self, signature_name: str, inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Returns the outputs of any signature by name.

        Args:
          signature_name: As in the bundle.
          inputs: Arrays or lists, [batch, ...] each; what is left out is sent with its default.

        Raises:
          ValueError: For an unknown signature or input, or one that is missing and has no default.
          ClientError: When the server refuses or cannot be reached.
        """
        return self._answer(signature_name, inputs).outputs

    def _answer(self, signature_name: str, inputs: Mapping[str, Any], *, query_id: str = "") -> Answer:
        """The answer of a signature; arguments and errors as of `predict`."""
        specs = self.signatures()
        try:
            return self._predict(signature_name, inputs, specs, query_id=query_id)
        except (ClientError, ValueError) as error:
            if isinstance(error, ClientError) and error.code not in STALE_CODES:
                raise
            fresh = self.signatures(refresh=True)
            if repr(fresh) == repr(specs):
                raise
            return self._predict(
                signature_name, inputs, fresh, query_id=query_id
            )  # A new bundle has come with other signatures.

    def signatures(self, *, refresh: bool = False) -> Mapping[str, SignatureSpec]:
        """Returns the signatures by name, requested once."""
        if self._signatures is None or refresh:
            self._signatures = self._transport.signatures()
            self._wire_spec = None
        return self._signatures

    def wire_spec(self) -> Mapping[str, Any]:
        """Returns the sizes of the wire form (`image_px`, `num_frames`, `history_length`, ...), requested once."""
        if self._wire_spec is None:
            self._wire_spec = json.loads(self.predict("wire_spec", {"placeholder": [0]})["spec_json"][0])
        return self._wire_spec

    def _predict(
        self, signature_name: str, inputs: Mapping[str, Any], specs: Mapping[str, SignatureSpec], *, query_id: str
    ) -> Answer:
        if signature_name not in specs:
            names = ", ".join(sorted(specs))
            raise ValueError(f"Signature {signature_name!r} is not in the bundle; it has {names}.")
        spec = specs[signature_name]
        filled = fill_inputs(signature_name, inputs, spec)
        return self._transport.predict(signature_name, filled, spec, query_id=query_id)

    def _with_facets(self, found: SearchResult, options: PageOptions | BrowseOptions) -> SearchResult:
        """A page with the facets that were asked for."""
        if not (facets := options.get("facets")):
            return found
        counts = self.facets(facets, text=options.get("text"), filters=options.get("filters"))
        return dataclasses.replace(found, facets=counts)

    def _search_inputs(self, options: SearchOptions) -> dict[str, Any]:
        known = self.signatures()["search"].inputs
        return search_inputs(options, known, wire_spec=self.wire_spec, user_hash_key=self._user_hash_key)
