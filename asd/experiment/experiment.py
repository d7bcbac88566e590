"""A composed and checked config: what a run is to do, before anything is computed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asd.composition import build
from asd.cores import beside_others
from asd.data.corpus import corpus_of
from asd.data.manifest import RELEASES
from asd.errors import AsdError
from asd.experiment.identity import (
    SCORING_VERSIONS,
    TRAINING_VERSIONS,
    flat,
    identity,
    training_identity,
)
from asd.experiment.run_folder import RunFolder, find_run
from asd.experiment.run_labels import system_label
from asd.experiment.schema import check_schema
from asd.experiment.trainer_options import TrainerOptions
from asd.options import check_choice, check_no_secret, check_number, check_whole, from_config
from asd.scoring.calibration import CalibrationOptions
from asd.scoring.clip_vectors import OF_DECIBELS, OF_NETWORK
from asd.scoring.pooling import Mean
from asd.scoring.proxy_faults import ProxyOptions
from asd.scoring.scoring_options import ScoringOptions
from asd.scoring.window_scores import OF_CLASSES, OF_FRAMES, OF_RECONSTRUCTION, WINDOW_SCORES

if TYPE_CHECKING:
    from asd.data.corpus import Corpus
    from asd.data.windows import Windows
    from asd.features.store import FeatureStore
    from asd.frontends.frontend import FrontEnd

#: In names of what was computed of sounds that a program made.
SIMULATED = "SIMULATED"


@dataclass(frozen=True)
class Experiment:
    """A composed and checked config: what it names is there, and nothing is computed yet.

    Args:
        config: all options as plain values.
        command: what a user types to start or resume it.
    """

    config: dict[str, Any]
    command: str
    corpus: Corpus
    frontend: FrontEnd
    windows: Windows
    trainer: TrainerOptions
    scoring: ScoringOptions
    calibration: CalibrationOptions
    proxy: ProxyOptions
    objective: Any

    @classmethod
    def of(cls, config: dict[str, Any], command: str) -> Experiment:
        """Build the parts that cost nothing; they check their own options.

        Raises:
            AsdError: a part refuses its options, options contradict each other, or the corpus is
                not on disk.
        """
        check_schema(config)
        _check_own_options(config)
        loss = build(config["loss"], "loss")
        scoring = from_config(ScoringOptions, "scoring", config["scoring"])
        _check_objective(loss, config["scope"]["name"], scoring)
        experiment = cls(
            config,
            command,
            corpus_of(config["data"]),
            build(config["frontend"], "frontend"),
            build(config["window"], "window"),
            from_config(TrainerOptions, "trainer", config["trainer"]),
            scoring,
            from_config(CalibrationOptions, "calibration", config["calibration"]),
            from_config(ProxyOptions, "proxy", config["proxy"]),
            loss,
        )
        experiment._check_network()
        experiment.feature_store()
        experiment.corpus.check(experiment.releases)
        return experiment

    def feature_store(self) -> FeatureStore:
        """Where the features of its clips are, or will be."""
        from asd.features.store import FeatureStore

        options, cache = self.config["features"], Path(self.config["paths"]["cache"]).absolute()
        check_choice("features.shared", options["shared"], ("auto", True, False))
        shared = beside_others() if options["shared"] == "auto" else options["shared"]
        return FeatureStore(
            cache / "features",
            self.frontend,
            options["dtype"],
            self.corpus.channel,
            cache / "joined" if shared else None,
        )

    def _check_network(self) -> None:
        """Refuse to do without a network what needs one, and with a window what needs several."""
        needs = self.scoring.score or self.scoring.vectors
        if not self.trains and (self.scoring.score is not None or needs in OF_NETWORK):
            raise AsdError(
                f"model=none: there is no network, which scoring by {needs} needs; choose "
                "scoring=knn or scoring=level, or a model"
            )
        score, pooling = self.scoring.score, build(self.scoring.pooling, "scoring.pooling")
        pooled = score in tuple(WINDOW_SCORES) and score not in OF_FRAMES and pooling != Mean()
        if (pooled or needs == "error_statistics") and self.windows.cover == "first":
            raise AsdError(
                "scoring: each clip has one window (window.cover=first), whose error alone cannot "
                "be pooled; use window=tiles, or scores of frames: scoring=mse_median, mse_std, ..."
            )
        if needs in OF_DECIBELS and not getattr(self.frontend, "decibels", True):
            raise AsdError(f"scoring by {needs} needs a front end in dB, not {self.frontend.name}")
        if needs == "level" and self.frontend.name == "mel_normalised":
            raise AsdError("scoring by level: mel_normalised brings all clips to one level")
        own, given = self.scoring.vectors, (self.frontend.name, self.frontend.rate)
        if isinstance(own, dict) and "rate" in own and given != ("waveform", own["rate"]):
            needed = f"frontend=waveform frontend.rate={own['rate']}"
            raise AsdError(f"scoring.vectors.rate={own['rate']}: needs {needed}")
        if self.proxy.chooses_epoch and (not self.trains or self.trainer.weights == "last"):
            text = "no epoch is chosen here; use trainer.weights=best, and a model"
            raise AsdError(f"proxy.chooses_epoch=true: {text}")
        if not self.trains and self.objective.classes is not None:
            raise AsdError("model=none: there is no network to classify with; use loss=mse")

    @property
    def trains(self) -> bool:
        """Whether there is a network to train (``model=none``: there is not)."""
        return self.config["model"]["_target_"] is not None

    @property
    def scope(self) -> str:
        """``shared``: one model for all machines; ``per_machine``, ``per_id``: one for each."""
        return str(self.config["scope"]["name"])

    @property
    def takes_outliers(self) -> bool:
        """Whether half of what trains a model are clips of other machine IDs."""
        return self.scope == "per_id" and hasattr(self.objective, "source")

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
        name = SIMULATED if self.corpus.simulated else self.corpus.name
        if self.test_release != "development":  # the paper's
            name += f", {self.test_release} test clips"
        return f"{name}, demo scale ({scale['name']})" if scale["demo"] else name

    @property
    def title(self) -> str:
        """What was run on which data, for every table."""
        label = system_label(self.config, self.command)
        return f"{label}, seed {self.config['seed']}, {self.data_label}"

    @property
    def tracking_name(self) -> str:
        """The tracker's list for this run: the sweep's; of a demo, apart and said so."""
        config, demo = self.config, " demo" if self.config["scale"]["demo"] else ""
        mark = f" {SIMULATED}" if self.corpus.simulated else demo
        return str(config["tracking"]["experiment"] or f"{config['sweep']['name'] or 'asd'}{mark}")

    def identity(self, data_hash: str) -> str:
        """What the run is, whoever trains it where (``asd.experiment.identity``)."""
        return identity(self.config, data_hash, self.versions)

    def training_identity(self, data_hash: str) -> str:
        """What its models are, however they are scored; ``data_hash`` is of the training clips."""
        # Then the scoring is all there is, or chooses the epoch.
        if not self.trains or self.proxy.chooses_epoch:
            return self.identity(data_hash)
        versions = {name: self.versions[name] for name in ("frontend", *TRAINING_VERSIONS)}
        return training_identity(self.config, data_hash, versions)

    @property
    def versions(self) -> dict[str, Any]:
        """Of the code that decides its numbers."""
        own = {"frontend": self.frontend.version, **TRAINING_VERSIONS, **SCORING_VERSIONS}
        if isinstance(self.scoring.vectors, dict):  # their content is part of what is scored
            own["vectors"] = self.scoring.function().version
        return own

    @property
    def runs(self) -> Path:
        """The folder of all run folders."""
        return Path(self.config["paths"]["runs"]).absolute()

    def folder(self, data_hash: str) -> RunFolder:
        """Where the run is or will be."""
        config = self.config
        corpus = config["data"].get("name", self.corpus.name)
        name = f"{config['experiment_name']}-{corpus}-{config['scale']['name']}"
        return find_run(self.runs, f"{name}-seed{config['seed']}", self.identity(data_hash))


def _check_own_options(config: dict[str, Any]) -> None:
    """Those that no part owns."""
    for name, value in flat(config).items():
        check_no_secret(name, value)
    check_choice("if_running", config["if_running"], ("refuse", "wait"))
    check_choice("scope", config["scope"]["name"], ("shared", "per_machine", "per_id"))
    check_choice("data.test", config["data"].get("test"), ("development", "evaluation"))
    for release in config["release"]["train"]:
        check_choice("release.train", release, RELEASES[:2])
    check_whole("seed", config["seed"], 0, 2**32 - 1)
    for name in ("standardise", "force"):
        check_choice(name, config[name], (True, False))
    if "proxy_auc" in config["search"]["objectives"] and not config["proxy"]["faults"]:
        raise AsdError("search.objectives: proxy_auc needs proxy.faults=[...] (docs/search.md)")
    check_number("search.untrained_loss", config["search"]["untrained_loss"], 0)
    names = {"experiment_name": config["experiment_name"], "system": config["system"]}
    for name, value in {**names, "scale.name": config["scale"]["name"]}.items():
        if not isinstance(value, str) or (name != "system" and set(value) & {"/", "\0"}):
            raise AsdError(f"{name}={value}: must be a text without a slash; folders bear it")


def _check_objective(objective: Any, scope: str, scoring: ScoringOptions) -> None:
    score, needs = scoring.score, scoring.score or scoring.vectors
    if objective.classes == "machine" and scope != "shared":
        raise AsdError(
            f"loss.classes=machine with scope={scope}: one machine type is a single class, so "
            "there is nothing to classify; choose scope=shared or loss.classes=id"
        )
    if score in OF_CLASSES and objective.classes is None:
        raise AsdError(f"scoring={score} needs a classifier: loss=semi_supervised, adacos, ...")
    if needs in OF_RECONSTRUCTION and not getattr(objective, "reconstructs", True):
        raise AsdError(
            f"scoring={needs}: {type(objective).__name__} trains no reconstruction; choose "
            "scoring=cce, scoring=logit, or scoring=knn_embedding"
        )
