"""Kernels of the Gaussian field: fill H, T, s from the tape's workspace, and the way back."""

from __future__ import annotations

from dagmodels.numerics.compiled import kernel

_FILL = "f8[::1], i8[::1], i4[::1], i8[::1], f8[::1], i4[::1], i4[::1], i4[::1], i4[::1], f8[::1]"


@kernel(f"void({_FILL}, f8[::1], f8[::1], f8[::1])")
def fill(w, s_from, t_place, t_from, t_value, h_place, h_weight, h_left, h_right, h_value, s, T, H):
    """s_i = w[s_from], T[place] += value w[from], H[place] += value w[weight] w[left] w[right].

    T is zero elsewhere: what nobody writes is never touched, which in a long tail is nearly all of it.
    """
    for i in range(s.size):
        s[i] = w[s_from[i]]
    for k in range(t_place.size):
        T[t_place[k]] = 0.0
    H[:] = 0.0
    for k in range(t_place.size):
        T[t_place[k]] += t_value[k] * w[t_from[k]]
    for k in range(h_place.size):
        H[h_place[k]] += h_value[k] * w[h_weight[k]] * w[h_left[k]] * w[h_right[k]]


@kernel(f"void({_FILL}, f8[::1], f8[::1], f8[::1], f8[::1])")
def fill_adjoint(
    w, s_from, t_place, t_from, t_value, h_place, h_weight, h_left, h_right, h_value, sb, Tb, Hb, g
):
    """Add to g, the adjoints of the workspace, what `fill` sends back.

    Neighbours in the lists mostly share their factors: sums are kept out of memory while these stay.
    """
    for i in range(sb.size):
        g[s_from[i]] += sb[i]
    for k in range(t_place.size):
        g[t_from[k]] += t_value[k] * Tb[t_place[k]]
    at, left_at, right_at = 0, 0, 0
    own, left_own, right_own = 0.0, 0.0, 0.0
    for k in range(h_place.size):
        if h_weight[k] != at:
            g[at] += own
            at, own = h_weight[k], 0.0
        if h_left[k] != left_at:
            g[left_at] += left_own
            left_at, left_own = h_left[k], 0.0
        if h_right[k] != right_at:
            g[right_at] += right_own
            right_at, right_own = h_right[k], 0.0
        b = Hb[h_place[k]] * h_value[k]
        if b != 0.0:
            wk, left, right = w[at], w[left_at], w[right_at]
            own += b * left * right
            left_own += b * wk * right
            right_own += b * wk * left
    g[at] += own
    g[left_at] += left_own
    g[right_at] += right_own


@kernel("void(i8[::1], i8[::1], f8[::1], f8[:, ::1])")
def propagate(child, parent, value, columns):
    """columns[child] += value * columns[parent], in the order given (parents complete first)."""
    for k in range(child.size):
        for c in range(columns.shape[1]):
            columns[child[k], c] += value[k] * columns[parent[k], c]
