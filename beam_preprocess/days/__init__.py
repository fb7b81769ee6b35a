"""Item days: time series, co-purchases and market signals from strictly earlier data."""
