from trainer.language.real_words import real_words


def test_short_dictionary_words_and_stop_words_are_real():
    words = real_words(["en", "de"])
    assert (words["cat"], words["haus"], words["the"], words["und"]) == (False, False, True, True)
    assert not {"kitchen", "lmap"} & set(words)  # too long for a table, and no word


def test_no_language_no_words():
    assert real_words([]) == {}
