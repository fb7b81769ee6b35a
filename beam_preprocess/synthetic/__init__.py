"""The synthetic shop: a catalogue, events and media whose ground truth is known."""
