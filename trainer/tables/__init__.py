"""Training tables: memory-mapped columns of items, events and item days."""
