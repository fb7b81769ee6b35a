"""Records of a program: dicts, data frames of pandas and Polars, and Arrow tables as feeds."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

Records = Callable[[], Iterator[Mapping[str, Any]]]


def is_records(value: Any) -> bool:
    """Returns whether a value holds records, and is not the name of an export."""
    return not isinstance(value, str | bytes) and (hasattr(value, "columns") or isinstance(value, Iterable))


def records_of(data: Any, *, subject: str) -> Records:
    """Returns a function that yields the records of a program's data from the start, at each call.

    Args:
      data: An iterable of dicts, a data frame of pandas or Polars, or an Arrow table. Iterables that can be read once
        only are held in memory.
      subject: Name for the error message.

    Raises:
      ValueError: The data are none of these.
    """
    if hasattr(data, "iter_rows"):  # Polars
        return lambda: data.iter_rows(named=True)
    if hasattr(data, "to_batches"):  # Arrow
        return lambda: (record for batch in data.to_batches(max_chunksize=4096) for record in batch.to_pylist())
    if hasattr(data, "to_pylist"):  # a batch of Arrow
        return lambda: iter(data.to_pylist())
    if hasattr(data, "itertuples"):  # pandas
        if any(name is not None and name not in data.columns for name in data.index.names):
            data = data.reset_index()
        names = [str(name) for name in data.columns]
        return lambda: (dict(zip(names, row, strict=True)) for row in data.itertuples(index=False, name=None))
    if isinstance(data, Mapping) or not isinstance(data, Iterable):
        raise ValueError(
            f"{subject} is {type(data).__name__}; wanted an iterable of dicts, a data frame or an Arrow table. "
            "Give a list of dicts for a single record."
        )
    held = data if isinstance(data, list | tuple) else list(data)
    for number, record in enumerate(held):
        if not isinstance(record, Mapping):
            raise ValueError(
                f"{subject}[{number}] is {type(record).__name__}; wanted a dict of fields (docs/data_contract.md)."
            )
    return lambda: iter(held)
