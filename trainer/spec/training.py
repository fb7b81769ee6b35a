"""Configuration of training and of the operation of a run."""

import dataclasses
import enum
from collections.abc import Mapping

from trainer.spec.checks import at_least, fraction, known_names
from trainer.spec.tasks import TASKS


class Schedule(enum.StrEnum):
    """Schedule of the learning rate after the warm-up, to the end of the run."""

    COSINE = "cosine"
    LINEAR = "linear"
    CONSTANT = "constant"


class LrScaling(enum.StrEnum):
    """Scaling of the learning rate with the rows of an update: (replicas × accumulation) to the power 0, 1/2 or 1."""

    NONE = "none"
    SQRT = "sqrt"
    LINEAR = "linear"


class LossWeighting(enum.StrEnum):
    """Weighting of the losses of the heads: fixed, or times a learned inverse variance of each."""

    FIXED = "fixed"
    UNCERTAINTY = "uncertainty"


class Precision(enum.StrEnum):
    """Precision of the encoders while training; weights and outputs are float32."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


class Strategy(enum.StrEnum):
    """Distribution strategy: one device, the devices of this machine, or the workers of TF_CONFIG."""

    NONE = "none"
    MIRRORED = "mirrored"
    MULTI_WORKER = "multi_worker"


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    """Configuration of training that decides the weights.

    Attributes:
      batch_size: Rows of one batch of one replica; its other rows are the negatives.
      epochs: Walks through the positives.
      max_steps: Updates after which training ends; 0 = as many as the epochs give.
      learning_rate: Highest rate of AdamW for one replica without accumulation.
      pretrained_lr_multiplier: Share of it at which the weights of a pretrained encoder are fine-tuned.
      lr_scaling: Scaling of the rate with replicas and accumulation.
      schedule: Of the rate after the warm-up.
      warmup_fraction: Share of the updates in which the rate climbs.
      weight_decay: Of AdamW; not on biases and normalisations.
      clip_norm: Largest global norm of a gradient; 0 = not clipped.
      gradient_accumulation_steps: Batches whose gradients make one update.
      temperature: Of the retrieval softmax.
      learn_temperature: Whether it is learned, from there.
      label_smoothing: Of the retrieval softmax.
      num_hard_negatives: Negatives of each row that the retrieval softmax counts, the most similar ones; 0 = all.
      num_uniform_negatives: Items drawn at random from the whole catalogue into each batch that are negatives too.
      memory_bank_size: Items of earlier batches that are negatives too, as they were encoded then.
      alignment_weight: Weight of the contrastive loss between the branches of items; 0 = none.
      reconstruction_weight: Weight of the loss of decoding an item's vector to its branches; 0 = none.
      loss_weighting: Weighting of the losses of the heads.
      precision: Of the encoders.
      patience: Epochs without a better held-out recall@10 after which training stops; 0 = never.
      max_loss_growth: A head whose loss grows beyond this many times its start has exploded; 0 = not checked.
      deterministic: Whether equal runs give equal weights on the same machine; slower.
      seed: Of weights, data order and dropout.
      task_weights: Loss weights that differ from `Task.weight`, by task name.
    """

    batch_size: int = 128
    epochs: int = 30
    max_steps: int = 0
    learning_rate: float = 0.003
    pretrained_lr_multiplier: float = 0.03
    lr_scaling: LrScaling = LrScaling.SQRT
    schedule: Schedule = Schedule.COSINE
    warmup_fraction: float = 0.1
    weight_decay: float = 0.0001
    clip_norm: float = 1.0
    gradient_accumulation_steps: int = 1
    temperature: float = 0.07
    learn_temperature: bool = False
    label_smoothing: float = 0.0
    num_hard_negatives: int = 0
    num_uniform_negatives: int = 0
    memory_bank_size: int = 0
    alignment_weight: float = 0.0
    reconstruction_weight: float = 0.0
    loss_weighting: LossWeighting = LossWeighting.FIXED
    precision: Precision = Precision.FLOAT32
    patience: int = 0
    max_loss_growth: float = 20.0
    deterministic: bool = False
    seed: int = 17
    task_weights: Mapping[str, float] = dataclasses.field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        """Checks the values."""
        at_least(self, 1, "epochs", "gradient_accumulation_steps")
        at_least(self, 0, "max_steps", "weight_decay", "seed", "clip_norm", "patience", "max_loss_growth")
        at_least(
            self,
            0,
            "num_hard_negatives",
            "num_uniform_negatives",
            "memory_bank_size",
            "alignment_weight",
            "reconstruction_weight",
            "pretrained_lr_multiplier",
        )
        fraction(self, "warmup_fraction", "label_smoothing")
        if self.batch_size < 2:
            raise ValueError(
                f"TrainConfig.batch_size must be at least 2 for in-batch negatives; got {self.batch_size}."
            )
        if self.learning_rate <= 0 or self.temperature <= 0:
            raise ValueError(
                "TrainConfig.learning_rate and temperature must be positive; "
                f"got {self.learning_rate} and {self.temperature}."
            )
        known_names(self.task_weights, {task.name for task in TASKS}, "train.task_weights")


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class RunConfig:
    """Configuration of a run that does not change the weights, so that it may continue with other values.

    Attributes:
      strategy: Distribution strategy; a cluster in TF_CONFIG makes it `multi_worker`.
      checkpoint_every_steps: Updates between checkpoints.
      max_checkpoints: Newest checkpoints that are kept.
      grace_seconds: Time from SIGTERM in which a checkpoint must be written.
      log_every_steps: Updates between TensorBoard scalars.
      gradient_share_every_steps: Updates between measurements of the gradient that each head sends; one costs a
        few steps, 0 = never.
      prefetch: Batches prepared ahead; with `num_parallel_batches` they bound the memory of the input.
      num_parallel_batches: Batches prepared at once.
    """

    strategy: Strategy = Strategy.NONE
    checkpoint_every_steps: int = 200
    max_checkpoints: int = 2
    grace_seconds: float = 25.0
    log_every_steps: int = 50
    gradient_share_every_steps: int = 500
    prefetch: int = 4
    num_parallel_batches: int = 2

    def __post_init__(self) -> None:
        """Checks the values."""
        at_least(self, 1, "checkpoint_every_steps", "max_checkpoints", "grace_seconds", "log_every_steps")
        at_least(self, 0, "gradient_share_every_steps")
        at_least(self, 1, "prefetch", "num_parallel_batches")
