"""Pages that the server shows to a person; see `serving.server.pages.storefront`."""
