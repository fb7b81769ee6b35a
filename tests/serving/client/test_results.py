import numpy as np

from serving.client.results import FacetCounts, facet_counts, search_result

OUTPUTS = {
    "ids": np.array([[b"a", b"b", b""]], object),
    "scores": np.array([[2.0, 1.0, 0.0]]),
    "num_results": np.array([2]),
    "query_status": np.array([0]),
    "bundle_version": np.array([b"v"], object),
}


def test_each_result_has_its_fields_by_name():
    # The server has batched the request with one that asks for three fields.
    display = np.array([[["A", "", ""], ["B", "9.5", ""], ["", "", ""]]], object)
    outputs = {**OUTPUTS, "display": np.char.encode(display.astype(str), "utf-8").astype(object)}
    found = search_result(outputs, fields=["title", "price"])
    assert found.fields == ({"title": "A", "price": ""}, {"title": "B", "price": "9.5"})
    assert search_result(outputs).fields == ()
    assert search_result(OUTPUTS).fields == ()


def test_facets_are_counts_by_value():
    outputs = {
        "facet_values": np.array([[[b"acme", b"zed"], [b"5.00:10.00", b""], [b"", b""]]], object),
        "facet_counts": np.array([[[3, 1], [2, 0], [0, 0]]]),
        "facet_sizes": np.array([[7, 1, 0]]),
    }
    assert facet_counts(outputs, names=["brand", "price"]) == {
        "brand": FacetCounts(counts={"acme": 3, "zed": 1}, num_values=7),
        "price": FacetCounts(counts={"5.00:10.00": 2}, num_values=1),
    }
