"""Sessions: SavedModels in memory, fed and fetched by tensor name."""
