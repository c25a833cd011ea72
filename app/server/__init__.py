"""The HTTP server: uvicorn, and what no setting of it offers.

No other package imports uvicorn. Three of its private interfaces are used here: `protocol.py`
overrides methods of its HTTP protocol, `server.py` creates such protocols itself and knows how
requests and tasks are counted. `tests/unit/server/test_uvicorn.py` fails when one of them changes.
"""
