"""The nightly report: one day as JSON, HTML and PDF.

nightly.py          wait, build, publish, revise
build.py            MongoDB's views -> facts
facts.py            what a report says, as data (its JSON form)
completeness.py     whether the day is complete
delivery_stats.py   notifications of the day; late_deliveries.py which were late, and why
lock.py             one process at a time builds or publishes the report of a day
figures.py          numbers and times as a newspaper sets them
charts.py           facts -> SVG
render.py           facts -> HTML and PDF; the same facts give the same bytes
post.py             the summary on Discord
store.py            where reports are kept: next to the lake's tables; revisions
strings.py          every string of the report in one place
"""
