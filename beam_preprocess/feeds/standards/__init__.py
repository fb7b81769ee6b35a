"""Kinds of export in an open format: Merchant Center, schema.org, agent commerce."""
