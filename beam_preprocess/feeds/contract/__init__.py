"""Contract of the kinds of export: heads, columns, drafts of records also between passes, and the tally of rows."""
