"""A toy modality and a toy head, added by docs/architecture.md: only the files that it names are touched."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
ROWS = ("a field of the shop's files", "a feature", "a modality", "a head")

NEW_FILES = {
    "trainer/ops/scent.py": '''"""Scents: a strength from 0 to 1; anything else is absent."""

import tensorflow as tf


def to_model(strength: tf.Tensor) -> dict[str, tf.Tensor]:
    """Strengths [batch] float32 and whether they are there [batch] bool."""
    present = (strength >= 0.0) & (strength <= 1.0)
    return {"scent": tf.where(present, strength, 0.0), "scent_present": present}
''',
    "trainer/nn/encoders/scent.py": '''"""Scent encoder: one hidden layer."""

import tensorflow as tf


class ScentEncoder(tf.keras.layers.Layer):
    """Input: {"scent": [batch] float32}. Output: [batch, dim] float32."""

    def __init__(self, *, dim, **kwargs):
        super().__init__(**kwargs)
        self.dim = dim
        self.hidden = tf.keras.layers.Dense(dim, activation="gelu", name="hidden")
        self.project = tf.keras.layers.Dense(dim, name="project")

    def call(self, inputs, training=False):
        """See the class."""
        return self.project(self.hidden(inputs["scent"][:, tf.newaxis]))

    def get_config(self):
        """The constructor's arguments."""
        return {**super().get_config(), "dim": self.dim}
''',
}
# {file: (line that is there, line that is put behind it)}.
NEW_LINES = {
    "trainer/spec/records.py": [
        (
            'Field(name="audio", kind=Kind.URI, doc="A sound."),',
            'Field(name="scent", kind=Kind.NUMBER, minimum=0.0, maximum=1.0, doc="How strong it smells."),',
        )
    ],
    "trainer/spec/features.py": [('AUDIO = "audio"', 'SCENT = "scent"')],
    "trainer/spec/feature_list.py": [
        (
            'Feature(name="group_id", side=Side.ITEM, dtype=Dtype.BYTES, doc="Variants of one product share it."),',
            'Feature(name="scent", side=Side.ITEM, dtype=Dtype.FLOAT, modality=Modality.SCENT, default=-1.0, doc="A"),',
        ),
        (
            'Feature(name="event_item_id", side=Side.EVENT, dtype=Dtype.BYTES, doc="The item the event is about."),',
            'Feature(name="label_wish", side=Side.EVENT, dtype=Dtype.FLOAT, default=-1.0, doc="1 wished for, 0 not."),',
        ),
    ],
    "beam_preprocess/items.py": [
        ('row["in_stock"] = int(record.get("in_stock", True))', 'row["scent"] = record.get("scent", -1.0)')
    ],
    "beam_preprocess/events/rows.py": [("positive: float = 0.0", "wish: float = UNKNOWN")],
    "beam_preprocess/events/joins.py": [
        (
            "in_cart=any(action.type == EventType.CART for action in actions),",
            "wish=1.0 if any(action.type == EventType.CART for action in actions) else unlabelled,",
        )
    ],
    "beam_preprocess/events/examples.py": [('"label_sentiment": row.sentiment,', '"label_wish": row.wish,')],
    "trainer/ops/examples.py": [
        ("import tensorflow as tf", "from trainer.ops import scent"),
        ("**tabular.to_model(transformed),", '**scent.to_model(wire["scent"]),'),
    ],
    "trainer/model/build.py": [
        (
            "from trainer.nn.encoders.tabular import TabularEncoder",
            "from trainer.nn.encoders.scent import ScentEncoder",
        ),
        (
            "Modality.TABULAR: _tabular,",
            'Modality.SCENT: lambda context: ScentEncoder(dim=context.config.tower.dim, name="scent"),',
        ),
    ],
    "trainer/spec/model_inputs.py": [
        (
            "BRANCHES: dict[Modality, Branch] = {",
            'Modality.SCENT: Branch(inputs={"scent": InputSpec(shape=_per_row, dtype="float32", blank=1), '
            '"scent_present": InputSpec(shape=_per_row, dtype="bool", blank=1)}, '
            'presence=lambda inputs: (inputs["scent_present"],)),',
        )
    ],
    "trainer/spec/tasks.py": [
        (
            "TASKS: tuple[Task, ...] = (",
            'Task(name="wish", kind=TaskKind.BINARY, label="label_wish", weight=0.1, doc="Whether it is wished for."),',
        )
    ],
}
CHECK = """
import pytest
steps = ["tests/test_completeness.py", "-k", "modality or tables or label"]
assert pytest.main(["-q", "-p", "no:cacheprovider", *steps]) == 0

import numpy as np
import tensorflow as tf
from beam_preprocess.examples import serialize
from beam_preprocess.items import wire_row
from tests.support import tiny_shop
from trainer.model.build import build_model
from trainer.nn import losses
from trainer.ops.examples import ModelOps, parse
from trainer.spec.branches import branches_of
from trainer.spec.features import Modality, Side
from trainer.spec.tasks import SCORE_COMPONENTS
import pathlib, tempfile

config = tiny_shop.CONFIG
folder = pathlib.Path(tempfile.mkdtemp())
tiny_shop.write_transform_graph(folder)
ops = ModelOps.load(config, folder)
records = [{"item_id": "soap", "title": "Soap", "scent": 0.5}, {"item_id": "stone", "title": "Stone"}]
examples = [serialize(wire_row(record, config), sides=(Side.ITEM,), wire=config.wire) for record in records]
inputs = ops.item_model_inputs(parse(tf.constant(examples), sides=[Side.ITEM], wire=config.wire))
model = build_model(config, num_subwords=len(ops.subwords))
place = branches_of(Side.ITEM).index(Modality.SCENT)
inputs.pop("status")
with tf.GradientTape() as tape:
    items = model.encode_items(inputs)
    wished = model.heads["wish"](tf.ones_like(items["vector"]), items["vector"])
    loss = losses.binary_cross_entropy(tf.constant([1.0, 0.0]), wished)
reached = tape.gradient(loss, model.item_tower.encoders["scent"].trainable_variables)
assert np.linalg.norm(items["branches"][0, place]) > 0, "the scent of the soap gives no branch"
assert np.linalg.norm(items["branches"][1, place]) == 0, "a stone without scent has a branch of it"
assert any(float(tf.norm(gradient)) > 0 for gradient in reached), "the head does not teach the encoder"
assert "wish" in SCORE_COMPONENTS
print("ADDED")
"""


def named_files() -> set[str]:
    """What the rows of docs/architecture.md name: paths, with the modality's name filled in."""
    lines = (ROOT / "docs/architecture.md").read_text(encoding="utf-8").splitlines()
    rows = [line for line in lines if line.startswith(tuple(f"| {row} |" for row in ROWS))]
    assert len(rows) == len(ROWS), rows
    return {path.replace("<modality>", "scent") for row in rows for path in re.findall(r"`([\w/<>]+\.py)`", row)}


@pytest.mark.slow
def test_a_toy_modality_and_a_toy_head_touch_only_the_files_that_the_page_names(tmp_path):
    touched = {*NEW_FILES, *NEW_LINES}
    unnamed = {path for path in touched - named_files() if not path.startswith("beam_preprocess/")}
    assert not unnamed, f"docs/architecture.md does not name {sorted(unnamed)}"
    for name in ("trainer", "serving", "beam_preprocess", "tests"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("tfx_pipeline.py", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    for path, text in NEW_FILES.items():
        (tmp_path / path).write_text(text, encoding="utf-8")
    for path, changes in NEW_LINES.items():
        text = (tmp_path / path).read_text(encoding="utf-8")
        for there, added in changes:
            found = re.search(rf"^( *){re.escape(there)}$", text, re.MULTILINE)
            assert found, f"{path} has no line {there!r} any more; change this test with it"
            indent = "    " if there.endswith(("(", "{")) else found[1]
            text = f"{text[: found.end()]}\n{indent}{added}{text[found.end() :]}"
        (tmp_path / path).write_text(text, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, "-c", CHECK], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout.rstrip().endswith("ADDED"), done.stdout[-3000:] + done.stderr[-3000:]
