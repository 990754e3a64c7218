import numpy as np
import numpy.typing as npt

from hashmatch.kernels.reference_laying import Grid

def fit_map(
    source: npt.NDArray[np.float64],
    target: npt.NDArray[np.float64],
    sigma: npt.NDArray[np.float64],
    turn: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.bool_], npt.NDArray[np.float64]]: ...
def lay(
    image: npt.NDArray[np.float32],
    step: float,
    size: tuple[int, int],
    grid: Grid,
    matrices: npt.NDArray[np.float64],
    shifts: npt.NDArray[np.float64],
    probes: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_], npt.NDArray[np.int64]]: ...
