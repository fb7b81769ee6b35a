"""Managed service of a compiled pipeline: project, region, image, machine, and Beam's flags for it."""

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Cloud:
    """Target of a compiled pipeline.

    Attributes:
      project: Billed project.
      region: Region of jobs and data.
      image: Container image with the project and the `pipeline` extra installed.
      machine: Machine type of the training job.
      root: Remote folder for everything the pipeline writes.
    """

    project: str
    region: str
    image: str
    machine: str
    root: str

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
          ValueError: One is missing, or `root` is not remote.
        """
        for field in dataclasses.fields(self):
            if not getattr(self, field.name):
                raise ValueError(f"--{field.name} is empty; a compiled pipeline needs it. Give --{field.name}.")
        if "://" not in self.root:
            raise ValueError(
                f"--root is {self.root!r}; the machines of a managed service need a remote folder, such as "
                "gs://bucket/vitrine. Change --root."
            )

    def job_spec(self) -> dict[str, Any]:
        """Returns the managed training job, as the service's `CustomJobSpec`: one machine with the project's image."""
        return {
            "worker_pool_specs": [
                {
                    "machine_spec": {"machine_type": self.machine},
                    "replica_count": 1,
                    "container_spec": {"image_uri": self.image},
                }
            ]
        }

    def beam_args(self) -> tuple[str, ...]:
        """Returns Beam's flags for Dataflow, with the project's image as worker."""
        return (
            "--runner=DataflowRunner",
            f"--project={self.project}",
            f"--region={self.region}",
            f"--temp_location={self.root.rstrip('/')}/temp",
            f"--sdk_container_image={self.image}",
            "--experiments=use_runner_v2",
        )
