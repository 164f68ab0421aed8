"""The lake's files: compaction, alerts, archives, and the facts that its commits store."""
