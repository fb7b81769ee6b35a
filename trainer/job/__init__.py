"""Jobs: flags, run folder, lock, logs, progress, recovery and summary of a pipeline or training run."""
