"""What a run was trained and scored on, as plain values for its record."""

from __future__ import annotations

from typing import Any

from asd.data.manifest import RELEASES, Manifest


def describe(clips: Manifest, corpus: str, context: str) -> dict[str, Any]:
    """A dataset as plain values, without any machine's paths.

    Args:
        clips: what is used.
        corpus: its name.
        context: ``training`` or ``testing``.

    Returns:
        ``name``, ``digest`` (``Manifest.data_hash``: the same recordings have the same, wherever
        they lie), ``context``, ``source`` and ``profile``.
    """
    table = clips.clips
    releases = [release for release in RELEASES if (table["release"] == release).any()]
    splits = list(dict.fromkeys(table["split"]))
    labels = table["label"].value_counts()
    return {
        "name": " ".join([corpus, "+".join(releases), "+".join(splits)]),
        "digest": clips.data_hash(),
        "context": context,
        "source": {
            "corpus": corpus,
            "releases": releases,
            "splits": splits,
            "machines": clips.machines,
        },
        "profile": {
            "clips": len(table),
            "normal": int(labels.get(0, 0)),
            "anomaly": int(labels.get(1, 0)),
            "unknown": int(labels.get(-1, 0)),
            "machine IDs": len(table[["machine", "id"]].drop_duplicates()),
            "hours": round(float((table["samples"] / table["rate"]).sum()) / 3600, 4),
        },
    }
