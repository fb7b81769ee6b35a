"""Values of exports as people and programs spell them: numbers, prices, times, lists, texts, identifiers."""
