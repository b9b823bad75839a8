"""The same handler with numpy and pandas imported and used in each call."""

import numpy as np
import pandas as pd


def handle(event, context=None):
    """Return what the plain handler returns, computed by a pandas Series."""
    series = pd.Series(np.asarray(event["values"], dtype=np.int64))
    return {
        "largest": int(series.max()),
        "n": event["n"],
        "name": event["name"].upper(),
        "total": int(series.sum()),
    }
