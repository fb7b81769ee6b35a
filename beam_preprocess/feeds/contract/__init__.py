"""Contract of the kinds of export: heads, columns, drafts of records, and the tally of rows and repairs."""
