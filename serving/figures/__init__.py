"""Figures at a version of the lake: the merge of batch and live views, held in memory."""
