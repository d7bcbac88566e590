"""``python -m asd.data.download``: fetch the real corpus, resumably, verified and atomically.

``__main__.py`` is the program; ``delivery.py`` brings one published file to its place, by
``fetch.py`` (pooch, requests) and ``unpack.py`` (a zip opened safely); ``published.py`` says what
was published and lists what differs from it.
"""
