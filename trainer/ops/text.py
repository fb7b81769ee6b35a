"""Text: bytes to sub-word ids. Words are language-neutral; sub-words are learned from the catalogue's word counts."""

import collections
import pathlib
from collections.abc import Iterable, Sequence

import tensorflow as tf
import tensorflow_text as tf_text
from tensorflow_text.tools.wordpiece_vocab import wordpiece_tokenizer_learner_lib

PAD, UNKNOWN = "[PAD]", "[UNK]"

# Scripts written without spaces are split into characters; other text at everything but letters, marks and digits.
_CHARACTER = r"\p{Han}|\p{Hiragana}|\p{Katakana}|\p{Thai}|\p{Lao}|\p{Khmer}"
_DELIMITER = rf"[^\p{{L}}\p{{M}}\p{{N}}]+|{_CHARACTER}"
_MAX_WORD_BYTES = 100
_MAX_CHARACTERS = 4_000


def valid_utf8(text: tf.Tensor) -> tf.Tensor:
    """Returns `text` with bytes that are not UTF-8 replaced by U+FFFD and control characters by a space."""
    return tf.strings.unicode_transcode(
        text, "UTF-8", "UTF-8", errors="replace", replacement_char=0xFFFD, replace_control_characters=False
    )


def is_replaced(text: tf.Tensor) -> tf.Tensor:
    """Returns True where `text` is not UTF-8, so that `valid_utf8` changed it; the shape of `text`."""
    return tf.not_equal(text, valid_utf8(text))


@tf.function(input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)  # one graph, which all others share
def words(text: tf.Tensor) -> tf.RaggedTensor:
    """Splits text into case-folded words.

    Args:
      text: [batch] string, any language; at most the first 4,000 characters of each are read.

    Returns:
      [batch, (words)] string: NFKC, case-folded, without punctuation; one character each for scripts without spaces.
    """
    text = tf.strings.regex_replace(valid_utf8(text), r"[\x00-\x1f]", " ")
    text = tf.strings.substr(text, 0, _MAX_CHARACTERS, unit="UTF8_CHAR")
    text = tf_text.case_fold_utf8(tf_text.normalize_utf8(text, "NFKC"))
    return tf_text.regex_split(text, delim_regex_pattern=_DELIMITER, keep_delim_regex_pattern=_CHARACTER)


def read_word_counts(path: str | pathlib.Path) -> list[tuple[str, int]]:
    """Reads the word vocabulary that Transform writes: one `count word` a line.

    Raises:
      ValueError: A line of another form.
    """
    counts = []
    for number, line in enumerate(pathlib.Path(path).read_text(encoding="utf-8").split("\n"), start=1):
        if not line:
            continue
        count, _, word = line.partition(" ")
        if not count.isdigit():
            raise ValueError(f"{path}:{number} is {line[:80]!r}; wanted 'count word'. Run Transform again.")
        counts.append((word, int(count)))
    return counts


def learn_subwords(word_counts: Iterable[tuple[str, int]], *, size: int, min_count: int) -> list[str]:
    """Learns a WordPiece vocabulary of about `size` entries; entry 0 is the padding, entry 1 the unknown word.

    A word that occurs less than `min_count` times gives its characters alone, so that it is spelt and not unknown.
    The same counts always give the same list.
    Algorithm: https://www.tensorflow.org/text/guide/subwords_tokenizer#optional_the_algorithm
    """
    counts: collections.Counter[str] = collections.Counter()
    for word, count in word_counts:
        if len(word.encode()) <= _MAX_WORD_BYTES:
            for piece in [word] if count >= min_count else word:
                counts[piece] += count
    return list(
        wordpiece_tokenizer_learner_lib.learn(
            # An empty catalogue still needs a vocabulary that can be saved.
            sorted((word, count) for word, count in counts.items() if word) or [("a", 1)],
            vocab_size=size,
            reserved_tokens=[PAD, UNKNOWN],
            lower_thresh=1,
            max_token_length=_MAX_WORD_BYTES,
        )
    )


def make_tokenizer(subwords: Sequence[str]) -> tf_text.FastWordpieceTokenizer:
    """Returns a tokenizer from words to ids into `subwords`."""
    return tf_text.FastWordpieceTokenizer(
        vocab=list(subwords),
        unknown_token=UNKNOWN,
        max_bytes_per_word=_MAX_WORD_BYTES,
        no_pretokenization=True,
        token_out_type=tf.int32,
    )


def to_model(parts: Sequence[tf.Tensor], *, tokenizer: tf_text.FastWordpieceTokenizer, length: int) -> tf.Tensor:
    """Returns the sub-word ids of the given texts, one after the other.

    Args:
      parts: Tensors [batch] string; their words follow one another.
      tokenizer: From `make_tokenizer`.
      length: Ids kept of each row.

    Returns:
      [batch, length] int32, padded with 0.
    """
    joined = tf.strings.join(list(parts), separator=" ") if len(parts) > 1 else parts[0]
    tokens = tokenizer.tokenize(words(joined)).merge_dims(-2, -1)
    return tf.ensure_shape(tokens.to_tensor(default_value=0, shape=[None, length]), [None, length])
