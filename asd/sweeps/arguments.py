"""``+sweep=NAME`` on the command line stands for the overrides that ``sweeps/NAME.yaml`` lists."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from asd.composition import folder_of, register_resolvers
from asd.errors import AsdError
from asd.experiment.sweep_files import load_sweep, sweep_files

if TYPE_CHECKING:
    from hydra.core.config_loader import ConfigLoader
    from omegaconf import DictConfig

#: How the program's own arguments begin that say which sweep they are of.
NAMED = "sweep.name="
# Options that a single run has no use for.
_OF_SWEEPS = ("hydra/launcher=", "hydra/sweeper", "hydra.launcher.", "hydra.sweeper.")


def expand(arguments: list[str]) -> list[str]:
    """Command-line arguments with ``+sweep=NAME`` replaced by what it declares.

    An option that the user gives as well is the user's. The sweep's runs share an MLflow experiment
    of its name.

    Raises:
        AsdError: no such sweep, or it is asked for without ``--multirun``.
    """
    named = [a for a in arguments if a.startswith(("+sweep=", "sweep="))]
    if not {"-m", "--multirun"} & set(arguments):
        if named:
            raise AsdError(f"{named[0]}: a sweep is several runs; add -m")
        for ignored in (a for a in arguments if a.lstrip("+").startswith(_OF_SWEEPS)):
            print(f"{ignored}: ignored, this is one run; add -m for a sweep", file=sys.stderr)
    if not named:
        return arguments
    rest = [a for a in arguments if a not in named]
    given = {a.split("=", 1)[0].lstrip("+") for a in rest if "=" in a}
    if len(named) > 1:
        raise AsdError(f"{' '.join(named)}: one sweep at a time")
    name = named[0].split("=", 1)[1]
    for option, values in load_sweep(name)["overrides"].items():
        if option.lstrip("+") not in given:
            values = values if isinstance(values, list) else [values]
            rest.append(f"{option}={','.join(map(str, values))}")
    return [*rest, f"{NAMED}{name}"]


@contextmanager
def composed_sweep(options: Sequence[str]) -> Iterator[tuple[ConfigLoader, DictConfig]]:
    """Hydra's loader and the config of the sweep that these options start; nothing runs."""
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import HydraException
    from hydra.types import RunMode

    if not options:
        names = ", ".join(path.stem for path in sweep_files())
        raise AsdError(f"say of which sweep: sweep=NAME, one of {names}, or the options of another")
    overrides = [o for o in expand(["-m", *options]) if o != "-m"]
    register_resolvers()
    with initialize_config_dir(str(folder_of("conf")), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        try:
            master = loader.load_configuration("config", overrides, RunMode.MULTIRUN)
        except HydraException as error:
            raise AsdError(str(error).splitlines()[0]) from error
        yield loader, master
