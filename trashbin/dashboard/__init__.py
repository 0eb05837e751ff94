"""The web page: what the bins on a broker do, and a person's answers to them (extra [dashboard]).

``watch`` hears the broker and keeps ``archive``; ``pages`` draw from both; ``server`` is its
composition root. Nothing here is imported by the bin itself.
"""
