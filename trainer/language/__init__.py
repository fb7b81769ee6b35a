"""Languages of a catalogue: their stemmers, stop words and compounds, and which of them its texts are in."""
