"""Transform graph: vocabularies and price scale, which need a full pass over the catalogue.

`preprocessing_fn` is named by TFX; `write_transform_graph` runs it without TFX. Either way the graph is loaded by
`tf.saved_model.load(...).transform_fn`, without the Transform library.
"""

import functools
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from apache_beam.options.pipeline_options import PipelineOptions, SetupOptions

from trainer.spec.config import Config, from_json
from trainer.spec.feature_list import features_of
from trainer.spec.features import Side
from trainer.spec.transformed import (
    BRAND_VOCABULARY,
    CATEGORY_VOCABULARY,
    ITEM_VOCABULARY,
    WORD_VOCABULARY,
    Transformed,
)

# Imported by a worker in a process of its own before it loads the graph: the ops of tensorflow-text come with it.
# TFX's Transform needs the same, as `--beam_plugin=trainer.ops.text`.
WORKER_IMPORT = "trainer.ops.text"


def preprocessing_fn(inputs: Mapping[str, Any], custom_config: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Returns the outputs of `Transformed`; as side effects the vocabularies of words, categories, brands and items.

    Args:
      inputs: Every item feature with `transform`, dense: [batch] or [batch, length].
      custom_config: {"config": the configuration as JSON}; the default configuration when None.

    Returns:
      {name of `Transformed`: tensor}. An id is 0 where the value is absent, then come the vocabulary and the
      out-of-vocabulary buckets.
    """
    config = from_json(custom_config["config"]) if custom_config and "config" in custom_config else Config()
    _count_words(inputs)
    tabular = config.tower.tabular
    price = _scaled_price(inputs["price"])
    return {
        Transformed.CATEGORY_IDS.value: _ids(
            inputs["category"], tabular.category_vocab_size, config, name=CATEGORY_VOCABULARY
        ),
        Transformed.BRAND_ID.value: _ids(inputs["brand"], tabular.brand_vocab_size, config, name=BRAND_VOCABULARY),
        Transformed.PRICE_SCALED.value: price["scaled"],
        Transformed.PRICE_PRESENT.value: price["present"],
        Transformed.ITEM_NUMBER.value: _item_numbers(
            inputs["item_id"], max(1, config.tower.identity.item_embedding_rows)
        ),
    }


def _count_words(inputs: Mapping[str, Any]) -> None:
    """Writes every word of every text feature with its count."""
    import tensorflow as tf
    import tensorflow_transform as tft

    from trainer.ops import text
    from trainer.ops.examples import texts_of

    found = text.words(tf.strings.join(texts_of(inputs, Side.ITEM), separator=" "))
    tft.vocabulary(found.to_sparse(), vocab_filename=WORD_VOCABULARY, store_frequency=True)


def _ids(values: Any, buckets: int, config: Config, *, name: str) -> Any:
    """int64 ids in the shape of `values`."""
    import tensorflow as tf
    import tensorflow_transform as tft

    present = tf.not_equal(values, "")
    known = tf.sparse.from_dense(values)  # leaves "" out, so that it takes no place in the vocabulary
    vocabulary = tft.vocabulary(known, top_k=buckets, vocab_filename=name)
    ids = tft.apply_vocabulary(values, vocabulary, num_oov_buckets=config.tower.tabular.num_oov_buckets)
    ids = tf.reshape(tf.cast(ids, tf.int64), tf.shape(values))
    ids.set_shape(values.shape)
    return tf.where(present, ids + 1, tf.zeros_like(ids))


def _item_numbers(item_ids: Any, most: int) -> Any:
    """int64 [batch]: 1.. for the items of the vocabulary, 0 for any other."""
    import tensorflow as tf
    import tensorflow_transform as tft

    vocabulary = tft.vocabulary(item_ids, top_k=most, vocab_filename=ITEM_VOCABULARY)
    return tf.cast(tft.apply_vocabulary(item_ids, vocabulary, default_value=-1), tf.int64) + 1


def _scaled_price(price: Any) -> dict[str, Any]:
    """`scaled`: z-score of log1p(price) over the known prices, 0 where unknown; `present`: 1.0 where known."""
    import tensorflow as tf
    import tensorflow_transform as tft

    present = tf.math.is_finite(price) & (price >= 0.0)
    logarithm = tf.math.log1p(tf.where(present, price, tf.zeros_like(price)))
    rows = tf.where(present)
    known = tf.SparseTensor(
        tf.concat([rows, tf.zeros_like(rows)], axis=1),
        tf.boolean_mask(logarithm, present),
        tf.stack([tf.cast(tf.size(price), tf.int64), 1]),
    )
    mean, variance = _finite(tft.mean(known)), _finite(tft.var(known))
    scaled = tf.math.divide_no_nan(logarithm - mean, tf.sqrt(variance))
    return {
        "scaled": tf.where(present, tf.cast(scaled, tf.float32), tf.zeros_like(price)),
        "present": tf.cast(present, tf.float32),
    }


def _finite(value: Any) -> Any:
    """0 in place of the statistics of an empty set."""
    import tensorflow as tf

    return tf.where(tf.math.is_finite(value), value, tf.zeros_like(value))


def write_transform_graph(
    items_dir: str,
    output_dir: str | pathlib.Path,
    *,
    config: Config,
    beam_options: PipelineOptions | Sequence[str] | None = None,
) -> None:
    """Analyses the item Examples and writes `transform_fn/` and `transformed_metadata/` into `output_dir`.

    Args:
      items_dir: Folder of the TFRecord files of the items.
      output_dir: Replaced as a whole.
      config: Lengths of the axes and sizes of the vocabularies.
      beam_options: Arguments or options of the runner.
    """
    import apache_beam as beam
    import tensorflow_transform.beam as tft_beam

    from beam_preprocess import pipeline, sharded_writer
    from trainer.plain_paths import plain_path
    from trainer.spec.config import to_json

    source = _item_source(config)
    aside = sharded_writer.staged(str(output_dir))
    function = functools.partial(preprocessing_fn, custom_config={"config": to_json(config)})
    scratch = plain_path(sharded_writer.staged(f"{output_dir}.scratch"))  # on a file system that every worker reaches
    options = pipeline.options_of(beam_options)
    setup = options.view_as(SetupOptions)
    setup.beam_plugins = [*(setup.beam_plugins or []), WORKER_IMPORT]
    with tft_beam.Context(temp_dir=scratch), beam.Pipeline(options=options) as run:
        items = run | "read" >> sharded_writer.ReadShards(items_dir) | "items" >> source.BeamSource()
        graph = (items, source.TensorAdapterConfig()) | "analyse" >> tft_beam.AnalyzeDataset(function)
        _ = graph | "write" >> tft_beam.WriteTransformFn(aside)
    sharded_writer.discard([f"{output_dir}.scratch"])
    sharded_writer.publish(str(output_dir))


def _item_source(config: Config) -> Any:
    """The reader of serialized item Examples: the features that Transform reads, as tensors."""
    from tensorflow_transform.tf_metadata import schema_utils
    from tfx_bsl.public import tfxio

    from trainer.ops import examples

    read = [feature for feature in features_of(Side.ITEM) if feature.transform]
    shapes = {name: _without_default(spec) for name, spec in examples.feature_spec(read, config.wire).items()}
    schema = schema_utils.schema_from_feature_spec(shapes)
    return tfxio.TFExampleBeamRecord("tfrecord", telemetry_descriptors=["vitrine"], schema=schema)


def _without_default(spec: Any) -> Any:
    """A feature without default: it is in every Example, and Transform's schema has no defaults."""
    import tensorflow as tf

    return tf.io.FixedLenFeature(spec.shape, spec.dtype)
