from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil

SCRIPT = """
import multiprocessing, time
from asd.training.parent import end_with_parent
def child(line):
    end_with_parent()
    line.send(multiprocessing.current_process().pid)
    time.sleep(600)
if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    context.Process(target=child, args=(there,)).start()
    print(here.recv(), flush=True)
    time.sleep(600)
"""


def test_a_child_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(SCRIPT)
    parent = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.communicate()
    _gone, alive = psutil.wait_procs([child], timeout=30)
    assert not alive or child.status() == psutil.STATUS_ZOMBIE
