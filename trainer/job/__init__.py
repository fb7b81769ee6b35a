"""What the main job keeps around its components: lock, log, progress, source hashes, recovery, summary."""
