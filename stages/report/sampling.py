"""The sample of photos that a gallery shows if it cannot show all."""

import hashlib

import pandas as pd


def sample(rows: pd.DataFrame, limit: int, seed: int) -> pd.DataFrame:
    """Return a random sample of at most `limit` of `rows`, in their order.

    It depends on the seed and on each row's id and path alone, so added photos change it little.
    """
    if len(rows) <= limit:
        return rows
    keys = [f"{seed}/{image_id}/{path}" for image_id, path in zip(rows["image_id"], rows["path"])]
    order = pd.Series([hashlib.sha256(key.encode()).hexdigest() for key in keys], index=rows.index)
    return rows[rows.index.isin(order.sort_values(kind="stable").index[:limit])]
