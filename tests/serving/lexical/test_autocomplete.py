import pytest
import tensorflow as tf

from serving.lexical.autocomplete import Autocomplete, build_phrases

TITLES = [
    b"Surround sound speaker",
    b"Surround sound bar",
    b"Sound card",
    "Größe 42 Stiefel".encode(),
    b"",
    b"x" * 60,
]
BRANDS = [b"Sounders & Co", b"Sounders & Co", b"", b"", b"", b""]


@pytest.fixture(scope="module")
def phrases():
    return build_phrases(TITLES, BRANDS)


@pytest.fixture(scope="module")
def completion(phrases):
    return Autocomplete(phrases)


def completed(completion, *texts):
    rows = completion.complete(tf.constant(list(texts))).numpy()
    assert rows.shape == (len(texts), 10)
    return [[text.decode() for text in row if text] for row in rows]


def test_phrases_are_words_frequent_parts_of_titles_whole_titles_and_brands(phrases):
    # "sound" is in three items; "surround" and "surround sound" in two; "sound bar" in one, where it adds nothing
    # than the title.
    assert phrases[:4] == ["sound", "surround", "sounders co", "surround sound"]
    assert "surround sound speaker" in phrases
    assert "sounders co" in phrases
    assert "sound bar" not in phrases


def test_the_most_frequent_first_and_the_text_itself_left_out(completion):
    assert completed(completion, "sur") == [
        ["surround", "surround sound", "surround sound bar", "surround sound speaker"]
    ]
    assert completed(completion, "SURROUND sound") == [["surround sound bar", "surround sound speaker"]]


def test_a_space_asks_for_another_word(completion):
    assert completed(completion, "sound ", "sound") == [["sound card"], ["sounders co", "sound card"]]


def test_where_nothing_fits_the_last_word_is_completed(completion):
    assert completed(completion, "cheap sur")[0][:2] == ["cheap surround", "cheap surround sound"]
    assert completed(completion, "cheap ") == [[]]


def test_rows_do_not_touch_each_other_and_odd_ones_are_empty(completion):
    got = completed(completion, b"", b"gr\xc3\xb6", b"\xff\xfe", b"nothing like it", b"   ")
    assert got == [[], ["grösse", "grösse 42 stiefel"], [], [], []]


def test_more_phrases_than_an_answer_holds_and_prefixes_longer_than_the_lists():
    names = [f"{'lamp' * 8} {number:03d}" for number in range(300)]  # 36 characters, the first 33 the same
    completion = Autocomplete(names)
    assert completed(completion, "lamp") == [names[:10]]
    assert completed(completion, names[3][:-1]) == [names[:10]]
    assert completed(completion, names[250]) == [[]]


def test_a_list_knows_phrases_that_a_shorter_prefix_crowds_out():
    completion = Autocomplete([f"lamp {number:03d}" for number in range(300)])
    assert completed(completion, "lamp 29") == [[f"lamp {number}" for number in range(290, 300)]]


def test_no_phrases_no_completions():
    assert completed(Autocomplete([]), "lamp", "") == [[], []]


def test_scripts_without_spaces_are_completed_by_character_and_written_without_spaces():
    titles = [
        "红茶 500g",
        "红茶杯",
        "绿茶 500g",
        "手机充电器",
        "苹果手机壳",
        "ノートパソコン",
        "빨간 셔츠",
        "iPhone 手机",
    ]
    found = Autocomplete(build_phrases([title.encode() for title in titles], [b""] * len(titles)))
    assert completed(found, "红", "红茶", "手", "苹果手", "ノー", "빨", "iphone 手") == [
        ["红茶", "红茶杯", "红茶 500g"],
        ["红茶杯", "红茶 500g"],
        ["手机", "手机充电器"],
        ["苹果手机壳"],
        ["ノートパソコン"],
        ["빨간", "빨간 셔츠"],
        ["iphone 手机"],
    ]
    assert completed(found, "黑手") == [["黑手机", "黑手机充电器"]]  # where nothing fits, the last character


@pytest.mark.parametrize(("length", "is_offered"), [(24, True), (25, False)])
def test_a_long_title_of_a_script_without_spaces_is_no_completion(length, is_offered):
    title = "".join(chr(0x4E00 + number) for number in range(length))
    assert (title in build_phrases([title.encode()], [b""])) is is_offered
