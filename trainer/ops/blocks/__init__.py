"""Building blocks of the ops of several modalities: decoding, tokenizers, precomputed embeddings, price levels."""
