"""Training, export and measuring of the network (extra [train]).

``python -m trashbin.training`` is the way in.
"""
