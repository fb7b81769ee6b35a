"""Media: files to wire form."""
