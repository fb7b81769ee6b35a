"""Events: labelled interactions, history, splits and pseudo-queries."""
