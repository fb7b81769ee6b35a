"""Live changes of items: checked, kept in a log, and applied to every loaded version of a model."""
