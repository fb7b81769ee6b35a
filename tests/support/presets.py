"""Presets made on the spot: a tiny BERT with its tokenizer, as KerasNLP and as Hugging Face save it."""

import json
import pathlib

import numpy as np

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


def hugging_face_bert(folder: pathlib.Path) -> str:
    """Writes a BERT with one layer of random weights in Hugging Face form; its handle."""
    from safetensors.numpy import save_file

    folder.mkdir(parents=True)
    config = {
        "model_type": "bert",
        "architectures": ["BertModel"],
        "vocab_size": len(VOCABULARY),
        "hidden_size": WIDTH,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 16,
        "max_position_embeddings": 16,
        "type_vocab_size": 2,
        "hidden_dropout_prob": 0.1,
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": True}))
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n")
    random = np.random.default_rng(1)
    save_file({name: random.normal(0, 0.5, shape).astype(np.float32) for name, shape in _weights()}, folder / _WEIGHTS)
    return str(folder)


_WEIGHTS = "model.safetensors"


def _weights() -> list[tuple[str, tuple[int, ...]]]:
    norm = lambda name: [(f"{name}.weight", (WIDTH,)), (f"{name}.bias", (WIDTH,))]  # noqa: E731
    dense = lambda name, to, of: [(f"{name}.weight", (to, of)), (f"{name}.bias", (to,))]  # noqa: E731
    layer = "encoder.layer.0"
    return [
        ("embeddings.word_embeddings.weight", (len(VOCABULARY), WIDTH)),
        ("embeddings.position_embeddings.weight", (16, WIDTH)),
        ("embeddings.token_type_embeddings.weight", (2, WIDTH)),
        *norm("embeddings.LayerNorm"),
        *(pair for part in ("query", "key", "value") for pair in dense(f"{layer}.attention.self.{part}", WIDTH, WIDTH)),
        *dense(f"{layer}.attention.output.dense", WIDTH, WIDTH),
        *norm(f"{layer}.attention.output.LayerNorm"),
        *dense(f"{layer}.intermediate.dense", 16, WIDTH),
        *dense(f"{layer}.output.dense", WIDTH, 16),
        *norm(f"{layer}.output.LayerNorm"),
        *dense("pooler.dense", WIDTH, WIDTH),
    ]
