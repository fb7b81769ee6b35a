"""The serving contract as plain data: signatures, their fields and filters."""
