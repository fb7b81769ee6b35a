"""Main job: lock, log, progress, source hashes, recovery and summary around the components."""
