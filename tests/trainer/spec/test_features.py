from trainer.spec.branches import branches_of
from trainer.spec.feature_list import EMBEDDINGS, FEATURES, input_features
from trainer.spec.features import Axis, Dtype, Modality, Side
from trainer.spec.tasks import ITEM_SCORES, PAIR_TASKS, SCORE_COMPONENTS, TASKS


def test_the_towers_branches_in_the_order_of_every_branch_table():
    assert branches_of(Side.ITEM) == (
        Modality.TEXT,
        Modality.IMAGE,
        Modality.VIDEO,
        Modality.AUDIO,
        Modality.TABULAR,
        Modality.IDENTITY,
        Modality.GRAPH,
        Modality.TREND,
    )
    assert branches_of(Side.QUERY) == (
        *(Modality.TEXT, Modality.IMAGE, Modality.VIDEO, Modality.AUDIO),
        *(Modality.HISTORY, Modality.SEARCHES, Modality.PROFILE),
    )
    assert branches_of(Side.EVENT) == ()


def test_sources_of_one_side_and_modality():
    assert [f.name for f in input_features(Side.ITEM, Modality.TEXT)] == ["title", "description", "attributes"]
    assert EMBEDDINGS[Modality.TEXT] in {f.name for f in FEATURES if f.modality is Modality.TEXT}
    assert [f.name for f in input_features(Side.ITEM, Modality.TABULAR)] == ["category", "brand", "price"]
    assert [f.name for f in input_features(Side.QUERY, Modality.VIDEO)] == ["query_video"]


def test_media_never_pass_through_transform():
    for feature in FEATURES:
        if feature.modality in (Modality.IMAGE, Modality.VIDEO):
            assert not feature.transform, feature.name


def test_a_default_is_of_the_features_type():
    types = {Dtype.BYTES: bytes, Dtype.FLOAT: float, Dtype.INT: int}
    for feature in FEATURES:
        assert type(feature.default) is types[feature.dtype], feature.name


def test_only_declared_axes():
    assert {axis for feature in FEATURES for axis in feature.axes} == set(Axis)


def test_score_parts_are_the_cosine_the_words_the_pair_tasks_and_what_the_item_decides():
    named = ("dense", "lexical", "repurchase", "click", "purchase", "relevance")
    assert (*named, *(part.name for part in ITEM_SCORES)) == SCORE_COMPONENTS
    assert len(set(SCORE_COMPONENTS)) == len(SCORE_COMPONENTS)
    assert [task.name for task in TASKS if task not in PAIR_TASKS] == [
        "retrieval",
        "repurchase",
        "intent",
        "sentiment",
        "demand",
        "price",
    ]
