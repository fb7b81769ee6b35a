"""A KerasNLP preset made on the spot: a tiny BERT with its tokenizer."""

import pathlib

VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "red", "lamp", "blue", "##s"]
WIDTH = 8


def bert(folder: pathlib.Path) -> str:
    """Writes the preset; its handle."""
    import keras_nlp

    backbone = keras_nlp.models.BertBackbone(
        vocabulary_size=len(VOCABULARY),
        num_layers=1,
        num_heads=2,
        hidden_dim=WIDTH,
        intermediate_dim=16,
        max_sequence_length=16,
    )
    backbone.save_to_preset(str(folder))
    keras_nlp.tokenizers.BertTokenizer(vocabulary=VOCABULARY, lowercase=True).save_to_preset(str(folder))
    return str(folder)
