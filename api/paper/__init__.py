"""Paper: posters, cards, slips, certificates and reports as PDF, typeset by typst from the sheets beside this file.

A sheet is a program of ours; what people wrote reaches it as data alone, in one JSON text, and is shown as it stands.
"""
