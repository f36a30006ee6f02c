"""Checks an extension script for rules that pgspot does not know, and writes a
copy that pgspot can read.

    check_script.py <script> <copy>

Rules: each function, procedure and aggregate says whether it is PARALLEL safe;
nothing is created with OR REPLACE or IF NOT EXISTS; everything created is
qualified with its schema; no function is SECURITY DEFINER.

The copy differs from the script in this: pgspot fails on SQL-standard function
bodies, so such a body becomes a string there, with the search_path under which
the script, and so that body, is parsed.
"""

import re
import sys

from pglast import ast, parse_sql
from pglast.stream import RawStream


def problems_of(statement):
    """The rules that one statement breaks."""
    kind = type(statement).__name__
    if isinstance(statement, ast.CreateFunctionStmt):
        name = [part.sval for part in statement.funcname]
        options = {option.defname: option.arg for option in statement.options or ()}
        # Procedures have no such marking.
        if "parallel" not in options and not statement.is_procedure:
            yield "no PARALLEL marking", name
        if "security" in options and options["security"].boolval:
            yield "SECURITY DEFINER", name
        if statement.replace:
            yield "OR REPLACE", name
        if len(name) != 2:
            yield "not qualified", name
    elif isinstance(statement, ast.DefineStmt):
        name = [part.sval for part in statement.defnames]
        options = {option.defname for option in statement.definition or ()}
        if "AGGREGATE" in statement.kind.name and "parallel" not in options:
            yield "no PARALLEL marking", name
        if statement.replace:
            yield "OR REPLACE", name
        if statement.if_not_exists:
            yield "IF NOT EXISTS", name
        if len(name) != 2:
            yield "not qualified", name
    elif isinstance(statement, ast.CreateStmt):
        yield "a table (storage is made by cdp.setup())", [statement.relation.relname]
    elif isinstance(statement, ast.ViewStmt):
        name = [statement.view.schemaname, statement.view.relname]
        if statement.replace:
            yield "OR REPLACE", name
        if not statement.view.schemaname:
            yield "not qualified", name
    elif getattr(statement, "if_not_exists", False):
        yield "IF NOT EXISTS", [kind]
    elif isinstance(statement, ast.DoStmt):
        yield "a DO block", [kind]


def with_string_body(statement):
    """The statement as text, its SQL-standard body as a string."""
    body = statement.sql_body
    if isinstance(body, ast.ReturnStmt):
        text = "SELECT " + RawStream()(body.returnval)
    else:
        parts = body[0] if isinstance(body, tuple) and len(body) == 1 and isinstance(body[0], tuple) else body
        text = "; ".join(RawStream()(part) for part in parts)
    statement.sql_body = None
    header = RawStream()(statement)
    return header + " SET search_path TO pg_catalog, pg_temp AS $body_as_string$" + text + "$body_as_string$"


def main(script, copy):
    text = open(script, encoding="utf8").read()
    if "\\echo Use " not in text.split("\n\n")[0]:
        print(f"{script}: does not begin with the guard against psql")
        return 1
    # psql's line, and the macro that CREATE EXTENSION expands
    text = re.sub(r"^\\echo.*$", "", text, flags=re.MULTILINE).replace("@extowner@", "extension_owner")
    text = text.replace("@extschema@", "cdp")
    data = text.encode()

    failed = False
    out = []
    first_object = None
    for raw in parse_sql(text):
        end = raw.stmt_location + raw.stmt_len if raw.stmt_len else len(data)
        statement = raw.stmt
        line = data[: raw.stmt_location].count(b"\n") + 1
        for problem, name in problems_of(statement):
            print(f"{script}, after line {line}: {'.'.join(part or '' for part in name)}: {problem}")
            failed = True
        if first_object is None and not isinstance(statement, ast.VariableSetStmt):
            first_object = statement
        if isinstance(statement, ast.CreateFunctionStmt) and statement.sql_body is not None:
            out.append(with_string_body(statement))
        else:
            out.append(data[raw.stmt_location:end].decode())
    if script.count("--") == 1 and not isinstance(first_object, ast.CreateSchemaStmt):
        print(f"{script}: the first statement does not create the schema")
        failed = True
    with open(copy, "w", encoding="utf8") as file:
        file.write(";\n".join(out) + ";\n")
    return 1 if failed else 0


sys.exit(main(*sys.argv[1:]))
