"""Merchandising as plain data: facets of a bundle."""
