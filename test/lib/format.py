"""Formats C sources in PostgreSQL's style: clang-format with .clang-format, then
what clang-format cannot do and pgindent does: names in declarations and comments
behind code stand in fixed columns, reached by tabs.

    format.py [--check] file ...

With --check, nothing is written; files that would change are listed, with their
first differences, and the exit status is 1.
"""

import difflib
import re
import subprocess
import sys

TAB = 4
NAME_COLUMN = 12  # from the indentation of the block
COMMENT_COLUMN = 32

TYPE = r"(?:(?:const|static|volatile|register|extern|unsigned|signed|struct|enum|union|PGDLLEXPORT)\s+)*[A-Za-z_]\w*(?:\s+(?:int|long|char|short|const))*"
DECLARATION = re.compile(r"^(\t*)(" + TYPE + r")\s+(\**)([A-Za-z_]\w*(?:\[[^\]]*\])*(?:\s*:\s*\d+)?(?:;| = .*|,.*;))$")
NOT_A_TYPE = {"return", "goto", "else", "case", "typedef", "break", "continue", "do", "using", "namespace", "delete", "new", "throw", "extern", "static", "const", "struct", "enum", "union"}
COMMENT = re.compile(r"^(.*\S)\s*(/\*(?:[^*]|\*(?!/))*(?:\*/)?)$")


def width(text):
    """The column after text."""
    column = 0
    for character in text:
        column = (column // TAB + 1) * TAB if character == "\t" else column + 1
    return column


def reach(column, target):
    """The white space from one column to another: tabs, then blanks."""
    if column >= target:
        return " "
    filler = ""
    while (column // TAB + 1) * TAB <= target:
        filler += " " if target - column == 1 and column % TAB == TAB - 1 and not filler else "\t"
        column = (column // TAB + 1) * TAB
    return filler + " " * (target - column)


def align(line):
    """One line, without its newline, with its declaration and comment in place."""
    if line.lstrip("\t").startswith("*") or line.endswith("\\"):
        return line
    comment = None
    match = COMMENT.match(line)
    if match and not match.group(1).endswith(("*/", '"')):
        line, comment = match.groups()
    match = DECLARATION.match(line)
    if match and ("=" in match.group(4) or line.count("(") == line.count(")")):
        indent, kind, stars, rest = match.groups()
        if kind.split()[0] not in NOT_A_TYPE or (len(kind.split()) > 1 and kind.split()[0] in ("static", "const", "struct", "enum", "union", "extern") and kind.split()[-1] not in ("const", "static", "struct", "enum", "union", "extern")):
            start = indent + kind
            # The stars stand left of the name's column.
            target = width(indent) + NAME_COLUMN - len(stars)
            line = start + reach(width(start), target) + stars + rest
    if comment is not None:
        column = width(line)
        if column < COMMENT_COLUMN:
            line += reach(column, COMMENT_COLUMN) + comment
        else:
            line += reach(column, (column // TAB + 1) * TAB) + comment
    return line


# Lines in which the author's columns stand, where clang-format changed nothing
# else: tables of macros, and declarations that are no variables.
COLUMNS_KEPT = re.compile(r"^\t*(#|extern |typedef |\}\s+\w|.*\(\*\w+\) ?\(|.*\\$)")


def formatted(path, text):
    """The file as it ought to be."""
    kept = {}
    for line in text.split("\n"):
        if COLUMNS_KEPT.match(line):
            kept.setdefault(re.sub(r"\s", "", line), line)
    result = subprocess.run(["clang-format", path], check=True, capture_output=True, text=True).stdout
    lines = []
    for line in result.split("\n")[:-1]:
        original = kept.get(re.sub(r"\s", "", line)) if COLUMNS_KEPT.match(line) else None
        lines.append(align(line) if original is None else original)
    return "\n".join(lines) + "\n"


def main(arguments):
    check = arguments[:1] == ["--check"]
    status = 0
    for path in arguments[1:] if check else arguments:
        with open(path, encoding="utf8") as file:
            before = file.read()
        after = formatted(path, before)
        if after == before:
            continue
        if check:
            status = 1
            difference = list(difflib.unified_diff(before.splitlines(), after.splitlines(), path, path + " (formatted)", lineterm="", n=0))
            print("\n".join(difference[:12]))
        else:
            with open(path, "w", encoding="utf8") as file:
                file.write(after)
    return status


sys.exit(main(sys.argv[1:]))
