"""Any other list of products: columns by name in many languages, else by content."""
