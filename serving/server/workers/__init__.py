"""Worker processes: supervision and two-phase reload."""
