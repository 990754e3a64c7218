"""Laws of the errors: they travel between processes whole."""

from __future__ import annotations

import inspect
import pickle

import pytest

from hashmatch import errors

SAMPLES = [
    errors.UnreadableImageError("the file ends early", reason="truncated"),
    errors.ImageTooLargeError("too large", reason="too-many-pixels"),
    *(
        kind("what is wrong")
        for kind in (getattr(errors, name) for name in errors.__all__)
        if not issubclass(kind, errors.ImageError)
    ),
]


@pytest.mark.parametrize("error", SAMPLES, ids=lambda error: type(error).__name__)
def test_an_error_comes_back_from_a_worker_process(error: errors.HashmatchError) -> None:
    """Type, message and details survive pickling, or a broken picture would take down a pool of processes."""
    back = pickle.loads(pickle.dumps(error))  # noqa: S301 - made one line before
    assert type(back) is type(error)
    assert str(back) == str(error)
    assert vars(back) == vars(error)


def test_every_error_is_sampled() -> None:
    """No error class is left out above."""
    raised = {kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, Exception)}
    assert raised - {errors.ImageError} == {type(error) for error in SAMPLES}
