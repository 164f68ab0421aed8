"""MongoDB: connections, and the schema and queries of each collection."""
