"""Data frames, arrays, lists and dictionaries as CSV text, and results in their form.

The text is what the command reads, and the compiled part reads it with the same code: the
same columns count, the same rows are refused. No library is imported for it. A data frame is
what has `columns`, an array what has `tolist`.
"""
import csv
import io
import sys
from collections.abc import Mapping
from numbers import Real

from ._regmix import column_of_runs

FORMS = (
    "expected a data frame, {run: {name: number}}, [{name: number}], {name: [number]}, or rows "
    "of numbers"
)


class Table:
    """CSV text with the names of its rows, and the way back to the form that was given."""

    def __init__(self, what, text, rows, back):
        self.what, self.text, self.rows, self.back = what, text, rows, back

    def plain(self):
        """What the compiled part takes."""
        return {"what": self.what, "text": self.text, "rows": [str(row) for row in self.rows]}


def table(given, names, what):
    """A table in any form. `names` are the columns of forms that have none; `what` is
    `mixtures`, `losses` or `natural`, and stands in errors."""
    if hasattr(given, "columns"):
        return _of_frame(given, what)
    if hasattr(given, "to_frame") and hasattr(given, "index"):
        return _of_series(given, what)
    if isinstance(given, Mapping):
        return _of_mapping(given, what)
    if isinstance(given, (str, bytes)) or not hasattr(given, "__iter__"):
        raise TypeError(f"{what}: {_type(given)}; {FORMS}")
    return _of_rows(given, names, what)


def numbers(given, what):
    """{name: number} of a dictionary or a series; None is a number that is missing."""
    if not hasattr(given, "items"):
        raise TypeError(f"{what}: {_type(given)}; expected a dictionary, {{name: number}}")
    out = {}
    for name, value in given.items():
        try:
            out[str(name)] = float("nan") if value is None else float(value)
        except (TypeError, ValueError):
            raise TypeError(f"{what}: `{name}` is {value!r}; expected a number") from None
    return out


def _of_frame(frame, what):
    if hasattr(frame, "index"):
        return _of_pandas(frame, what)

    def back(names, rows):  # polars
        return type(frame)({name: [row[j] for row in rows] for j, name in enumerate(names)})

    return Table(what, _by_name_or_number(frame.columns, frame.rows()), range(len(frame)), back)


def _of_pandas(frame, what):
    """Runs are the index, unless that is of row numbers beside a column of runs."""

    def back(names, rows):
        return type(frame)(rows, index=frame.index, columns=names)

    index = frame.index
    numbers = index.name is None and getattr(index.dtype, "kind", "") in "iu"
    key = column_of_runs([str(name) for name in frame.columns]) if numbers else None
    if key is None:
        text = frame.to_csv(index_label="run" if index.nlevels == 1 else None)
    else:
        order = [key, *(j for j in range(len(frame.columns)) if j != key)]
        text = frame.iloc[:, order].to_csv(index=False)
    return Table(what, text, list(index), back)


def _of_series(series, what):
    if what == "losses":
        name = "loss" if series.name is None else series.name
        return _of_frame(series.to_frame(name), what)

    def back(names, rows):
        return type(series)(rows[0], index=names)

    return Table(what, _numbered(series.index, [series.tolist()]), [], back)


def _of_mapping(given, what):
    values = list(given.values())
    if not values:
        raise ValueError(f"{what}: an empty dictionary; {FORMS}")
    if all(_is_number(value) for value in values):
        if what == "losses":  # {run: loss}
            return Table(what, _text(["run", "loss"], given.items()), list(given), None)

        def back(names, rows):
            return dict(zip(names, rows[0]))

        return Table(what, _numbered(given, [values]), [], back)
    if all(isinstance(value, Mapping) for value in values):

        def back(names, rows):
            return {run: dict(zip(names, row)) for run, row in zip(given, rows)}

        names, rows = _aligned(values)
        text = _text(["run", *names], ([run, *row] for run, row in zip(given, rows)))
        return Table(what, text, list(given), back)
    if all(hasattr(value, "__len__") and not isinstance(value, (str, Mapping)) for value in values):
        return _of_columns(given, what)
    raise TypeError(f"{what}: a dictionary of {', '.join(sorted({_type(v) for v in values}))}; {FORMS}")


def _of_columns(given, what):
    """{name: [number]}"""
    lengths = {name: len(column) for name, column in given.items()}
    first, expected = next(iter(lengths.items()))
    for name, length in lengths.items():
        if length != expected:
            raise ValueError(
                f"{what}: `{name}` has {length} values, expected {expected} as `{first}` has"
            )

    def back(names, rows):
        return {name: [row[j] for row in rows] for j, name in enumerate(names)}

    return Table(what, _by_name_or_number(given, zip(*given.values())), range(expected), back)


def _of_rows(given, names, what):
    back = _array_like(given)
    rows = given.tolist() if hasattr(given, "tolist") else list(given)
    if not rows:
        raise ValueError(f"{what}: no rows, expected at least one")
    if all(isinstance(row, Mapping) for row in rows):
        names, rows = _aligned(rows)

        def back(names, rows):
            return [dict(zip(names, row)) for row in rows]

        return Table(what, _by_name_or_number(names, rows), range(len(rows)), back)
    if all(_is_number(row) for row in rows):
        if what != "losses" and names is not None:  # One mixture.
            single = [_fitting(rows, names, what, "")]
            return Table(what, _numbered(names, single), [], lambda n, r: back(n, r[0]))
        rows = [[row] for row in rows]
        names = names if names is not None else ["loss"]
    for i, row in enumerate(rows):
        if isinstance(row, (str, bytes, Mapping)) or not hasattr(row, "__iter__"):
            raise TypeError(f"{what}, row {i}: {_type(row)}, expected a list of numbers")
    rows = [list(row) for row in rows]
    if names is None:
        word = "target" if what == "losses" else "domain"
        names = [f"{word}_{j}" for j in range(len(rows[0]))]
    rows = [_fitting(row, names, what, f", row {i}") for i, row in enumerate(rows)]
    return Table(what, _numbered(names, rows), range(len(rows)), back)


def _fitting(row, names, what, place):
    if len(row) != len(names):
        raise ValueError(
            f"{what}{place}: {len(row)} numbers, expected {len(names)}: "
            f"{', '.join(map(str, names))}"
        )
    return row


def _aligned(mappings):
    """Names of all dictionaries, and rows; None where one lacks a name."""
    names = list(dict.fromkeys(name for row in mappings for name in row))
    return names, [[row.get(name) for name in names] for row in mappings]


def _by_name_or_number(names, rows):
    """Text with the names of runs, where a column holds them, or with row numbers."""
    names = [str(name) for name in names]
    key = column_of_runs(names)
    if key is None:
        return _numbered(names, rows)
    order = [key, *(j for j in range(len(names)) if j != key)]
    return _text([names[j] for j in order], ([row[j] for j in order] for row in rows))


def _numbered(names, rows):
    return _text(["run", *names], ([i, *row] for i, row in enumerate(rows)))


def _text(header, rows):
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([row[0], *map(_cell, row[1:])] for row in rows)
    return out.getvalue()


def _cell(value):
    """Numbers of any library as Python's own, which are written to the last digit."""
    if value is None or isinstance(value, (float, int, str)):
        return value
    try:
        return float(value)
    except (TypeError, ValueError):
        return str(value)


def _is_number(value):
    return value is None or isinstance(value, Real) or (
        hasattr(value, "__float__") and not hasattr(value, "__len__")
    )


def _type(value):
    return type(value).__name__


def _array_like(given):
    """Results are arrays where an array was given, and lists otherwise."""
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(given, numpy.ndarray):
        return lambda names, rows: numpy.asarray(rows)
    return lambda names, rows: rows
