"""What docs/scaling.md says is what the model says."""

import re

import pytest

from loadtest.model.calibration import Model, calibrate
from loadtest.model.measurements import read
from loadtest.model.page import DEMANDS
from loadtest.model.sizing import plan
from loadtest.publishing import IMAGES, MODEL_PAGE


@pytest.fixture(scope="module")
def model() -> Model:
    return calibrate(read())


def row(begin: str) -> list[str]:
    """The cells behind the first one, of the first row that begins so."""
    line = next(line for line in MODEL_PAGE.read_text().splitlines() if line.startswith(f"| {begin}"))
    return [cell.strip(" *") for cell in line.strip("|").split("|")[1:]]


def test_the_page_s_fleets_are_those_of_the_model(model: Model) -> None:
    fleets = [plan(demand, model) for demand in DEMANDS]
    assert row("**pods**") == [str(fleet.pods) for fleet in fleets]
    assert row("**Redis masters**") == [str(fleet.masters) for fleet in fleets]
    assert row("answered from the cache") == [f"{fleet.hit_ratio:.0%}" for fleet in fleets]
    assert row("most revocations a second") == [f"{fleet.most_revocations:,.0f}" for fleet in fleets]


def test_the_page_names_the_measurement_that_it_is_made_of(model: Model) -> None:
    measured = model.measured
    assert f"Measured {measured.when} on {measured.machine.cpu}" in MODEL_PAGE.read_text()
    assert f"{measured.hit_cpu * 1e6:.1f} µs" in MODEL_PAGE.read_text()


def test_every_plot_of_the_page_is_there() -> None:
    names = re.findall(r"\]\(images/(\S+?)\)", MODEL_PAGE.read_text())
    assert len(names) == 2
    assert all((IMAGES / name).read_text().rstrip().endswith("</svg>") for name in names)
