"""Kinds of export of analytics tools and event logs."""
