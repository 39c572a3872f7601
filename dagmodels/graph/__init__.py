"""The language of models: plates, statements and expressions, read, checked and printed.

parsing, scanning, actions, syntax   text -> unresolved statements
build, resolve, laws, validate/      names resolved, every static fault at once -> Dag
dag, plate, statement, expression    the frozen values
scope                                which plates are bound, which stay whole
printing                             Dag -> text
builder, constructors                the same from Python
functions, calculus                  what expressions compute, and their derivatives
"""
