"""Pure functions from a snapshot to text, HTML or SVG. They never touch the live machine.

A view is a module with `text(snapshot)` and, where it has one, `html(snapshot)` or `svg(snapshot)`;
adding one touches one file, and `moment.SECTIONS` if it belongs to the whole.
"""
