import numpy as np
import pytest

from trainer.spec.config import Config, override
from trainer.spec.features import Modality, Side
from trainer.spec.model_inputs import BRANCHES, branch_inputs, model_inputs, required_inputs


def _shapes(side: Side, *assignments: str) -> dict[str, tuple[int, ...]]:
    config = override(Config(), assignments)
    return {name: spec.shape(config, side) for name, spec in model_inputs(side, config).items()}


def _is_present(modality: Modality, **inputs: object) -> bool:
    arrays = {name: np.array(value) for name, value in inputs.items()}
    return any(mask.any() for mask in BRANCHES[modality].presence(arrays))


def test_an_item_has_several_photos_and_a_query_one():
    lengths = (
        "wire.num_images=3",
        "wire.image_px=32",
        "tower.text.max_item_tokens=20",
        "tower.text.max_query_tokens=7",
    )
    item, query = _shapes(Side.ITEM, *lengths), _shapes(Side.QUERY, *lengths)
    assert (item["image_pixels"], item["image_present"], item["text_tokens"]) == ((3, 32, 32, 3), (3,), (20,))
    assert (query["image_pixels"], query["image_present"], query["text_tokens"]) == ((1, 32, 32, 3), (1,), (7,))
    assert "category_ids" not in query
    assert "history_vectors" not in item


@pytest.mark.parametrize(("pretrained", "given"), [("", "audio_mel"), ("/a/module", "audio_samples")])
def test_a_sound_is_given_as_energies_or_as_samples(pretrained, given):
    shapes = _shapes(Side.QUERY, f"tower.audio.pretrained={pretrained}")
    assert [name for name in shapes if name.startswith("audio")] == ["audio_present", given]


def test_precomputed_vectors_are_inputs_where_preprocessing_computes_them():
    assert "text_embedding" not in _shapes(Side.ITEM)
    shapes = _shapes(Side.ITEM, "tower.text.pretrained=bert", "wire.text_embedding_dim=8")
    assert shapes["text_embedding"] == (1, 8)


def test_an_encoder_reads_what_is_required_and_the_optional_inputs_that_are_given():
    assert required_inputs(Modality.TREND) == ("trend", "popularity")
    given = {"audio_present": 1, "audio_mel": 2, "text_tokens": 3}
    assert branch_inputs(Modality.AUDIO, given) == {"audio_present": 1, "audio_mel": 2}
    assert "history_counts" not in required_inputs(Modality.HISTORY)  # the repurchase head alone reads it


def test_attributes_are_present_with_a_category_a_brand_or_a_price():
    nothing = {"category_ids": [[0, 0]], "brand_id": [0], "price_present": [0.0]}
    assert not _is_present(Modality.TABULAR, **nothing)
    for known in ({"category_ids": [[0, 4]]}, {"brand_id": [2]}, {"price_present": [1.0]}):
        assert _is_present(Modality.TABULAR, **{**nothing, **known})


def test_a_neighbour_without_a_relation_type_does_not_count():
    assert not _is_present(Modality.GRAPH, neighbour_present=[[True, False]], neighbour_types=[[0, 3]])
    assert _is_present(Modality.GRAPH, neighbour_present=[[True, False]], neighbour_types=[[1, 3]])
