"""Personal models across real machines: each client in processes of its own, on Flower.

The server's side is a `Federation` whose clients are elsewhere (`remote.py`), a client's side one with a single client
(`node.py`); the method is the same object as in the simulator.  What travels are `Parcel`s: tensors, numbers, a note.
"""
