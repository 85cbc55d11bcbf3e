"""Which examples are worth most to a pool or to targets, where a kernel says what each is worth to each?

Start at `information.py`: facility location, its mutual-information forms and its conditional gain. All are one
objective, `coverage.py`, picked greedily; `kernels.py` holds worths as whole numbers, dense or as lists; `served.py`
says whom the picks serve.
"""
