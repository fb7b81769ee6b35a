"""Metadata store of the pipeline: recovery after a killed run, cache hits, and the outputs of the last run."""

import shutil
from pathlib import Path

from ml_metadata import ListOptions, MetadataStore, OrderByField
from ml_metadata.proto import metadata_store_pb2

Execution, Event = metadata_store_pb2.Execution, metadata_store_pb2.Event
_UNFINISHED = (Execution.NEW, Execution.RUNNING)
# Messages of the store when another program holds the lock of its file for longer than its own few retries.
_LOCKED = ("Concurrent writes aborted", "concurrent connection", "database is locked")
_OUTPUTS = (Event.OUTPUT, Event.DECLARED_OUTPUT)


def open_store(path: Path) -> MetadataStore:
    """Opens the store in an SQLite file."""
    config = metadata_store_pb2.ConnectionConfig()
    config.sqlite.filename_uri = str(path)
    config.sqlite.connection_mode = metadata_store_pb2.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
    return MetadataStore(config)


def was_locked(error: BaseException) -> bool:
    """Whether an error of the store, or of a component that uses it, means that another program had it locked."""
    return any(words in str(error) for words in _LOCKED)


def recover(path: Path, *, artifacts: Path) -> int:
    """Marks executions that a killed run left unfinished as failed and removes their partial outputs.

    Args:
      path: The SQLite file; nothing happens when there is none.
      artifacts: Root of the outputs, `<component>/<output>/<execution>`.

    Returns:
      Number of marked executions.
    """
    if not path.exists():
        return 0
    store = open_store(path)
    stale = [execution for execution in store.get_executions() if execution.last_known_state in _UNFINISHED]
    for execution in stale:
        for pattern in (f"*/*/{execution.id}", f"*/.system/*/{execution.id}"):
            for folder in artifacts.glob(pattern):
                shutil.rmtree(folder, ignore_errors=True)
        execution.last_known_state = Execution.FAILED
    if stale:
        store.put_executions(stale)
    return len(stale)


def was_cached(path: Path) -> bool:
    """Whether the last execution took its outputs from the cache."""
    executions = open_store(path).get_executions(ListOptions(limit=1, order_by=OrderByField.ID, is_asc=False))
    return bool(executions) and executions[0].last_known_state == Execution.CACHED


def outputs_of_last_run(path: Path) -> dict[str, dict[str, Path]]:
    """Returns {component: {output: folder}} of the last run, from executions and from the cache."""
    store = open_store(path)
    runs = store.get_contexts_by_type("pipeline_run")
    if not runs:
        return {}
    last = max(runs, key=lambda context: context.id)
    executions = {execution.id: execution for execution in store.get_executions_by_context(last.id)}
    events = [event for event in store.get_events_by_execution_ids(list(executions)) if event.type in _OUTPUTS]
    folders = {a.id: Path(a.uri) for a in store.get_artifacts_by_id([event.artifact_id for event in events])}
    outputs: dict[str, dict[str, Path]] = {}
    for event in events:
        node = _node_of(store, event.execution_id)
        outputs.setdefault(node, {})[event.path.steps[0].key] = folders[event.artifact_id]
    return outputs


def _node_of(store: MetadataStore, execution_id: int) -> str:
    """The id of the component that an execution belongs to (its context is called `pipeline.component`)."""
    types = {kind.id: kind.name for kind in store.get_context_types()}
    contexts = store.get_contexts_by_execution(execution_id)
    return next((c.name.rpartition(".")[2] for c in contexts if types[c.type_id] == "node"), "")
