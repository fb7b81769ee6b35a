"""TFX schemas of Examples, derived from the declaration, for validation and Transform.

Media is left out (statistics of JPEG bytes are useless and costly), and strings have open domains, so that a new
category or brand is no anomaly.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from trainer.spec.branches import MEDIA
from trainer.spec.config import WireConfig
from trainer.spec.feature_list import EMBEDDINGS, features_of
from trainer.spec.features import Dtype, Feature, Side

_TYPES = {Dtype.BYTES: schema_pb2.BYTES, Dtype.FLOAT: schema_pb2.FLOAT, Dtype.INT: schema_pb2.INT}

# Features of each schema of the pipeline.
VALIDATED_ITEMS = tuple(
    f for f in features_of(Side.ITEM) if f.modality not in MEDIA and f.name not in EMBEDDINGS.values()
)
VALIDATED_EVENTS = tuple(f for f in features_of(Side.QUERY) + features_of(Side.EVENT) if f.modality not in MEDIA)
TRANSFORMED_ITEMS = tuple(f for f in features_of(Side.ITEM) if f.transform)


def make_schema(features: Iterable[Feature], *, wire: WireConfig) -> schema_pb2.Schema:
    """Returns the schema of `features`: all of them in every Example, at their full length.

    Numbers are finite and at least 0, or at least the default where a negative default means "absent".
    """
    schema = schema_pb2.Schema()
    for feature in features:
        entry = schema.feature.add(name=feature.name, type=_TYPES[feature.dtype])
        entry.presence.min_fraction, entry.presence.min_count = 1.0, 1
        entry.shape.SetInParent()
        for axis in feature.axes:
            entry.shape.dim.add(size=getattr(wire, axis.value))
        if feature.dtype is Dtype.FLOAT:
            entry.float_domain.min = min(0.0, float(feature.default))
            entry.float_domain.disallow_nan = entry.float_domain.disallow_inf = True
        elif feature.dtype is Dtype.INT:
            entry.int_domain.min = min(0, int(feature.default))
    return schema


def write_schema(features: Iterable[Feature], *, wire: WireConfig, directory: Path, name: str) -> Path:
    """Writes `make_schema` as text; the file name carries a hash of the content, because TFX caches by path."""
    text = text_format.MessageToString(make_schema(features, wire=wire))
    path = directory / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}.pbtxt"
    directory.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path
