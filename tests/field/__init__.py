"""What people in the field reported, each case as they ran it: through the installed command.

`python -m tests.field` prints a table of all cases. Their inputs are fixtures/field_* and fixtures/field/.
"""
