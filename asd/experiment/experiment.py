"""A composed and checked config: what a run is to do, before anything is computed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asd.composition import build
from asd.data.corpus import corpus_of
from asd.experiment.identity import identity
from asd.experiment.run_folder import RunFolder, find_run

if TYPE_CHECKING:
    from asd.data.corpus import Corpus
    from asd.data.windows import Windows
    from asd.frontends.frontend import FrontEnd
    from asd.pictures.examples import PictureOptions


@dataclass(frozen=True)
class Experiment:
    """A composed and checked config: what it names is there, and nothing is computed yet.

    Args:
        config: all options as plain values.
        delta: those that differ from the base config.
        command: what a user types to start or resume it.
        in_sweep: whether it is one of many.
    """

    config: dict[str, Any]
    delta: dict[str, Any]
    command: str
    corpus: Corpus
    frontend: FrontEnd
    windows: Windows
    pictures: PictureOptions
    in_sweep: bool = False

    @classmethod
    def of(
        cls, config: dict[str, Any], delta: dict[str, Any], command: str, in_sweep: bool = False
    ) -> Experiment:
        """Build the parts that cost nothing.

        Raises:
            AsdError: a part refuses its options, or the corpus is not on disk.
        """
        build(config["loss"], "loss")
        made = cls(
            config,
            delta,
            command,
            corpus_of(config["data"]),
            build(config["frontend"], "frontend"),
            build(config["window"], "window"),
            build(config["pictures"], "pictures"),
            in_sweep,
        )
        made.corpus.check(made.releases)
        return made

    @property
    def test_release(self) -> str:
        """The release whose test clips are scored."""
        return str(self.config["data"]["test"])

    @property
    def releases(self) -> list[str]:
        """All releases that the run reads."""
        return list(dict.fromkeys([*self.config["release"]["train"], self.test_release]))

    @property
    def data_label(self) -> str:
        """What the data is, for every table."""
        scale = self.config["scale"]
        name = "SIMULATED" if self.corpus.simulated else self.corpus.name
        return f"{name}, demo scale ({scale['name']})" if scale["demo"] else name

    @property
    def title(self) -> str:
        """What was run, for every table."""
        simulated = ", SIMULATED data" if self.corpus.simulated else f", {self.corpus.name}"
        demo = " at demo scale" if self.config["scale"]["demo"] else ""
        return f"{self.config['system']}, seed {self.config['seed']}{simulated}{demo}"

    def identity(self, data_hash: str) -> str:
        """What the run is, whoever trains it where (``asd.experiment.identity``)."""
        return identity(self.config, data_hash)

    def folder(self, data_hash: str) -> RunFolder:
        """Where the run is or will be."""
        config = self.config
        corpus = config["data"].get("name", self.corpus.name)
        name = f"{config['experiment_name']}-{corpus}-{config['scale']['name']}"
        runs = Path(config["paths"]["runs"]).absolute()
        return find_run(runs, f"{name}-seed{config['seed']}", self.identity(data_hash))

    def tags(self, data_hash: str, key: str) -> dict[str, str]:
        """What runs are filtered by in MLflow."""
        config = self.config
        return {
            "experiment": config["experiment_name"],
            "system": config["system"],
            "release": config["release"]["name"],
            "frontend": self.frontend.name,
            "scope": config["scope"]["name"],
            "data": self.corpus.name,
            "seed": str(config["seed"]),
            "scale": config["scale"]["name"],
            "simulated": str(self.corpus.simulated).lower(),
            "test": self.test_release,
            "data_hash": data_hash,
            "identity": key,
        }
