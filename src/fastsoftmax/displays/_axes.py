"""What the displays share: axes to draw on, made only if none are given. Called by them alone."""

try:
    from matplotlib import ticker
except ImportError as error:
    raise ImportError('displays need matplotlib: pip install "fastsoftmax[plot]"') from error

__all__ = ["axes_for", "new_figure", "plain_log_scale"]


def new_figure(size):
    """A figure of this size in inches, which pyplot shows and in which nothing is cut off."""
    import matplotlib.pyplot as plt

    return plt.figure(figsize=size, layout="constrained")


def axes_for(ax, size):
    """``ax``, or the axes of a new figure of this size."""
    return new_figure(size).add_subplot() if ax is None else ax


def plain_log_scale(axis, values):
    """A logarithmic axis with plain numbers, and with minor ones where there is room for them."""
    getattr(axis.axes, f"set_{axis.axis_name}scale")("log")
    low, high = min(values), max(values)
    axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    if high / low < 300:  # few powers of ten: without minor labels there might be none
        subs = (1.5, 2, 3, 5, 7) if high / low < 30 else (2, 5)
        axis.set_minor_locator(ticker.LogLocator(subs=subs))
        axis.set_minor_formatter(ticker.FuncFormatter(lambda value, _: f"{value:.3g}"))
    else:
        axis.set_minor_formatter(ticker.NullFormatter())
