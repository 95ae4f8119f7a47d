"""The notebook's cells run as they are on a model of ours and on a log of the original."""

from __future__ import annotations

from pathlib import Path

import jupytext
import pytest
from deepracer_utils_survey import Sample, write_own_log, write_real_log
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "read_a_run.py"


def run_cells(sample: Sample, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run the notebook on a sample.

    Returns:
        What its cells printed.

    Raises:
        CellExecutionError: If a cell fails.
    """
    monkeypatch.setenv("RUN_FOLDER", str(sample.folder))
    monkeypatch.setenv("RUN_TRACK", str(sample.route))
    notebook = jupytext.read(NOTEBOOK)
    NotebookClient(notebook, timeout=240, resources={"metadata": {"path": str(sample.scratch)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    # One for each function of ours, and the library's own.
    assert len(pictures) >= 6 + 5
    return "".join(output["text"] for output in outputs if output["output_type"] == "stream")


def test_notebook_runs_on_our_run(tmp_path, monkeypatch):
    printed = run_cells(write_own_log(tmp_path), monkeypatch)
    assert "DRFC_MODEL_SINGLE_WORKERS" in printed
    assert "OVERALL" in printed


@pytest.mark.data
def test_notebook_runs_on_a_real_log(reference_data, tmp_path, monkeypatch):
    printed = run_cells(write_real_log(reference_data, tmp_path), monkeypatch)
    assert "DRFC_MODEL_SINGLE_WORKERS" in printed
    assert "OVERALL" in printed
