"""Export of the two towers as one SavedModel: wire form in, vectors out; the trainer writes it, the bundle wraps it.

The functions and their inputs are described in `trainer/spec/serving/signatures.py`.
"""

import dataclasses
import json
import os
import shutil
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import trainer  # noqa: F401  selects Keras 2 before TensorFlow loads

import tensorflow as tf  # isort: skip
import tensorflow_text  # noqa: F401  isort: skip  registers the tokenizers' ops, without which towers do not load

from trainer.ops.examples import ModelOps, tensor_spec
from trainer.plain_paths import plain_path
from trainer.spec.branches import branches_of, content_features
from trainer.spec.config import Config, from_dict, to_dict
from trainer.spec.feature_list import EMBEDDINGS, HISTORY_IDS, features_of, input_features
from trainer.spec.features import Feature, Modality, Side
from trainer.spec.serving.signatures import TowerOutput
from trainer.spec.tasks import TASKS

TOWERS_JSON = "assets.extra/towers.json"
# Of the `assets.extra` of towers, what a bundle copies: the files of a warm start, and the evaluation of the model.
CARRIED_FILES = ("warm_start.*", "metrics.json", "curves.json")


class Model(Protocol):
    """Interface of a trained model whose towers are exported."""

    def encode_items_without_price(self, item_inputs: Mapping[str, tf.Tensor]) -> Mapping[str, tf.Tensor]:
        """Model inputs of the content of items to `TowerOutput`s; `encoded` is without prices."""

    def encode_queries(self, query_inputs: Mapping[str, tf.Tensor], *, skip_absent: bool) -> Mapping[str, tf.Tensor]:
        """Model inputs of queries to `TowerOutput`s, `repeats` among them; whether absent encoders are not run."""

    def text_features(self, query_inputs: Mapping[str, tf.Tensor], *, features: int) -> tf.Tensor:
        """Model inputs of queries to the vectors [batch, features] of a frozen text encoder; zeros without text."""

    def encode_days(self, encoded: tf.Tensor, inputs: Mapping[str, tf.Tensor]) -> Mapping[str, tf.Tensor]:
        """`encoded` and model inputs of days to {"branches": [batch, daily branch, dim], day task: [batch]}."""

    def query_keys(self, query_vectors: tf.Tensor) -> tf.Tensor:
        """[batch, dim] to [batch, key_dim], which are compared with the keys of items by dot product."""

    def item_keys(self, item_vectors: tf.Tensor) -> tf.Tensor:
        """[n, dim] to [n, key_dim]."""

    def score_pairs(self, query_vectors: tf.Tensor, item_vectors: tf.Tensor) -> Mapping[str, tf.Tensor]:
        """[batch, dim] and [batch, depth, dim] to {pair task: [batch, depth]}."""

    def classify_queries(self, branches: tf.Tensor) -> Mapping[str, tf.Tensor]:
        """[batch, branch, dim] to {query task: [batch, classes]}."""

    def classify_reviews(self, words: tf.Tensor) -> Mapping[str, tf.Tensor]:
        """Model inputs of reviews [review, words] to {review task: [review, classes]}."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class LoadedTowers:
    """Towers loaded from disk.

    Attributes:
      module: The SavedModel, with the functions that `trainer/spec/serving/signatures.py` describes.
      config: The configuration they were trained with.
      model_id: SHA-256 that names the trained model.
      has_intent_head: Whether the head that classifies the intent of a query was trained; its output counts only then.
      carried_files: Files that a bundle of these towers copies: weights to continue training from, the evaluation.
    """

    module: Any
    config: Config
    model_id: str
    has_intent_head: bool = True
    carried_files: tuple[Path, ...] = ()


def query_features() -> tuple[Feature, ...]:
    """Returns the query features that `embed_query` reads in wire form; it reads history items as vectors."""
    return tuple(f for f in features_of(Side.QUERY) if f.modality is not None and f.name != HISTORY_IDS)


def day_features() -> tuple[Feature, ...]:
    """Returns the day features that `embed_day` reads in wire form; it reads neighbours as vectors."""
    return input_features(Side.ITEM_DAY, Modality.TREND)


def day_specs(config: Config) -> dict[str, tf.TensorSpec]:
    """Returns the inputs of `embed_day`."""
    dim, wire = config.tower.dim, config.wire
    neighbours = wire.max_relations + wire.max_copurchased
    specs = [
        tf.TensorSpec([None, len(branches_of(Side.ITEM)), dim], tf.float32, name=TowerOutput.ENCODED.value),
        tf.TensorSpec([None, neighbours, dim], tf.float32, name="neighbour_vectors"),
        tf.TensorSpec([None, neighbours], tf.bool, name="neighbour_present"),
        tf.TensorSpec([None, wire.max_relations], tf.string, name="relation_types"),
        tf.TensorSpec([None], tf.float32, name="last_price"),
        tf.TensorSpec([None], tf.float32, name="last_price_present"),
        *(tensor_spec(feature, wire) for feature in day_features()),
    ]
    return {spec.name: spec for spec in specs}


def query_specs(config: Config) -> dict[str, tf.TensorSpec]:
    """Returns the inputs of `embed_query`; histories have the lengths of the configuration."""
    length = config.wire.history_length
    history = {
        "history_vectors": tf.TensorSpec([None, length, config.tower.dim], tf.float32, name="history_vectors"),
        "history_present": tf.TensorSpec([None, length], tf.bool, name="history_present"),
    }
    return {feature.name: tensor_spec(feature, config.wire) for feature in query_features()} | history


def text_specs(config: Config) -> dict[str, tf.TensorSpec]:
    """Returns the inputs of `embed_text`."""
    return {feature.name: tensor_spec(feature, config.wire) for feature in input_features(Side.QUERY, Modality.TEXT)}


class TowersModule(tf.Module):
    """Trained model as functions of the wire form, ready to be saved."""

    def __init__(self, model: Model, *, ops: ModelOps) -> None:
        super().__init__(name="towers")
        self.ops = ops
        config = ops.config
        item_specs = {feature.name: tensor_spec(feature, config.wire) for feature in content_features()}
        vectors = tf.TensorSpec([None, config.tower.dim], tf.float32)
        item_vectors = tf.TensorSpec([None, None, config.tower.dim], tf.float32)
        branches = tf.TensorSpec([None, len(branches_of(Side.QUERY)), config.tower.dim], tf.float32)
        self.embed_item = _function(lambda wire: _embed_item(model, ops, wire), item_specs)
        self.embed_day = _function(lambda wire: _embed_day(model, ops, wire), day_specs(config))
        self.embed_query = _function(lambda wire: _embed_query(model, ops, wire), query_specs(config))
        self.embed_text = _function(
            lambda wire: _encode_queries(model, ops.query_text_model_inputs(wire), config), text_specs(config)
        )
        self.score_pairs = _function(lambda query, item: dict(model.score_pairs(query, item)), vectors, item_vectors)
        self.classify_queries = _function(lambda branches: dict(model.classify_queries(branches)), branches)
        self.classify_reviews = _function(
            lambda texts: dict(model.classify_reviews(ops.review_model_inputs(texts))), tf.TensorSpec([None], tf.string)
        )
        self.query_keys = _function(lambda vectors: model.query_keys(vectors), vectors)
        self.item_keys = _function(lambda vectors: model.item_keys(vectors), vectors)
        embedding = (self.embed_item, self.embed_day, self.embed_query, self.embed_text)
        matching = (self.query_keys, self.item_keys, self.score_pairs)
        functions = (*embedding, *matching, self.classify_queries, self.classify_reviews)
        # Only what the functions use is saved: neither the optimizer nor the training snapshot of item vectors.
        self.model_variables = list({id(v): v for function in functions for v in function.graph.variables}.values())


def _function(python_function: Callable[..., Any], *specs: Any) -> Any:
    """Returns a concrete function: saving one that is not would trace it again."""
    return tf.function(python_function, input_signature=specs, autograph=False).get_concrete_function()


def _embed_item(model: Model, ops: ModelOps, wire: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    inputs = dict(ops.item_model_inputs(wire))
    status = inputs.pop(TowerOutput.STATUS.value)
    encoded = model.encode_items_without_price(inputs)
    return {**_outputs(encoded, status), TowerOutput.ENCODED.value: encoded[TowerOutput.ENCODED.value]}


def _embed_day(model: Model, ops: ModelOps, wire: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    passed_on = ("neighbour_vectors", "neighbour_present", "last_price", "last_price_present")
    inputs = {**ops.day_model_inputs(wire), **{name: wire[name] for name in passed_on}}
    return dict(model.encode_days(wire[TowerOutput.ENCODED.value], inputs))


def _embed_query(model: Model, ops: ModelOps, wire: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    history = {name: wire[name] for name in ("history_vectors", "history_present")}
    return _encode_queries(model, {**ops.query_model_inputs(wire), **history}, ops.config)


def _encode_queries(model: Model, inputs: Mapping[str, tf.Tensor], config: Config) -> dict[str, tf.Tensor]:
    content = {name: inputs[name] for name in inputs if name != TowerOutput.STATUS.value}
    own = {}
    if features := config.wire.text_embedding_dim:
        own[TowerOutput.TEXT_FEATURES.value] = text = model.text_features(content, features=features)
        content[EMBEDDINGS[Modality.TEXT]] = text[:, tf.newaxis]  # so that the branch does not encode it again
    encoded = model.encode_queries(content, skip_absent=True)
    outputs = _outputs(encoded, inputs[TowerOutput.STATUS.value])
    return {**outputs, TowerOutput.REPEATS.value: encoded[TowerOutput.REPEATS.value], **own}


def _outputs(encoded: Mapping[str, tf.Tensor], status: tf.Tensor) -> dict[str, tf.Tensor]:
    outputs = {
        name.value: encoded[name.value] for name in (TowerOutput.VECTOR, TowerOutput.BRANCHES, TowerOutput.WEIGHTS)
    }
    return {**outputs, TowerOutput.STATUS.value: status}


def export_towers(
    model: Model, ops: ModelOps, directory: str | Path, *, model_id: str, extra: Mapping[str, bytes] | None = None
) -> Path:
    """Saves the towers; the folder appears whole or not at all, and replaces an existing one.

    Args:
      model: The trained model.
      ops: Wire form to model inputs, with its vocabularies.
      directory: Where the SavedModel goes.
      model_id: SHA-256 that names the trained model; with the catalogue it decides the bundle's version.
      extra: Files for `assets.extra`, by name; a bundle of these towers copies those of `CARRIED_FILES`.
    """
    directory = Path(directory)
    directory.parent.mkdir(parents=True, exist_ok=True)
    aside = directory.with_name(f".tmp-{directory.name}-{uuid.uuid4().hex[:8]}")
    info = {
        "config": to_dict(ops.config),
        "model_id": model_id,
        "subwords": len(ops.subwords),
        **_structure(),
    }
    try:
        tf.saved_model.save(TowersModule(model, ops=ops), str(aside))
        (aside / TOWERS_JSON).parent.mkdir(exist_ok=True)
        (aside / TOWERS_JSON).write_text(json.dumps(info, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        for name, content in (extra or {}).items():
            (aside / TOWERS_JSON).with_name(name).write_bytes(content)
        if directory.exists():
            shutil.rmtree(directory)
        os.rename(aside, directory)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return directory


def _structure() -> dict[str, Any]:
    """Returns the branches and heads of this code."""
    return {
        "branches": {str(side): [str(branch) for branch in branches_of(side)] for side in (Side.ITEM, Side.QUERY)},
        "heads": [task.name for task in TASKS],
    }


def load_towers(directory: str | Path) -> LoadedTowers:
    """Loads towers.

    Raises:
      ValueError: The folder holds no towers, or towers with other branches or heads than this code has.
    """
    path = Path(directory) / TOWERS_JSON
    if not path.is_file():
        raise ValueError(f"No towers at {directory}: {TOWERS_JSON} is missing. Train first (python -m trainer.task).")
    info = json.loads(path.read_text(encoding="utf-8"))
    for what, want in _structure().items():
        if info.get(what) != want:
            raise ValueError(
                f"Towers at {directory} have {what} {info.get(what)}; this code has {want}. "
                "Train again with this version."
            )
    config = from_dict(info["config"], Config())
    return LoadedTowers(
        module=tf.saved_model.load(plain_path(directory)),
        config=config,
        model_id=info["model_id"],
        carried_files=carried_files(directory),
    )


def carried_files(directory: str | Path) -> tuple[Path, ...]:
    """Returns the files of towers or a bundle that a bundle made of them copies."""
    folder = (Path(directory) / TOWERS_JSON).parent
    return tuple(sorted(path for pattern in CARRIED_FILES for path in folder.glob(pattern)))
