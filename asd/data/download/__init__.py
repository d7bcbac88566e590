"""``python -m asd.data.download``: fetch the real corpus, resumably, verified and atomically.

``command.py`` is the program; ``plan.py`` says what to fetch and how much room it takes;
``fetch.py`` fetches a file by pooch; ``unpack.py`` opens an archive safely and puts its clips where
they belong; ``published.py`` decides whether a folder is what was published.
"""
