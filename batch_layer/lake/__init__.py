"""The lake's files: compaction, alerts, archives, and what its commits say."""
