"""Job: the settings of one run of the pipeline."""

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
      kind: How its files are laid out (see `beam_preprocess.sources`).
      config: The configuration.
      output: Everything that the run writes is below it.
      beam_args: Flags for every Beam step.
      refresh: Only encodes what changed in the catalogue and publishes it with the model that is published.
      min_recall: Minimum of recall@10, below which a bundle is not published.
      min_lift_over_popularity: How much recall@10 above popularity it must have; -1 asks for nothing.
      max_regression: How much less recall@10 than the last blessed bundle is allowed.
      warm_start: A published version to go on from; "" trains from the start.
      trials: Points of the search space to try before training; 0 = no search.
      cloud: Where a compiled pipeline will run; None on this machine.
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
    trials: int = 0
    cloud: Cloud | None = None

    @property
    def metadata_path(self) -> Path:
        """The SQLite file of the metadata store."""
        return self.output / "metadata" / "metadata.sqlite"

    @property
    def log_path(self) -> Path:
        """The file for what libraries say."""
        return self.output / "logs" / "run.log"

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
        """Where TFX keeps what the components give."""
        return self.output / "artifacts"

    @property
    def published(self) -> Path:
        """Base folder of the published versions."""
        return self.output / "bundle"

    def located(self, path: Path) -> str:
        """Where the pipeline finds what lies at `path` below `output`: there, or below the remote root."""
        if self.cloud is None:
            return str(path)
        return f"{self.cloud.root.rstrip('/')}/{path.relative_to(self.output).as_posix()}"

    def config_of(self, *parts: str) -> str:
        """The JSON of some parts of the configuration, so that a step is not redone for a change it does not see.

        What names the encoders of which preprocessing makes vectors goes with the wire form that announces them.
        """
        whole = to_dict(self.config)
        chosen = {part: whole[part] for part in parts}
        sections = {PRETRAINED_FIELDS[modality].partition(".")[0] for modality in self.config.embedded}
        if "tower" not in parts and sections:
            chosen["tower"] = {section: whole["tower"][section] for section in sorted(sections)}
        return json.dumps(chosen)
