"""Import checks: each library is loaded and used in a child process, so that one that aborts is only a finding."""

import concurrent.futures
import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

SETUP = "run `make setup`"
PROBE_SECONDS = 300


@dataclasses.dataclass(frozen=True, slots=True)
class Probe:
    """A check of one library in a child process.

    Attributes:
      subject: Name of the check.
      code: Python that fails, or prints a detail in its last line.
      fix: Remedy when it fails.
      extra: Whether it belongs to the `pipeline` extra.
    """

    subject: str
    code: str
    fix: str = SETUP
    extra: bool = False


PROBES = (
    Probe(
        "Keras 2 selection",
        "import trainer, tensorflow as tf, tf_keras\n"
        "assert tf.keras.Model is tf_keras.Model, f'tf.keras.Model is {tf.keras.Model}'\n"
        "print('tf.keras is tf-keras', tf_keras.__version__)",
        f"import trainer before tensorflow, or set TF_USE_LEGACY_KERAS=1; if tf-keras is missing, {SETUP}",
    ),
    Probe(
        "tensorflow",
        "import trainer, tensorflow as tf; print(tf.__version__, 'adds up to', int(tf.reduce_sum([1, 2])))",
    ),
    Probe(
        "tensorflow-recommenders",
        "import trainer, tf_keras, tensorflow_recommenders as tfrs\n"
        "assert issubclass(tfrs.Model, tf_keras.Model), 'tfrs.Model is not a Keras 2 model'\n"
        "print(tfrs.__version__, 'on Keras 2')",
    ),
    Probe(
        "tensorflow-text ops",
        "import tensorflow_text as text\n"
        "tokens = text.WhitespaceTokenizer().tokenize(['red shoe'])\n"
        "assert tokens.to_list() == [[b'red', b'shoe']], tokens\n"
        "print(text.__version__, 'tokenizes')",
        f"tensorflow-text is tied to one TensorFlow minor: {SETUP}",
    ),
    Probe(
        "ScaNN ops",
        "import trainer, numpy as np\n"
        "from scann.scann_ops.py import scann_ops\n"
        "rows = np.eye(16, dtype=np.float32)\n"
        "found, _ = scann_ops.builder(rows, 1, 'dot_product').score_brute_force().build().search(rows[3])\n"
        "assert int(found[0]) == 3, found\n"
        "print('searches')",
        f"ScaNN's op library is tied to one TensorFlow minor: {SETUP}",
    ),
    Probe("tensorflow-hub", "import trainer, tensorflow_hub as hub; print(hub.__version__, 'imports')"),
    Probe(
        "ml-metadata",
        "from ml_metadata.metadata_store import metadata_store\n"
        "from ml_metadata.proto import metadata_store_pb2 as proto\n"
        "config = proto.ConnectionConfig(); config.fake_database.SetInParent()\n"
        "print('opens a store of', len(metadata_store.MetadataStore(config).get_artifacts()), 'artifacts')",
        extra=True,
    ),
    Probe(
        "TFX, Transform, TFDV",
        # TFDV imports only after tfx, which replaces a module that TFDV misses.
        "import trainer, tfx.v1 as tfx, tensorflow_data_validation as tfdv, tensorflow_transform as tft\n"
        "print('tfx', tfx.__version__, 'tfdv', tfdv.__version__, 'tft', tft.__version__)",
        extra=True,
    ),
    Probe(
        "Beam",
        "import apache_beam as beam\n"
        "with beam.Pipeline('DirectRunner') as p: p | beam.Create([1, 2]) | beam.Map(lambda x: x + 1)\n"
        "print(beam.__version__, 'runs a pipeline')",
        extra=True,
    ),
)

# The child: runs the given programs in turn and writes one JSON line about each; an abort ends it early.
_CHILD = """
import contextlib, io, json, sys
output = sys.stdout
for code in json.loads(sys.argv[1]):
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            exec(code, {'__name__': '__main__'})
        row = [True, (printed.getvalue().strip().splitlines() or [''])[-1]]
    except BaseException as error:
        row = [False, f'{type(error).__name__}: {error}'.splitlines()[0][:200]]
    print(json.dumps(row), file=output, flush=True)
"""


@dataclasses.dataclass(frozen=True, slots=True)
class ProbeOutcome:
    """Result of a check: what it printed, or the error."""

    ok: bool
    detail: str


def run_probes(probes: Sequence[Probe]) -> list[ProbeOutcome]:
    """Runs the probes, base and extra side by side; one outcome for each, in the same order."""
    groups = [[probe for probe in probes if probe.extra is extra] for extra in (False, True)]
    with concurrent.futures.ThreadPoolExecutor(max_workers=len(groups)) as pool:
        outcomes = {
            probe: outcome
            for group, found in zip(groups, pool.map(_run_group, groups), strict=True)
            for probe, outcome in zip(group, found, strict=True)
        }
    return [outcomes[probe] for probe in probes]


def _run_group(probes: Sequence[Probe]) -> list[ProbeOutcome]:
    """Runs probes in as few processes as possible: after an abort the rest goes on in a new one."""
    outcomes: list[ProbeOutcome] = []
    while len(outcomes) < len(probes):
        child = _run_child([probe.code for probe in probes[len(outcomes) :]])
        outcomes += child.outcomes
        if len(outcomes) < len(probes):
            outcomes.append(ProbeOutcome(False, child.end))
    return outcomes


class _Child(NamedTuple):
    """Outcomes that one child process reported, and how it ended."""

    outcomes: list[ProbeOutcome]
    end: str


def _run_child(programs: Sequence[str]) -> _Child:
    env = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    env.pop("TF_USE_LEGACY_KERAS", None)  # importing trainer has to set it
    root = str(Path(__file__).resolve().parents[2])
    env["PYTHONPATH"] = os.pathsep.join(filter(None, [root, env.get("PYTHONPATH", "")]))
    command = [sys.executable, "-W", "ignore", "-c", _CHILD, json.dumps(list(programs))]
    try:
        done = subprocess.run(
            command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PROBE_SECONDS
        )
        output, end = done.stdout, f"killed by signal {-done.returncode}" if done.returncode < 0 else "ended early"
    except subprocess.TimeoutExpired as error:
        output = error.stdout.decode() if isinstance(error.stdout, bytes) else error.stdout or ""
        end = f"no answer in {PROBE_SECONDS} s"
    lines = [line for line in output.splitlines() if line.startswith(("[true", "[false"))]
    return _Child([ProbeOutcome(*json.loads(line)) for line in lines], end)
