"""The JSON codec of the REST API: request bodies to arrays, arrays to answers."""
