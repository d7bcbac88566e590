"""``python -m asd.data.download``: fetch the real corpus, resumably, verified and atomically.

``command.py`` is the program; ``plan.py`` says what to fetch and how much room it takes;
``fetch.py`` fetches a file over as many requests (``http_part.py``) as it needs; ``unpack.py``
opens an archive safely; ``placing.py`` puts verified clips where they belong; ``completeness.py``
decides whether a folder is what was published.
"""
