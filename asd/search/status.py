"""How far a search is, read from its storage; nothing is made or begun."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from asd.search import summary
from asd.search.options import SearchOptions
from asd.search.store import open_storage
from asd.search.sweep import Search

if TYPE_CHECKING:
    from hydra.core.config_loader import ConfigLoader
    from optuna.study import Study


def show_search(loader: ConfigLoader, master: DictConfig, arguments: Sequence[str]) -> None:
    """Print a study's trials by state, its best ones, why trials failed, and where to look.

    Args:
        loader: Hydra's.
        master: the search's config.
        arguments: its overrides, fixed ones and ranges.

    Raises:
        AsdError: the search's options or its storage cannot be used.
    """
    options: Any = OmegaConf.to_container(master.hydra.sweeper, resolve=True)
    options = {name: value for name, value in options.items() if not name.startswith("_")}
    search = Search(loader, master, arguments, SearchOptions.of(options))
    study = find_study(search.url, search.study_name)
    if study is None:
        print(f"study {search.study_name}: not begun")
        return
    for trial in study.get_trials(deepcopy=False):
        if error := trial.user_attrs.get("error"):
            print(f"failed: trial {trial.number}: {error}")
    for line in summary.lines(study, search.space):
        print(line)
    print(f"table and plots: {search.folder}")
    print(f"look at it: {summary.dashboard_command(search.url)}")


def find_study(url: str, name: str) -> Study | None:
    """The study of this name; None where there is none.

    Raises:
        AsdError: the storage cannot be used.
    """
    import optuna

    if url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).exists():
        return None
    try:
        return optuna.load_study(study_name=name, storage=open_storage(url))
    except KeyError:
        return None
