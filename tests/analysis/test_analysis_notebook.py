"""The notebook's cells run as they are on a model of ours and on a log of the original."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from log_folders import LogFolder, write_own_log, write_real_log

if TYPE_CHECKING:  # half a second, which each process of a run would wait when it collects this file
    from jupyter_client.manager import KernelManager

pytestmark = pytest.mark.usefixtures("short_run_offs", "coarse_figures")
NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "read_a_run.py"

SMALL_PICTURES = """
%matplotlib inline
%config InlineBackend.print_figure_kwargs = {"dpi": 20, "bbox_inches": None}
"""


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KernelManager]:
    """A running kernel for all notebooks, since each would import the same."""
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel(cwd=str(tmp_path_factory.mktemp("notebook")))
    client.stop_channels()
    yield manager
    manager.shutdown_kernel(now=True)


def run_cells(sample: LogFolder, kernel: KernelManager) -> str:
    """Run the notebook on a sample, without what a notebook before it left in the kernel.

    Returns:
        What its cells printed.

    Raises:
        CellExecutionError: If a cell fails.
    """
    import jupytext
    from nbclient import NotebookClient
    from nbformat.v4 import new_code_cell

    variables = {"RUN_FOLDER": str(sample.folder), "RUN_TRACK": str(sample.route)}
    beginning = f"%reset -f\nimport os\nos.environ.update({variables!r})\n{SMALL_PICTURES}"
    notebook = jupytext.read(NOTEBOOK)
    notebook.cells.insert(0, new_code_cell(beginning))
    NotebookClient(notebook, km=kernel, timeout=240).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    # One for each function of ours, and the library's own.
    assert len(pictures) >= 6 + 5
    return "".join(output["text"] for output in outputs if output["output_type"] == "stream")


def test_notebook_runs_on_our_run(tmp_path, kernel):
    printed = run_cells(write_own_log(tmp_path), kernel)
    assert "DRFC_MODEL_SINGLE_WORKERS" in printed
    assert "OVERALL" in printed


@pytest.mark.data
def test_notebook_runs_on_a_real_log(reference_data, tmp_path, kernel):
    printed = run_cells(write_real_log(reference_data, tmp_path), kernel)
    assert "DRFC_MODEL_SINGLE_WORKERS" in printed
    assert "OVERALL" in printed
