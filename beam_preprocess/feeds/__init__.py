"""Importers of shop exports: files of shop systems, ad feeds and analytics tools to the public input format."""
