"""What a killed run leaves in the metadata store, and where the last run put its outputs."""

import pytest
from ml_metadata.proto import metadata_store_pb2 as mlmd

from trainer.job.metadata import open_store, outputs_of_last_run, recover, was_cached

RUNNING, COMPLETE, FAILED, CACHED = (
    mlmd.Execution.RUNNING,
    mlmd.Execution.COMPLETE,
    mlmd.Execution.FAILED,
    mlmd.Execution.CACHED,
)


class Recorder:
    """Writes executions the way TFX does: in contexts of types `pipeline_run` and `node`, with output events."""

    def __init__(self, path):
        self.path = path
        self.store = open_store(path)
        self.kinds = {
            name: self.store.put_context_type(mlmd.ContextType(name=name)) for name in ("pipeline_run", "node")
        }
        self.execution_kind = self.store.put_execution_type(mlmd.ExecutionType(name="component"))
        self.artifact_kind = self.store.put_artifact_type(mlmd.ArtifactType(name="Examples"))
        self.contexts = {}

    def context(self, kind, name):
        if name not in self.contexts:
            context = mlmd.Context(type_id=self.kinds[kind], name=name)
            context.id = self.store.put_contexts([context])[0]
            self.contexts[name] = context
        return self.contexts[name]

    def execution(self, node, *, run, state, outputs):
        events = []
        for key, uri in outputs.items():
            event = mlmd.Event(type=mlmd.Event.OUTPUT)
            event.path.steps.add().key = key
            events.append((mlmd.Artifact(type_id=self.artifact_kind, uri=uri), event))
        execution = mlmd.Execution(type_id=self.execution_kind, last_known_state=state)
        contexts = [self.context("pipeline_run", run), self.context("node", f"vitrine.{node}")]
        return self.store.put_execution(execution, events, contexts)[0]


@pytest.fixture
def recorder(tmp_path):
    return Recorder(tmp_path / "metadata.sqlite")


def test_unfinished_executions_are_failed_and_their_outputs_removed(recorder, tmp_path):
    done = recorder.execution("ItemsGen", run="1", state=COMPLETE, outputs={"examples": "a"})
    cut = recorder.execution("Trainer", run="1", state=RUNNING, outputs={})
    folders = [tmp_path / "artifacts" / part for part in ("ItemsGen/examples", "Trainer/model")]
    system = tmp_path / "artifacts" / "Trainer" / ".system" / "executor_execution"
    for folder in (folders[0] / str(done), folders[1] / str(cut), system / str(cut)):
        folder.mkdir(parents=True)
        (folder / "half").write_text("written")
    assert recover(recorder.path, artifacts=tmp_path / "artifacts") == 1
    assert [execution.last_known_state for execution in recorder.store.get_executions_by_id([done, cut])] == [
        COMPLETE,
        FAILED,
    ]
    assert (folders[0] / str(done) / "half").exists()
    assert not (folders[1] / str(cut)).exists()
    assert not (system / str(cut)).exists()
    assert recover(recorder.path, artifacts=tmp_path / "artifacts") == 0


def test_nothing_to_recover_before_the_first_run(tmp_path):
    assert recover(tmp_path / "none.sqlite", artifacts=tmp_path) == 0


def test_outputs_are_those_of_the_last_run(recorder):
    recorder.execution("ItemsGen", run="1", state=COMPLETE, outputs={"examples": "/old"})
    recorder.execution("ItemsGen", run="2", state=CACHED, outputs={"examples": "/new", "report": "/report"})
    recorder.execution("Trainer", run="2", state=COMPLETE, outputs={"model": "/model"})
    found = outputs_of_last_run(recorder.path)
    assert {node: {key: str(path) for key, path in outputs.items()} for node, outputs in found.items()} == {
        "ItemsGen": {"examples": "/new", "report": "/report"},
        "Trainer": {"model": "/model"},
    }


def test_was_cached_looks_at_the_last_execution(recorder):
    recorder.execution("ItemsGen", run="1", state=CACHED, outputs={})
    assert was_cached(recorder.path)
    recorder.execution("Trainer", run="1", state=COMPLETE, outputs={})
    assert not was_cached(recorder.path)
