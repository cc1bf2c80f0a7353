"""Data that models are asked about."""

from textrip.data.collection import Collection
from textrip.data.columns import Columns


def read_for_models(
    data: str,
    columns: Columns,
    *models: str | None,
    device: str = "auto",
    max_length_tokens: int | None = None,
    tell: bool = True,
) -> Collection:
    """Read data, where the models are there that are asked about it: told before a corpus was read for them.

    Args:
        data: What `read` takes.
        columns: What its columns are.
        models: Names or folders; None is passed over.
        device: Where they are to run.
        max_length_tokens: Where the first of them is to cut texts; at its own length where None.
        tell: As in `read`.
    """
    from textrip.data.formats import read
    from textrip.encoding.load import require_models

    require_models(*models, device=device, max_length_tokens=max_length_tokens)
    return read(data, columns=columns, tell=tell)
