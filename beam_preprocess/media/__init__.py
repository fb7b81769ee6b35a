"""Media of records: the rule for their URIs, and their wire form."""
