"""Whole scenes out of Blender: an item of its class' shape and material, on a tray, under lamps.

Nothing here comes from a photograph, and nothing is shared with the demo's scenes. The pictures
tell whether a network knows materials or only photographs of them; they help to choose on val.

    pip install bpy==5.0.1 && python -m trashbin.training.drawn --out DIR --each 12
"""
