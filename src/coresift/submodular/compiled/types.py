"""What compiled loops are given and give back."""

import numpy as np

Array = np.ndarray
Real = float | np.floating
Whole = int | np.integer
