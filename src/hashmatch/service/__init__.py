"""`hashmatch serve`: lists behind HTTP, in one process that answers and a pool of jailed processes that decode.

Floor: service. Needs Starlette and Uvicorn, which ``pip install 'hashmatch[server]'`` brings; nothing else loads it.

``config``
    What a configuration file says, checked.
``tokens``
    Who may ask what.
``service``
    `Service`: the open lists, the settings and the counts that every route shares.
``doorway``
    What holds for every request: identifiers, scopes, limits, admission, errors, records for logs and metrics.
``match_routes``, ``batch``, ``second``, ``status_routes``, ``hma``
    The routes.
``openapi``
    Their document.
``metrics``, ``logs``
    What observers count and write of every request.
``app``
    The application, from the routes of all modules.
``server``
    Uvicorn with bounds on slow and endless headers, and a graceful stop.
"""

from importlib.util import find_spec

if not all(find_spec(name) for name in ("starlette", "uvicorn", "python_multipart", "prometheus_client")):
    raise ImportError("the service needs: pip install 'hashmatch[server]'")
