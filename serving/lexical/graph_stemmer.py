"""Stemmer in the graph, by suffix rules, for words that no item had when a bundle was built."""

from collections.abc import Sequence

import tensorflow as tf
import tensorflow_text as tf_text

from trainer.language.languages import LANGUAGES
from trainer.language.stemming import PLAIN_LETTERS
from trainer.language.suffix_rules import BEGIN, MAX_SUFFIX, R1, R2, read_rules, region_pattern


class GraphStemmer(tf.Module):
    """Stemmer of one language, as tables."""

    def __init__(self, code: str) -> None:
        super().__init__(name=f"stemmer_{code}")
        rules = read_rules(code)
        endings = sorted({rule.ending for rule in rules.values()})
        place = {ending: index for index, ending in enumerate(endings)}
        cuts = [rule.cut for rule in rules.values()]
        self._vowels = LANGUAGES[code].vowels
        self.rule_of_suffix = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(tf.constant([*rules]), tf.range(len(rules))), default_value=-1
        )
        self.cuts = tf.Variable(tf.constant(cuts, tf.int32), trainable=False, name="cuts")
        self.ending_ids = tf.Variable(
            [place[rule.ending] for rule in rules.values()], trainable=False, name="ending_ids"
        )
        self.endings = tf.Variable(tf.constant(endings), trainable=False, name="endings")

    def stem(self, words: tf.Tensor) -> tf.Tensor:
        """Returns the stems [n] of case-folded words [n], without accents; a word with a digit is its own."""
        text = self._marked(words)
        length = tf.strings.length(text, unit="UTF8_CHAR")[:, tf.newaxis]
        sizes = tf.minimum(tf.range(MAX_SUFFIX + 1)[tf.newaxis], length)
        repeated = tf.repeat(text[:, tf.newaxis], MAX_SUFFIX + 1, axis=1)
        found = self.rule_of_suffix.lookup(tf.strings.substr(repeated, length - sizes, sizes, unit="UTF8_CHAR"))
        best = tf.argmax(tf.where(found >= 0, sizes, -1), axis=1, output_type=tf.int32)
        rule = tf.gather(found, best, batch_dims=1)
        plain = fold_accents(words)
        kept = tf.maximum(0, tf.strings.length(plain, unit="UTF8_CHAR") - tf.gather(self.cuts, rule))
        stems = tf.strings.substr(plain, tf.zeros_like(kept), kept, unit="UTF8_CHAR")
        stems = tf.strings.join([stems, tf.gather(self.endings, tf.gather(self.ending_ids, rule))])
        return tf.where(tf.strings.regex_full_match(words, r".*\p{N}.*"), plain, stems)

    def _marked(self, words: tf.Tensor) -> tf.Tensor:
        """The words with beginning and regions marked, as `trainer.language.suffix_rules.marked`."""
        if self._vowels:
            region = region_pattern(self._vowels)
            both = tf.strings.regex_replace(words, f"^({region})({region})", rf"\1{R1}\2{R2}", replace_global=False)
            first = tf.strings.regex_replace(words, f"^({region})", rf"\1{R1}", replace_global=False)
            words = tf.where(both == words, first, both)
        return tf.strings.join([BEGIN, words])


def fold_accents(words: tf.Tensor) -> tf.Tensor:
    """Returns case-folded words [n] without accents, as `trainer.language.stemming.fold_accents`."""
    text = tf.strings.regex_replace(tf_text.normalize_utf8(words, "NFKD"), r"[\x{0300}-\x{036F}]", "")
    text = tf_text.normalize_utf8(text, "NFC")
    for letter, plain in PLAIN_LETTERS.items():
        text = tf.strings.regex_replace(text, letter, plain)
    return text


def stem_in_all(words: tf.Tensor, stemmers: Sequence[GraphStemmer]) -> tf.Tensor:
    """Returns the stems [n, languages] of words [n]; the words without accents [n, 1] where there is no language."""
    found = [stemmer.stem(words) for stemmer in stemmers] or [fold_accents(words)]
    return tf.stack(found, axis=1)
