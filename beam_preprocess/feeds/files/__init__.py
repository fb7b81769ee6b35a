"""Forms of feed files: finding, unpacking and decoding them, and reading their records whatever they mean."""
