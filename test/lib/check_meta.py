#!/usr/bin/env python3
"""Checks META.json against the PGXN Meta Specification 1.0.0.

    check_meta.py META.json version

Prints what is wrong and exits with 1.  What is checked: the required keys and
their forms, semantic versions, the version of cdp.control, and that the files
that it names are there.
"""
import json
import os
import re
import sys

path, version = sys.argv[1:]
folder = os.path.dirname(os.path.abspath(path))
with open(path, encoding="utf-8") as file:
    meta = json.load(file)
wrong = []

SEMANTIC = re.compile(r"(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)(-[0-9A-Za-z.-]+)?\Z")
TERM = re.compile(r"[^\s/\\\x00-\x1f]{2,}\Z")
KNOWN = {
    "name", "version", "abstract", "maintainer", "license", "provides", "meta-spec", "description", "prereqs", "no_index",
    "release_status", "resources", "generated_by", "tags",
}
PHASES = {"configure", "build", "test", "runtime", "develop"}
RELATIONS = {"requires", "recommends", "suggests", "conflicts"}


def check(condition, message):
    if not condition:
        wrong.append(message)


for key in ("name", "version", "abstract", "maintainer", "license", "provides", "meta-spec"):
    check(meta.get(key), f"{key} is missing")
for key in meta:
    check(key in KNOWN or key.lower().startswith("x_"), f"unknown key {key}")
check(TERM.match(meta.get("name", "")), "name is no term")
check(meta.get("version") == version and SEMANTIC.match(version), f"version is not {version}, or not semantic")
maintainers = meta.get("maintainer", [])
check(all(isinstance(m, str) and m for m in ([maintainers] if isinstance(maintainers, str) else maintainers)), "maintainer is no list of texts")
license_ = meta.get("license")
check(
    isinstance(license_, str) or isinstance(license_, list)
    or isinstance(license_, dict) and all(re.match(r"https?://", url) for url in license_.values()),
    "license is neither a name nor names with URLs",
)
for name, extension in meta.get("provides", {}).items():
    check(TERM.match(name), f"provides {name}: no term")
    check(SEMANTIC.match(extension.get("version", "")), f"provides {name}: version is not semantic")
    check(extension.get("version") == version, f"provides {name}: version is not {version}")
    check("file" in extension, f"provides {name}: file is missing")
    for key in ("file", "docfile"):
        check(key not in extension or os.path.exists(os.path.join(folder, extension[key])), f"provides {name}: no such {key}")
check(meta.get("meta-spec", {}).get("version") == "1.0.0", "meta-spec is not 1.0.0")
check(meta.get("release_status", "stable") in ("stable", "testing", "unstable"), "release_status is none")
for phase, relations in meta.get("prereqs", {}).items():
    check(phase in PHASES, f"prereqs: unknown phase {phase}")
    for relation, names in relations.items():
        check(relation in RELATIONS, f"prereqs: unknown relation {relation}")
        for name, needed in names.items():
            check(needed == 0 or SEMANTIC.match(str(needed)), f"prereqs: version of {name} is not semantic")
check(all(isinstance(tag, str) and 1 <= len(tag) <= 255 and not re.search(r"[/\\\x00-\x1f]", tag) for tag in meta.get("tags", [])), "tags are no terms")

print("\n".join(wrong), end="\n" if wrong else "")
sys.exit(bool(wrong))
