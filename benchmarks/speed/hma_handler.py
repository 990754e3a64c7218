"""A handler as Hasher-Matcher-Actioner's: Flask, and threatexchange's own index of PDQ (faiss) in the same process.

It does the look-up alone: of HMA's database, banks and signal types there is nothing, so it is faster than HMA.
Gunicorn loads the index before it forks, and runs as many processes as there are processors.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from flask import Flask, abort, request
from threatexchange.signal_type.pdq.signal import PdqSignal


def create_app() -> Any:
    """Make the application; the codes are in the file that ``HMA_CODES`` names."""
    import faiss

    faiss.omp_set_num_threads(1)
    codes = np.load(os.environ["HMA_CODES"])
    index = PdqSignal.get_index_cls()((code.tobytes().hex(), i) for i, code in enumerate(codes))
    app = Flask(__name__)

    @app.get("/m/raw_lookup")
    def raw_lookup() -> Any:
        """Answer as HMA's route of this name."""
        if request.args.get("signal_type") != "pdq":
            abort(400)
        try:
            signal = PdqSignal.validate_signal_str(request.args.get("signal", ""))
        except Exception:
            abort(400)
        found = index.query(signal)
        return {
            "matches": [
                {"bank_content_id": item.metadata, "distance": str(item.similarity_info.distance)} for item in found
            ]
        }

    return app
