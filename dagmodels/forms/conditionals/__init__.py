"""Draws element by element: for every unknown a rule that draws it given everything else, and their schedule.

`state` lays all unknown values out in one array at the start of a tape; a rule (one a file) recognises
elements that it can draw and records what it needs on that tape; `schedule` puts the updates in order and
says which operations each has to run again. `numerics.sweep_steps` walks it.
"""
