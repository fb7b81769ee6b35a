"""Events that flow back from a shop: checked, made anonymous and appended to files that preprocessing reads."""
