import numpy as np

from serving.client.results import search_result

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
