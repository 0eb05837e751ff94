"""``trashbin setup``: the first-time assistant, which ends with a configuration that works.

``plan`` is what is to be written, ``template`` writes it into the commented YAML, ``parts``
finds and tries the parts of the bin, and ``talk`` leads through the questions.
"""
