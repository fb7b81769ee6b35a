"""The bundle (one SavedModel with towers, index and ranker), its publication, server and client."""
