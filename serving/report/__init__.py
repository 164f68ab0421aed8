"""The nightly report: one day as JSON, HTML and PDF.

facts.py     what a report says, as data (its JSON form)
gather.py    MongoDB's views -> facts
told.py      what was told on Discord; waits.py what waited, and why
turn.py      one process at a time makes or posts the report of a day
figures.py   numbers and words as a newspaper sets them
charts.py    facts -> SVG
render.py    facts -> HTML and PDF, the same input gives the same bytes
store.py     where reports lie, beside the lake; revisions
words.py     every string of the report in one place
"""
