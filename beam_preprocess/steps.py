"""Beam steps as plain generator functions, and the collector of their dead letters and counts.

A step takes one row and yields results, `Count`s and `DeadLetter`s in any order, so that it can be tested without
Beam, whose elements are batches of rows. Counts travel through the pipeline as data: unlike runner metrics they are
exact when a bundle is run again.
"""

import collections
import gc
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

from beam_preprocess import batches, sharded_writer
from beam_preprocess.outcomes import Count, DeadLetter

Step = Callable[..., Iterator[Any]]
_COUNTS, _DEAD_LETTERS = "counts", "dead_letters"


class StepDoFn(beam.DoFn):
    """DoFn of a step, with outputs of their own for dead letters and for counts, which are summed by bundle."""

    def __init__(self, step: Step) -> None:
        super().__init__()
        self.step = step
        self._totals: collections.Counter[str] = collections.Counter()

    def setup(self) -> None:
        """Excludes what is loaded by now from garbage collection."""
        # A full collection would go through all objects of Beam and TensorFlow, and rows are enough for many of them.
        gc.freeze()

    def start_bundle(self) -> None:
        """Forgets the counts of a bundle that failed."""
        self._totals.clear()

    def process(self, batch: batches.Batch, *side_inputs: Any) -> Iterator[Any]:
        """Yields batches of results, and tagged dead letters."""
        results = batches.Batch()
        totals = self._totals
        for outcome in itertools.chain.from_iterable(self.step(row, *side_inputs) for row in batch):
            kind = type(outcome)
            if kind is Count:
                totals[outcome[0]] += outcome[1]
            elif kind is DeadLetter:
                self._totals[outcome.counter] += 1
                line = (outcome.ref.file, outcome.ref.number, outcome.to_json())
                yield beam.pvalue.TaggedOutput(_DEAD_LETTERS, line)
            else:
                results.append(outcome)
            if len(results) == batches.MAX_ROWS:
                yield results
                results = batches.Batch()
        if results:
            yield results

    def finish_bundle(self) -> Iterator[Any]:
        """Yields the counts of this bundle."""
        window = GlobalWindow()
        for name, amount in sorted(self._totals.items()):
            value = WindowedValue((name, amount), window.max_timestamp(), (window,))
            yield beam.pvalue.TaggedOutput(_COUNTS, value)


class OutcomeCollector:
    """Collector of the dead letters and counts of every step of one pipeline."""

    def __init__(self) -> None:
        self._dead_letters: list[beam.PCollection] = []
        self._counts: list[beam.PCollection] = []

    def run(self, rows: beam.PCollection, label: str, step: Step, *side_inputs: Any) -> beam.PCollection:
        """Returns the results of `step` over batches of rows, in batches."""
        outputs = rows | label >> beam.ParDo(StepDoFn(step), *side_inputs).with_outputs(
            _DEAD_LETTERS, _COUNTS, main="rows"
        )
        self._dead_letters.append(outputs[_DEAD_LETTERS])
        self._counts.append(outputs[_COUNTS])
        results = outputs["rows"]
        results.element_type = batches.Batch
        return results

    def write(self, *, dead_letter_path: str, counts_path: str) -> None:
        """Writes dead letters in the order of their rows, and counts as one JSON object."""
        lines = tuple(self._dead_letters) | "letters" >> beam.Flatten()
        _gather(lines, dead_letter_path, "letters", _dead_letter_lines)
        counts = tuple(self._counts) | "counts" >> beam.Flatten()
        sums = counts | "sum counts" >> beam.CombinePerKey(sum).with_output_types(tuple[str, int])
        _gather(sums, counts_path, "counts", _counts_json)


def _gather(rows: beam.PCollection, path: str, label: str, text: Callable[[Iterable[Any]], str]) -> None:
    """Writes all rows into one file, also when there are none."""
    seed = rows.pipeline | f"{label} seed" >> beam.Create([(0, None)]).with_output_types(tuple[int, Any])
    keyed = rows | f"{label} key" >> beam.Map(lambda row: (0, row)).with_output_types(tuple[int, Any])
    groups = (seed, keyed) | f"{label} with seed" >> beam.Flatten() | f"{label} together" >> beam.GroupByKey()
    _ = groups | f"{label} write" >> beam.Map(_write_text, path=path, text=text)


def _write_text(group: tuple[int, Iterable[Any]], *, path: str, text: Callable[[Iterable[Any]], str]) -> None:
    sharded_writer.write_file(path, text([row for row in group[1] if row is not None]).encode())


def _dead_letter_lines(rows: Iterable[tuple[str, int, str]]) -> str:
    return "".join(f"{line}\n" for _, _, line in sorted(rows))


def _counts_json(rows: Iterable[tuple[str, int]]) -> str:
    return json.dumps(dict(sorted(rows)), indent=1)


def read_counts(path: str) -> Mapping[str, int]:
    """Returns the counts that `OutcomeCollector.write` wrote."""
    with FileSystems.open(path) as file:
        return json.loads(file.read())
