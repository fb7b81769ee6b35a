"""From the configuration to layers: towers and the two-tower model."""
