"""Languages that lexical search analyses: Snowball's stemmers, the vowels they count by, and compounding.

https://snowballstem.org
"""

import dataclasses
import functools

_LINKS = ("", "s", "es", "n", "en", "er", "e", "ens")  # between the parts of a compound


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Language:
    """One language.

    Attributes:
      stemmer: Name of the Snowball stemmer.
      vowels: The vowels by which that stemmer divides words into regions; "" where it does not.
      stop_words: Name of the list in `bm25s.stopwords`; "" where there is none.
      dictionary: Code of the dictionary of `simplemma`, where it is another than the language's.
      links: Letters between the parts of a compound; none in a language that writes the parts as words.
    """

    stemmer: str
    vowels: str = ""
    stop_words: str = ""
    dictionary: str = ""
    links: tuple[str, ...] = ()


# {ISO 639-1 code: language}.
LANGUAGES: dict[str, Language] = {
    "ar": Language(stemmer="arabic"),
    "ca": Language(stemmer="catalan", vowels="aeiouàáèéíïòóúü"),
    "cs": Language(stemmer="czech", vowels="aeiouyáéíóúýěů"),
    "da": Language(stemmer="danish", vowels="aeiouyåæø", stop_words="DANISH", links=_LINKS),
    "de": Language(stemmer="german", vowels="aeiouyäöü", stop_words="GERMAN", links=_LINKS),
    "el": Language(stemmer="greek", vowels="αεηιουω"),
    "en": Language(stemmer="english", vowels="aeiouy", stop_words="EN_PLUS"),
    "eo": Language(stemmer="esperanto", vowels="aeiou"),
    "es": Language(stemmer="spanish", vowels="aeiouáéíóúü", stop_words="SPANISH"),
    "et": Language(stemmer="estonian", vowels="aeiouäõöü", links=_LINKS),
    "eu": Language(stemmer="basque", vowels="aeiou"),
    "fa": Language(stemmer="persian"),
    "fi": Language(stemmer="finnish", vowels="aeiouyäö", links=_LINKS),
    "fr": Language(stemmer="french", vowels="aeiouyàâèéêëîïôùû", stop_words="FRENCH"),
    "ga": Language(stemmer="irish", vowels="aeiouáéíóú"),
    "hi": Language(stemmer="hindi"),
    "hu": Language(stemmer="hungarian", vowels="aeiouáéíóöúüőű"),
    "hy": Language(stemmer="armenian", vowels="աեէըիուօ"),
    "id": Language(stemmer="indonesian", vowels="aeiou"),
    "it": Language(stemmer="italian", vowels="aeiouàèìòù", stop_words="ITALIAN"),
    "lt": Language(stemmer="lithuanian", vowels="aeiouyąėęįūų"),
    "ne": Language(stemmer="nepali"),
    "nl": Language(stemmer="dutch", vowels="aeiouyàáâäèéêëìíîïòóôöùúûü", stop_words="DUTCH", links=_LINKS),
    "no": Language(stemmer="norwegian", vowels="aeiouyåæêòóôø", stop_words="NORWEGIAN", dictionary="nb", links=_LINKS),
    "pl": Language(stemmer="polish", vowels="aeiouyóąę"),
    "pt": Language(stemmer="portuguese", vowels="aeiouáâéêíóôú", stop_words="PORTUGUESE"),
    "ro": Language(stemmer="romanian", vowels="aeiouâîă"),
    "ru": Language(stemmer="russian", vowels="аеиоуыэюя", stop_words="RUSSIAN"),
    "sr": Language(stemmer="serbian", vowels="aeiou", dictionary="hbs"),
    "st": Language(stemmer="sesotho", vowels="aeiou"),
    "sv": Language(stemmer="swedish", vowels="aeiouyäåö", stop_words="SWEDISH", links=_LINKS),
    "ta": Language(stemmer="tamil"),
    "tr": Language(stemmer="turkish", vowels="aeiouöüı", stop_words="TURKISH"),
    "yi": Language(stemmer="yiddish", vowels="אויעױײ"),
    # Without inflection: pairs of characters are their words.
    "zh": Language(stemmer="", stop_words="CHINESE"),
    "ja": Language(stemmer=""),
    "ko": Language(stemmer="", stop_words="KOREAN"),
}


def parse_languages(text: str) -> tuple[str, ...]:
    """Returns the codes of a comma-separated list.

    Raises:
      ValueError: One is not in `LANGUAGES`.
    """
    codes = tuple(code for part in text.split(",") if (code := part.strip().lower()))
    unknown = [code for code in codes if code not in LANGUAGES]
    if unknown:
        raise ValueError(f"The language {unknown[0]!r} is unknown; wanted some of {', '.join(LANGUAGES)}.")
    return codes


@functools.cache
def stop_words(code: str) -> frozenset[str]:
    """Returns the stop words of a language, case-folded; none where `bm25s` has no list."""
    import bm25s.stopwords

    name = LANGUAGES[code].stop_words
    return frozenset(word.casefold() for word in getattr(bm25s.stopwords, f"STOPWORDS_{name}")) if name else frozenset()
