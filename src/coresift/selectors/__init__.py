"""Selection methods, one file each: arrays in, picks and weights out; siblings never meet."""
