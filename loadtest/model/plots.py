"""The plots of docs/scaling.md. Pure: a model in, SVG out."""

from collections.abc import Mapping

from msgspec import structs

from loadtest.curves import Axis, Curve, curves
from loadtest.model.calibration import Model, measured_curves, predicted
from loadtest.model.sizing import Demand, plan

LATENCY_PLOT, FLEET_PLOT = "model-latency.svg", "model-fleet.svg"
_RATES = tuple(1e4 * 10 ** (step / 6) for step in range(13))
"""Ten thousand to a million a second."""


def plots(model: Model) -> Mapping[str, str]:
    """SVG by file name."""
    return {LATENCY_PLOT: _latency_plot(model), FLEET_PLOT: _fleet_plot(model)}


def _latency_plot(model: Model) -> str:
    drawn: list[Curve] = []
    for number, (name, points, hits) in enumerate(measured_curves(model.measured)):
        ordered = sorted(points, key=lambda point: point.rate)
        top = ordered[-1]
        for quantile, colour in (("p50", 2 * number), ("p99", 2 * number + 1)):
            line = []
            for step in range(1, 25):
                rate = top.rate * step / 24
                said = predicted(model, structs.replace(top, rate=rate), hits)
                line.append((rate / 1e3, getattr(said, quantile) * 1e3))
            dots = [(point.rate / 1e3, getattr(point, f"{quantile}_ms")) for point in ordered]
            drawn += [
                Curve(f"{name}, {quantile}", line, colour=colour),
                Curve("", dots, style="dots", colour=colour),
            ]
    x, y = Axis("thousand introspections a second, one core"), Axis("milliseconds", log=True, low=0.1, high=100)
    return curves("Latency against rate: lines simulated, dots measured", x, y, drawn)


def _fleet_plot(model: Model) -> str:
    drawn: list[Curve] = []
    for colour, (name, exponent) in enumerate((("Zipf", 1.0), ("uniform", 0.0))):
        pods, masters = [], []
        for rate in _RATES:
            demand = Demand(name, rate, round(rate * 10), exponent=exponent, connections=round(rate / 5))
            fleet = plan(demand, model)
            pods.append((rate, float(fleet.pods)))
            masters.append((rate, float(fleet.masters)))
        drawn += [
            Curve(f"pods, {name}", pods, colour=colour),
            Curve(f"Redis masters, {name}", masters, style="dashed", colour=colour),
        ]
    x, y = Axis("introspections a second", log=True), Axis("how many", log=True, low=1, high=100)
    return curves("Pods and Redis masters, ten live tokens for each introspection a second", x, y, drawn)
