"""Kinds of export of shop systems and product feeds."""
