"""How far apart two sets of data are, what theory says of that, and which source or backbone is nearest."""
