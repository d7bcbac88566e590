"""The page of ``--help``: every choice and every option, as composed so far.

Hydra's own takes twice as long, for it composes anew for each config group.
"""

from __future__ import annotations

from pathlib import Path

from asd.composition import folder_of
from asd.experiment.sweep_files import sweep_files

USE = """\
asd: experiment-tracked sweeps for anomalous sound detection

== Use ==
python -m asd.train +experiment=ss_0.5                      simulated data, demo scale
python -m asd.train +experiment=ss_0.5 data=dcase2020       the paper's data and scale
python -m asd.train +experiment=machine data=normal_anomaly data.root=DIR   your recordings
python -m asd.train -m +sweep=paper seed=0,1,2              a sweep
python -m asd.sweeps status sweep=paper seed=0,1,2          how far it is
python -m asd.train --hydra-help                            Hydra's own options
"""


def _choices(conf: Path) -> str:
    """A line a config group: its name and its files, ``+`` before what only adds."""
    lines = []
    for group in sorted(p for p in conf.rglob("*") if p.is_dir() and any(p.glob("*.yaml"))):
        plus = "+" if group.name == "experiment" else ""
        names = ", ".join(sorted(p.stem for p in group.glob("*.yaml")))
        sweeps = "  (with -m)" if group.is_relative_to(conf / "hydra") else ""
        lines.append(f"{plus}{group.relative_to(conf).as_posix()}: {names}{sweeps}")
    sweep_names = ", ".join(path.stem for path in sweep_files())
    return "\n".join([*lines, f"+sweep: {sweep_names}  (with -m)"])


def help_page(overrides: list[str]) -> str:
    """The page, with the options as these overrides compose them.

    Raises:
        hydra.errors.HydraException: an override does not compose.
    """
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    conf = folder_of("conf")
    with initialize_config_dir(str(conf), version_base="1.3"):
        options = OmegaConf.to_yaml(compose("config", overrides))
    return (
        f"{USE}\n== Choices (group=name) ==\n{_choices(conf)}\n\n"
        f"== Options (any of them: name=value) ==\n{options}"
    )
