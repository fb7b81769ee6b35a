"""Prediction heads of the two-tower model."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from trainer.nn.blocks import encode_present_rows, masked_max, masked_mean
from trainer.nn.stateless_random import Dropout


class PairHead(tf.keras.layers.Layer):
    """Pair head: the logit of an action on an item for a query, such as a click.

    Input:  query [..., dim] and item [..., dim] float32 of equal or broadcastable shape.
    Output: [...] float32 logits.
    """

    def __init__(self, *, hidden_dim: int = 32, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.hidden_dim = hidden_dim
        self.hidden = tf.keras.layers.Dense(hidden_dim, activation="relu", name="hidden")
        self.logit = tf.keras.layers.Dense(1, name="logit")

    def call(self, query: tf.Tensor, item: tf.Tensor) -> tf.Tensor:
        """See the class."""
        product = query * item
        cosine = tf.reduce_sum(product, axis=-1, keepdims=True)
        items = tf.broadcast_to(item, tf.shape(product))
        return self.logit(tf.concat([self.hidden(tf.concat([product, items], axis=-1)), cosine], axis=-1))[..., 0]

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "hidden_dim": self.hidden_dim}


class RepurchaseHead(tf.keras.layers.Layer):
    """Repurchase head: a similarity bonus for items that the user acted on before.

    Repeat consumption follows recency and frequency: https://doi.org/10.1145/2566486.2568018

    Input:  {"history_age_days": [batch, history] float32 days, "history_counts": [batch, history] float32, how often,
             "history_present": [batch, history] bool} and has_query [batch] float32, 1 where more than
            the user is known.
    Output: [batch, history] float32, in the unit of the similarity, 0 for an absent entry; all start at zero.
    """

    def __init__(self, *, hidden_dim: int = 8, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.hidden_dim = hidden_dim
        self.hidden = tf.keras.layers.Dense(hidden_dim, activation="tanh", name="hidden")
        self.bonus = tf.keras.layers.Dense(1, kernel_initializer="zeros", name="bonus")

    def call(self, inputs: Mapping[str, tf.Tensor], has_query: tf.Tensor) -> tf.Tensor:
        """See the class."""
        age, count = tf.math.log1p(inputs["history_age_days"]), tf.math.log(inputs["history_counts"])
        features = tf.stack([age, count, tf.ones_like(age) * has_query[:, tf.newaxis]], axis=-1)
        bonus = self.bonus(tf.concat([self.hidden(features), features], axis=-1))[..., 0]
        return tf.where(inputs["history_present"], bonus, 0.0)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "hidden_dim": self.hidden_dim}


class QueryClassHead(tf.keras.layers.Layer):
    """Query classification head: logits of the class of a query from its branches.

    Input:  branches [batch, branch, dim] float32, zeros where absent.
    Output: [batch, classes] float32 logits.
    """

    def __init__(self, *, num_classes: int, hidden_dim: int = 32, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_classes = num_classes
        self.hidden_dim = hidden_dim
        self.hidden = tf.keras.layers.Dense(hidden_dim, activation="relu", name="hidden")
        self.logits = tf.keras.layers.Dense(num_classes, name="logits")

    def call(self, branches: tf.Tensor) -> tf.Tensor:
        """See the class."""
        return self.logits(self.hidden(tf.reshape(branches, [-1, branches.shape[1] * branches.shape[2]])))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "num_classes": self.num_classes, "hidden_dim": self.hidden_dim}


class ItemHead(tf.keras.layers.Layer):
    """Item-day regression head: a learned correction of a baseline forecast.

    Input:  branches [batch, branch, dim] float32, zeros where absent; facts [batch, facts] float32, known without a
            model; baseline [batch] float32, the forecast without a model.
    Output: [batch] float32, the baseline plus the correction, which starts at zero.

    Most items have few labels; `dropout` on the branches is against overfitting to them.
    """

    def __init__(self, *, hidden_dim: int = 32, dropout: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.hidden_dim = hidden_dim
        self.dropout = dropout
        self.drop = Dropout(dropout)
        self.hidden = tf.keras.layers.Dense(hidden_dim, activation="relu", name="hidden")
        self.correction = tf.keras.layers.Dense(1, kernel_initializer="zeros", name="correction")

    def call(self, branches: tf.Tensor, *, facts: tf.Tensor, baseline: tf.Tensor, training: bool = False) -> tf.Tensor:
        """See the class."""
        flat = self.drop(tf.reshape(branches, [-1, branches.shape[1] * branches.shape[2]]), training=training)
        return baseline + self.correction(self.hidden(tf.concat([flat, facts], axis=-1)))[..., 0]

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "hidden_dim": self.hidden_dim, "dropout": self.dropout}


class ReviewHead(tf.keras.layers.Layer):
    """Text classification head: a CNN over words, with maximum and mean pooling.

    https://aclanthology.org/D14-1181/

    Input:  [batch, words] int32 word ids, 0 = padding.
    Output: [batch, classes] float32 logits, zeros for a text without words.
    """

    WIDTHS = (1, 2, 3)

    def __init__(
        self,
        *,
        num_hash_buckets: int,
        embedding_dim: int,
        filters: int,
        num_classes: int,
        dropout: float,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_hash_buckets = num_hash_buckets
        self.embedding_dim = embedding_dim
        self.filters = filters
        self.num_classes = num_classes
        self.dropout = dropout
        self.embed = tf.keras.layers.Embedding(num_hash_buckets + 1, embedding_dim, name="embed")
        self.convolutions = [
            tf.keras.layers.Conv1D(filters, width, padding="same", activation="relu", name=f"words{width}")
            for width in self.WIDTHS
        ]
        self.drop = Dropout(dropout)
        self.logits = tf.keras.layers.Dense(num_classes, name="logits")

    def call(self, words: tf.Tensor, training: bool = False) -> tf.Tensor:
        """See the class."""
        return encode_present_rows(
            lambda rows: self._logits(rows["words"], training), {"words": words}, tf.reduce_any(words > 0, axis=1)
        )

    def _logits(self, words: tf.Tensor, training: bool) -> tf.Tensor:
        present = words > 0
        embedded = self.embed(words) * tf.cast(present, tf.float32)[..., tf.newaxis]
        maps = [convolution(embedded) for convolution in self.convolutions]
        pooled = [pool(features, present) for features in maps for pool in (masked_max, masked_mean)]
        return self.logits(self.drop(tf.concat(pooled, axis=-1), training=training))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        names = ("num_hash_buckets", "embedding_dim", "filters", "num_classes", "dropout")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
