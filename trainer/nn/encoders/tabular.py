"""Tabular encoder: category path, brand and price."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from trainer.nn.blocks import masked_mean
from trainer.nn.stateless_random import Dropout


class TabularEncoder(tf.keras.layers.Layer):
    """Tabular encoder: embeddings of category path and brand, and the scaled price.

    Input:  {"category_ids": [batch, levels] int32, "brand_id": [batch] int32, 0 = absent,
             "price_scaled": [batch] float32, "price_present": [batch] float32}.
    Output: [batch, dim] float32.
    """

    def __init__(
        self, *, num_categories: int, num_brands: int, embedding_dim: int, dim: int, dropout: float, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.num_categories = num_categories
        self.num_brands = num_brands
        self.embedding_dim = embedding_dim
        self.dim = dim
        self.dropout = dropout
        self.categories = tf.keras.layers.Embedding(num_categories, embedding_dim, name="categories")
        self.brands = tf.keras.layers.Embedding(num_brands, embedding_dim, name="brands")
        self.drop = Dropout(dropout)
        self.project = tf.keras.layers.Dense(dim, name="project")

    def call(self, inputs: Mapping[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """See the class."""
        category, brand = inputs["category_ids"], inputs["brand_id"]
        known_brand = tf.cast(brand > 0, tf.float32)[:, tf.newaxis]
        price = tf.stack([inputs["price_scaled"], inputs["price_present"]], axis=-1)
        values = tf.concat(
            [masked_mean(self.categories(category), category > 0), self.brands(brand) * known_brand, price], axis=-1
        )
        return self.project(self.drop(values, training=training))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        names = ("num_categories", "num_brands", "embedding_dim", "dim", "dropout")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
