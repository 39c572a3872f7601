"""What lavaan's defaults added to a text, or fixed in it, as lines to read."""

from __future__ import annotations

from dagmodels.readers.lavaan.rows import Row, Table

_OFF = {
    "auto_var": "auto_var=False fixes variances that are not written at zero",
    "auto_cov_lv_x": "auto_cov_lv_x=False",
    "auto_cov_y": "auto_cov_y=False",
    "auto_fix_first": "auto_fix_first=False, or write NA* before the first indicator",
    "auto_fix_single": "auto_fix_single=False, or write the variance",
    "auto_th": "auto_th=False",
    "auto_delta": "auto_delta=False",
    "std_lv": "std_lv=False",
    "fixed_x": "fixed_x=False estimates them",
    "meanstructure": "meanstructure=False, where nothing else asks for means",
    "int_ov_free": "int_ov_free=True frees them",
    "int_lv_free": "int_lv_free=True frees them",
    "orthogonal": "orthogonal=False",
    "orthogonal_x": "orthogonal_x=False",
    "orthogonal_y": "orthogonal_y=False",
    "group_equal": "group_equal, which identifies them",
    "effect_coding": "effect_coding=False",
    "parameterization": "write the scale or variance",
    "ordered": "write the intercept",
    "composite": "write the variance of the composite",
    "level": "the same intercept stands between",
}


def explain(table: Table) -> str:
    """Every row that a default added or fixed, by default, with how to turn it off."""
    added: dict[str, list[Row]] = {}
    changed: dict[str, list[Row]] = {}
    for row in table.rows:
        if row.added:
            added.setdefault(row.added, []).append(row)
        if row.fixed_by and row.fixed_by != row.added:
            changed.setdefault(row.fixed_by, []).append(row)
    lines: list[str] = []
    for title, found in (("Added by defaults:", added), ("Fixed or freed by defaults:", changed)):
        if not found:
            continue
        lines.append(title)
        for name, rows in found.items():
            lines.append(f"  {name}  (off: {_OFF.get(name, name + '=False')})")
            lines += [f"    {_line(row, table)}" for row in rows]
    if not lines:
        lines.append("No default added or fixed anything.")
    return "\n".join([*lines, *(f"Note: {note}." for note in table.notes)])


def _line(row: Row, table: Table) -> str:
    group = f" [{table.groups[row.group - 1]}]" if len(table.groups) > 1 and row.group else ""
    text = f"{row.lhs} ~ 1" if row.op == "~1" else f"{row.lhs} {row.op} {row.rhs}"
    if row.exogenous:
        return f"{text}{group}: that of the data"
    if row.op == "==":
        return text
    return f"{text}{group}: {'free' if row.free else f'fixed at {row.value or 0:g}'}"
