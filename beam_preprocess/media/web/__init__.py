"""Media by http(s) address: what may be fetched, one fetch within its limits, and the cache between runs."""
