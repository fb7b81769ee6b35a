"""Merchandising as plain data: facets and orders of a bundle."""
