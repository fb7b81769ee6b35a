"""Server-side batching: requests of several clients in one call of the graph, with the parameters of TF Serving."""
