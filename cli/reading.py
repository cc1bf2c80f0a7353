"""Data that models are asked about."""

from textrip.data.collection import Collection
from textrip.data.columns import Columns


def read_for_models(
    data: str, columns: Columns, *models: str | None, device: str = "auto", tell: bool = True
) -> Collection:
    """Read data, where the models are there that are asked about it: told before a corpus was read for them.

    Args:
        data: What `read` takes.
        columns: What its columns are.
        models: Names or folders; None is passed over.
        device: Where they are to run.
        tell: As in `read`.
    """
    from textrip.data.formats import read
    from textrip.encoding.load import require_models

    require_models(*models, device=device)
    return read(data, columns=columns, tell=tell)
