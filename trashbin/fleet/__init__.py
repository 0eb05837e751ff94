"""Many bins: simulated ones (``trashbin simulate``), and their events in one place (``collect``).

``holes`` says what is missing and when to ask for it; ``collector`` listens and asks; it writes
into ``postgres``, or into the tally that ``simulate`` counts with. ``bins`` are the simulated ones.
"""
