"""Job: the parameters of one run of the pipeline."""

import dataclasses
import json
from pathlib import Path

from trainer.job.cloud import Cloud
from trainer.spec.config import Config, to_dict
from trainer.spec.tower import PRETRAINED_FIELDS


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """One run of the pipeline.

    Attributes:
      shop: Folder or address of the shop; empty = the embedded one, written below `output`.
      kind: Kind of its files: of export (`beam_preprocess.feeds.kinds`), or of source (`beam_preprocess.sources`).
      config: The configuration.
      output: Folder for everything that the run writes.
      beam_args: Flags for every Beam step.
      refresh: Whether to encode only the changes of the catalogue and publish them with the published model.
      min_recall: Minimum recall@10 of a published bundle.
      min_lift_over_popularity: Recall@10 must exceed that of popularity by more than this; -1 requires nothing.
      max_regression: Allowed loss of recall@10 against the last blessed bundle.
      warm_start: A published version to start from; "" trains from the start.
      fetch: The flags of fetching media as JSON (see `trainer.job.fetch_flags`); "" fetches nothing.
      trials: Trials of the hyper-parameter search before training; 0 = no search.
      import_args: Flags of the import of exports (`beam_preprocess.feeds.request`).
      cloud: Managed service of a compiled pipeline; None on this machine.
    """

    shop: str
    kind: str
    config: Config
    output: Path
    beam_args: tuple[str, ...]
    refresh: bool = False
    min_recall: float = 0.0
    min_lift_over_popularity: float = 0.0
    max_regression: float = 0.03
    warm_start: str = ""
    fetch: str = ""
    trials: int = 0
    import_args: tuple[str, ...] = ()
    cloud: Cloud | None = None

    def __post_init__(self) -> None:
        """Checks the output folder.

        Raises:
          ValueError: TFX would read its path as a pattern.
        """
        if found := sorted(set("*?[]") & set(str(self.output))):
            raise ValueError(
                f"--output is {str(self.output)!r}; it contains {' '.join(found)}, and TFX reads such paths as "
                "patterns of other files. Choose a folder without * ? [ ] in its path."
            )

    @property
    def metadata_path(self) -> Path:
        """The SQLite file of the metadata store."""
        return self.output / "metadata" / "metadata.sqlite"

    @property
    def log_path(self) -> Path:
        """The log file of the run."""
        return self.output / "logs" / "run.log"

    @property
    def report_path(self) -> Path:
        """The page about the run."""
        return self.output / "report.html"

    @property
    def quality_gate(self) -> str:
        """Thresholds of a bundle, as the JSON of `serving.evaluation.gate.Requirement`."""
        return json.dumps(
            {
                "min_recall": self.min_recall,
                "min_lift_over_popularity": self.min_lift_over_popularity,
                "max_regression": self.max_regression,
            }
        )

    @property
    def artifacts(self) -> Path:
        """Root folder of the outputs of the components."""
        return self.output / "artifacts"

    @property
    def published(self) -> Path:
        """Base folder of the published versions."""
        return self.output / "bundle"

    def uri_of(self, path: Path) -> str:
        """Returns the URI of `path`, which is below `output`: itself, or below the remote root of the cloud."""
        if self.cloud is None:
            return str(path)
        return f"{self.cloud.root.rstrip('/')}/{path.relative_to(self.output).as_posix()}"

    def config_sections(self, *parts: str) -> str:
        """Returns the JSON of some sections of the configuration: the cache key of a step that reads only these.

        The sections of encoders that preprocessing runs go with the wire form, which declares their vectors.
        """
        whole = to_dict(self.config)
        chosen = {part: whole[part] for part in parts}
        sections = {PRETRAINED_FIELDS[modality].partition(".")[0] for modality in self.config.embedded}
        if "tower" not in parts and sections:
            chosen["tower"] = {section: whole["tower"][section] for section in sorted(sections)}
        return json.dumps(chosen)
