"""Databases through DuckDB: the rows of a query, also over Postgres, MySQL, SQLite, Parquet and CSV.

Scanners of other databases are loaded from their wheels; nothing is installed while a query runs.
"""

import importlib
import importlib.resources
import importlib.util
from collections.abc import Iterator, Mapping
from typing import Any

_SCANNERS = ("postgres_scanner", "mysql_scanner", "sqlite_scanner")
_BATCH_ROWS = 4096


def query_rows(sql: str) -> Iterator[Mapping[str, Any]]:
    """Yields the rows of the last statement of a query as {column: value}, in batches.

    Args:
      sql: One statement or several, such as `ATTACH 'shop.db' AS shop (TYPE sqlite); SELECT * FROM shop.products`.

    Raises:
      ValueError: DuckDB is not installed, or does not take the query.
    """
    if importlib.util.find_spec("duckdb") is None:
        raise ValueError(
            "A duckdb: feed needs DuckDB, which is not installed; wanted the extra `databases`. "
            "Install it: pip install 'vitrine-search[databases]'."
        )
    import duckdb

    with duckdb.connect(config={"autoinstall_known_extensions": "false"}) as connection:
        for name in _SCANNERS:
            _load(connection, name)
        try:
            result = connection.execute(sql)
            names = [column[0] for column in result.description or ()]
            while rows := result.fetchmany(_BATCH_ROWS):
                for row in rows:
                    yield dict(zip(names, row, strict=True))
        except duckdb.Error as error:
            raise ValueError(
                f"DuckDB does not take the query {sql[:80]!r}: {error}. Try it in DuckDB first."
            ) from error


def _load(connection: Any, name: str) -> None:
    """Loads a scanner from its wheel, where that is installed."""
    module = f"duckdb_extension_{name}"
    if importlib.util.find_spec(module) is None:
        return
    import duckdb

    folder = importlib.resources.files(importlib.import_module(module)) / "extensions" / f"v{duckdb.__version__}"
    path = folder / f"{name}.duckdb_extension"
    if path.is_file():
        connection.execute(f"LOAD '{path}'")
