"""Examples: parsing by the declaration, and model inputs of one side from its wire form."""

import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from trainer.ops import (
    audio,
    graph,
    hashing,
    history,
    identity,
    image,
    profile,
    searches,
    tabular,
    text,
    trend,
    video,
)
from trainer.ops.blocks import embeddings, pretrained_text
from trainer.ops.numbers import status_bit
from trainer.plain_paths import plain_path
from trainer.spec.config import Config, WireConfig
from trainer.spec.feature_list import features_of, input_features
from trainer.spec.features import Dtype, Feature, Modality, Side
from trainer.spec.serving.signatures import QueryStatus
from trainer.spec.transformed import WORD_VOCABULARY

_DTYPES = {Dtype.BYTES: tf.string, Dtype.FLOAT: tf.float32, Dtype.INT: tf.int64}


def tensor_spec(feature: Feature, wire: WireConfig) -> tf.TensorSpec:
    """Returns the spec of `feature` in wire form in a batch: [batch, ...] in its storage type."""
    return tf.TensorSpec([None, *axis_lengths(feature, wire)], _DTYPES[feature.dtype], name=feature.name)


def axis_lengths(feature: Feature, wire: WireConfig) -> list[int]:
    """Returns the lengths of the axes of `feature` after the batch."""
    return [getattr(wire, axis.value) for axis in feature.axes]


def feature_spec(features: Iterable[Feature], wire: WireConfig) -> dict[str, tf.io.FixedLenFeature]:
    """Returns the parse spec of `features` for `tf.io.parse_example`; a missing feature has its default."""
    specs = {}
    for feature in features:
        shape = axis_lengths(feature, wire)
        default: Any = feature.default
        for length in reversed(shape):
            default = [default] * length
        specs[feature.name] = tf.io.FixedLenFeature(shape, _DTYPES[feature.dtype], default)
    return specs


def parse(serialized: tf.Tensor, *, sides: Sequence[Side], wire: WireConfig) -> dict[str, tf.Tensor]:
    """Parses Examples [batch] string into the wire form of every feature of `sides`."""
    features = [feature for side in sides for feature in features_of(side)]
    return tf.io.parse_example(serialized, feature_spec(features, wire))


def load_transform(path: str | pathlib.Path) -> Any:
    """Loads the graph that TFX Transform wrote, without the Transform library.

    Raises:
      ValueError: There is no Transform graph at `path`.
    """
    saved_model = pathlib.Path(path) / "transform_fn"
    if not (saved_model / "saved_model.pb").exists():
        raise ValueError(f"No Transform graph at {saved_model}; wanted saved_model.pb. Run preprocessing first.")
    return tf.saved_model.load(plain_path(saved_model))


class ModelOps(tf.Module):
    """Ops from wire form to model inputs, with the vocabularies that they need.

    Attributes:
      config: The configuration.
      subwords: The sub-word vocabulary; its index is the id.
      transform_graph: The loaded Transform graph.
    """

    def __init__(self, *, config: Config, subwords: Sequence[str], transform_graph: Any) -> None:
        super().__init__(name="ops")
        self.config = config
        self.subwords = tuple(subwords)
        self.transform_graph = transform_graph
        handle = config.tower.text.pretrained
        self._tokenizer = None if handle else text.make_tokenizer(self.subwords)
        self._pretrained = pretrained_text.tokenizer_of(handle) if handle else None

    @classmethod
    def load(
        cls, config: Config, transform_graph_dir: str | pathlib.Path, subwords: Sequence[str] | None = None
    ) -> "ModelOps":
        """Loads the Transform graph; learns the sub-words from its word counts if none are given."""
        graph = load_transform(transform_graph_dir)
        if config.tower.text.pretrained:
            subwords = ()  # it has its own
        if subwords is None:
            words = pathlib.Path(transform_graph_dir) / "transform_fn" / "assets" / WORD_VOCABULARY
            subwords = text.learn_subwords(
                text.read_word_counts(words), size=config.tower.text.vocab_size, min_count=config.tower.text.min_count
            )
        return cls(config=config, subwords=subwords, transform_graph=graph)

    def item_model_inputs(self, wire: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Returns the model inputs of items.

        Args:
          wire: The item features that are content, in wire form.

        Returns:
          {name: tensor} as `trainer.model.tower` takes it, plus `status` [batch] int32 (`QueryStatus` bits).
        """
        config = self.config
        strings, media = texts_of(wire, Side.ITEM), media_model_inputs(wire, Side.ITEM, config)
        inputs = {feature.name: wire[feature.name] for feature in features_of(Side.ITEM) if feature.transform}
        transformed = self.transform_graph.transform_fn(inputs)
        return {
            "text_tokens": self._tokens(strings, config.tower.text.max_item_tokens),
            **media.tensors,
            **embeddings.to_model(wire, sizes=config.wire),
            **tabular.to_model(transformed),
            **identity.to_model(transformed, num_items=config.tower.identity.item_embedding_rows),
            "status": media.status | _text_status(strings),
        }

    def day_model_inputs(self, wire: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Returns the model inputs of items on days; the vectors of neighbours stay with the caller.

        Args:
          wire: The day features of the trend and `relation_types`, in wire form.

        Returns:
          `trend`, `popularity` and `neighbour_types`, as `trainer.model.tower` takes them.
        """
        types = graph.to_model(
            wire["relation_types"],
            num_relation_types=self.config.tower.graph.num_relation_types,
            max_copurchased=self.config.wire.max_copurchased,
        )
        return {**trend.to_model(wire), "neighbour_types": types}

    def query_model_inputs(self, wire: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Returns the model inputs of queries; `history_ids` stay with the caller, who knows the items' rows.

        Args:
          wire: What `query_content_model_inputs` and `user_model_inputs` take.

        Returns:
          The outputs of both; the bits of `status` together.
        """
        content, user = self.query_content_model_inputs(wire), self.user_model_inputs(wire)
        return {**content, **user, "status": content["status"] | user["status"]}

    def query_content_model_inputs(self, wire: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Returns the model inputs of the content of queries.

        Args:
          wire: Text, image, video and audio of the query, in wire form.

        Returns:
          {name: tensor} as `trainer.model.tower` takes it, plus `status` [batch] int32 (`QueryStatus` bits).
        """
        words, media = self.query_text_model_inputs(wire), media_model_inputs(wire, Side.QUERY, self.config)
        return {**words, **media.tensors, "status": media.status | words["status"]}

    def query_text_model_inputs(self, wire: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Returns the model inputs of the text of queries.

        Args:
          wire: The text of the query, in wire form.

        Returns:
          {name: tensor} as `trainer.model.tower` takes it, plus `status` [batch] int32 (`QueryStatus` bits).
        """
        strings = texts_of(wire, Side.QUERY)
        return {
            "text_tokens": self._tokens(strings, self.config.tower.text.max_query_tokens),
            "status": _text_status(strings),
        }

    def user_model_inputs(self, wire: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Returns the model inputs of the users, but for the items of their histories.

        Args:
          wire: `history_age_days`, `history_counts`, `search_history_texts`, `search_history_age_days` and `profile`,
            in wire form.

        Returns:
          {name: tensor} as `trainer.model.tower` takes it, plus `status` [batch] int32 (`QueryStatus` bits).
        """
        tower = self.config.tower
        searched, known = wire["search_history_texts"], wire["profile"]
        numbers = [wire["history_age_days"], wire["history_counts"], wire["search_history_age_days"]]
        is_odd = tf.reduce_any(tf.concat([~tf.math.is_finite(values) for values in numbers], axis=1), axis=1)
        is_replaced = tf.reduce_any(text.is_replaced(tf.concat([searched, known], axis=1)), axis=1)
        return {
            **history.to_model(wire["history_age_days"], wire["history_counts"]),
            **searches.to_model(searched, wire["search_history_age_days"], config=tower.searches),
            **profile.to_model(known, num_hash_buckets=tower.profile.num_hash_buckets),
            "status": status_bit(is_odd, QueryStatus.NUMBER_REPLACED)
            | status_bit(is_replaced, QueryStatus.TEXT_REPLACED),
        }

    def _tokens(self, strings: Sequence[tf.Tensor], length: int) -> tf.Tensor:
        if self._pretrained is not None:
            return self._pretrained.to_model(strings, length=length)
        return text.to_model(strings, tokenizer=self._tokenizer, length=length)

    def review_model_inputs(self, texts: tf.Tensor) -> tf.Tensor:
        """Returns the model inputs [review, words] int32 of review texts [review] string."""
        config = self.config.tower.review
        return hashing.hash_words(texts, length=config.max_words, num_hash_buckets=config.num_hash_buckets)


class MediaInputs(NamedTuple):
    """Model inputs of the photos, clips and sounds of one side; `status` [batch] int32 (`QueryStatus` bits)."""

    tensors: dict[str, tf.Tensor]
    status: tf.Tensor


def texts_of(wire: Mapping[str, tf.Tensor], side: Side) -> list[tf.Tensor]:
    """Returns every text of one side in wire form, [batch] string each."""
    texts = [wire[feature.name] for feature in input_features(side, Modality.TEXT)]
    return [text if len(text.shape) == 1 else tf.strings.reduce_join(text, axis=-1, separator=" ") for text in texts]


def media_model_inputs(wire: Mapping[str, tf.Tensor], side: Side, config: Config) -> MediaInputs:
    """Returns the model inputs of the media of one side in wire form."""
    (photo,) = input_features(side, Modality.IMAGE)
    (clip,) = input_features(side, Modality.VIDEO)
    (sound,) = input_features(side, Modality.AUDIO)
    photos = wire[photo.name]
    photos = image.to_model(photos if photo.axes else photos[:, tf.newaxis], px=config.wire.image_px)
    frames = video.to_model(wire[clip.name], px=config.wire.frame_px)
    sounds = _sounds(wire[sound.name][:, tf.newaxis], config)
    tensors = {
        "image_pixels": photos.pixels,
        "image_present": photos.present,
        "video_pixels": frames.pixels,
        "video_present": frames.present,
        **({"audio_mel": sounds.mel} if isinstance(sounds, audio.Mel) else {"audio_samples": sounds.samples}),
        "audio_present": sounds.present,
    }
    status = status_bit(tf.reduce_any(photos.unreadable, axis=-1), QueryStatus.IMAGE_UNREADABLE)
    status |= status_bit(tf.reduce_any(frames.unreadable, axis=-1), QueryStatus.VIDEO_UNREADABLE)
    status |= status_bit(tf.reduce_any(sounds.unreadable, axis=-1), QueryStatus.AUDIO_UNREADABLE)
    return MediaInputs(tensors, status)


def _sounds(waves: tf.Tensor, config: Config) -> audio.Mel | audio.Samples:
    if config.tower.audio.pretrained:
        return audio.to_samples(waves, wire=config.wire)
    return audio.to_model(waves, wire=config.wire, num_mel_bins=config.tower.audio.num_mel_bins)


def _text_status(strings: Sequence[tf.Tensor]) -> tf.Tensor:
    replaced = [text.is_replaced(string) for string in strings]
    return status_bit(tf.reduce_any(tf.stack(replaced), axis=0), QueryStatus.TEXT_REPLACED)
