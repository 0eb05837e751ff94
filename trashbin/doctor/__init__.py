"""``trashbin doctor``: is this bin well? Every part is looked at, and each line says what to do.

``examine`` goes through the parts in turn; ``machine``, ``network``, ``eyes``, ``pins``,
``brain`` and ``daemon`` hold the checks of one part each, and ``report`` what they find.
"""
