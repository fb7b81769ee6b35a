"""Training as a job of a managed service, started by the pipeline."""
