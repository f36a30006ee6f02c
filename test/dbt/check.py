"""Builds the example project of the dbt package, and looks at what came of it.

Called by test/dbt/run in an environment that has dbt, on a server where the caller
is a superuser.  A database and the roles of dbt/example/grants.sql are made, and
removed at the end; dbt itself runs as these roles, none of them a superuser.  Each
assertion is a line "ok ..." or "not ok ...".
"""

import difflib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg2
from dbt.cli.main import dbtRunner

TOP = Path(__file__).resolve().parents[2]
PACKAGE = TOP / "dbt"
DATABASE = "shop"
ROLES = ("dbt_production", "dbt_developer", "dbt_reader", "cdp_owner")
failures = 0


# ---------- assertions ----------

def ok(condition, name, *details):
    global failures
    if not condition:
        failures += 1
    print(f"{'ok' if condition else 'not ok'} - {name}", flush=True)
    if not condition:
        for detail in details:
            print("# " + str(detail).replace("\n", "\n# "), flush=True)
    return condition


def equal(got, expected, name):
    return ok(got == expected, name, f"got:      {got}", f"expected: {expected}")


def contains(text, part, name):
    return ok(part in text, name, f"got: {text}", f"which lacks: {part}")


# ---------- the server ----------

def connect(database=DATABASE, role=None):
    connection = psycopg2.connect(dbname=database, user=os.environ.get("PGUSER", "postgres"))
    connection.autocommit = True
    if role:
        connection.cursor().execute(f"SET ROLE {role}")
    return connection


class Database:
    def __init__(self):
        self.connection = connect()

    def run(self, sql):
        with self.connection.cursor() as cursor:
            cursor.execute(sql)

    def rows(self, sql):
        with self.connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall()

    def value(self, sql):
        return self.rows(sql)[0][0]

    def platform(self):
        """All of the storage, as a checksum of each table: what a developer must not change."""
        tables = self.rows("SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname = 'cdp_data' ORDER BY 1")
        return {name: self.value(f"SELECT md5(COALESCE(string_agg(t::text, '|' ORDER BY t::text), '')) FROM {name} AS t") for (name,) in tables}


def drop_everything():
    connection = connect("postgres")
    cursor = connection.cursor()
    cursor.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
    for role in ROLES:
        cursor.execute("SELECT FROM pg_roles WHERE rolname = %s", (role,))
        if cursor.fetchone() is not None:
            cursor.execute(f"DROP ROLE {role}")
    connection.close()


def create_database():
    """What dbt/example/grants.sql says, by who may create roles and databases."""
    connection = connect("postgres")
    connection.cursor().execute(f"CREATE DATABASE {DATABASE}")
    connection.close()
    connection = connect()
    connection.cursor().execute((PACKAGE / "example/grants.sql").read_text())
    connection.cursor().execute("CREATE ROLE dbt_reader")
    connection.close()


# ---------- dbt ----------

class Run:
    """The outcome of one call of dbt: status and message of each node by its name."""

    def __init__(self, outcome, output):
        self.success = outcome.success
        self.output = output + ("" if outcome.exception is None else f"\n{outcome.exception}")
        self.nodes = {}
        for result in getattr(outcome.result, "results", None) or []:
            self.nodes[result.node.name] = result

    def status(self, name):
        return str(self.nodes[name].status) if name in self.nodes else "did not run"

    def message(self, name):
        return str(self.nodes[name].message) if name in self.nodes else "did not run"

    def failed(self):
        return sorted(f"{name}: {node.message}" for name, node in self.nodes.items() if str(node.status) in ("error", "fail", "runtime error"))


class Project:
    def __init__(self, folder):
        # The package with its example, in a copy: dbt writes into the project's folder.
        shutil.copytree(PACKAGE, folder / "dbt", ignore=shutil.ignore_patterns("target", "dbt_packages", "logs", "package-lock.yml"))
        self.folder = folder / "dbt/example"

    def path(self, name):
        return self.folder / name

    def dbt(self, *arguments, target="prod", fails=False, role=None):
        """Calls dbt; unless it is to fail, that is an assertion."""
        lines = []
        runner = dbtRunner(callbacks=[lambda event: lines.append(event.info.msg) if event.info.level in ("info", "warn", "error") else None])
        # Each target keeps what it parsed.
        options = [] if arguments[0] == "deps" else ["--target", target, "--target-path", str(self.folder / "target" / target)]
        role = role or ("dbt_production" if target == "prod" else "dbt_developer")
        # dbt/example/profiles.yml: who connects, and whose schema a developer's target has
        os.environ["DBT_USER"] = role
        os.environ["USER"] = role.removeprefix("dbt_")
        outcome = runner.invoke(["--quiet", "--no-use-colors", "--no-version-check", *arguments, "--project-dir", str(self.folder),
                                 "--profiles-dir", str(self.folder), *options])
        run = Run(outcome, "\n".join(lines))
        if not fails:
            ok(run.success, f"dbt {' '.join(arguments)} ({target})", run.output, *run.failed())
        return run


# ---------- the tests ----------

def check_documents(database):
    views = subprocess.run(["psql", "-XAtq", "-d", DATABASE, "-f", TOP / "test/dbt/views.sql"], capture_output=True, text=True, check=True).stdout
    stored = (PACKAGE / "models/cdp.yml").read_text()
    ok(stored == views, "dbt/models/cdp.yml has the comments of the views (otherwise: make sql-reference)",
       *difflib.unified_diff(stored.splitlines(), views.splitlines(), lineterm="", n=0))

    page = (TOP / "docs/dbt.md").read_text()
    shown = re.findall(r"^`(dbt/[^`]+)`\n\n```\w+\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    ok(len(shown) > 15, "docs/dbt.md shows the files of the example")
    equal([name for name, text in shown if not (TOP / name).exists() or text != (TOP / name).read_text()], [], "what docs/dbt.md shows are these files")

    package = "".join(path.read_text() for path in sorted(PACKAGE.rglob("*.sql")) if "example" not in path.relative_to(PACKAGE).parts)
    made = {("" if kind == "macro" else kind + "_") + name + ("_postgres" if kind == "materialization" else "")
            for kind, name in re.findall(r"{%-? (macro|test|materialization) (\w+)", package)}
    described = dict(re.findall(r"^  - name: (\w+)\n    description: \"(.*)\"$", (PACKAGE / "macros/macros.yml").read_text(), re.MULTILINE))
    equal(sorted(made), sorted(described), "dbt/macros/macros.yml describes each macro")
    names = [re.sub("^(test_)|^(materialization_)", lambda m: "cdp." if m[1] else "`", name).removesuffix("_postgres")
             for name, description in described.items() if not description.startswith("Part of")]
    equal([name for name in names if name not in page], [], "docs/dbt.md has each of them that is meant to be called")


def check_first_build(project, database):
    project.dbt("deps")
    run = project.dbt("build")
    equal(run.failed(), [], "nothing failed")
    equal("in the yaml for macro" in run.output, False, "what the package says of its macros' arguments is what they take")
    equal(database.rows(f"SELECT rolname FROM pg_roles WHERE rolname IN {ROLES} AND rolsuper"), [], "none of the roles is a superuser")
    equal(database.rows("SELECT source, status, rejected FROM cdp.sources ORDER BY 1"), [("crm", "ok", 0), ("orders", "ok", 0), ("web", "ok", 0)], "the sources are read")
    equal(database.rows("SELECT source, status FROM analytics.customer_refresh ORDER BY 1"), [("crm", "ok"), ("orders", "ok"), ("web", "ok")], "the refresh model has a row for each source")
    ok(database.value("SELECT count(DISTINCT xmin::text) = count(*) FROM cdp_data.refresh_log"), "cdp.refresh commits each step")
    contains(run.output, "source crm (full): ok, 120 rows read, 119 new", "dbt's output says what the refresh did")
    ok(database.value("SELECT count(*) > 100 AND bool_and(lifetime_value > 0) FROM analytics.customer_lifetime_value"), "each customer has a lifetime value")
    ok(database.value("SELECT bool_and((purchase_model::jsonb->>'converged')::boolean AND (spend_model::jsonb->>'converged')::boolean) FROM analytics.lifetime_models"), "the models converged")
    equal(database.value("SELECT count(*) FROM analytics.contact_profiles"), 120, "the toolkit's components: a person for each contact")


AUDIENCE = "SELECT profile_id FROM analytics.{} ORDER BY 1"


def check_audiences(database):
    equal(database.rows("SELECT name, status FROM cdp.segments ORDER BY 1"), [("high_value", "ok"), ("lapsed_vip", "ok"), ("newsletter", "ok")], "audiences are segments")
    for name in ("lapsed_vip", "newsletter", "high_value"):
        ok(database.value(f"SELECT count(*) > 3 FROM analytics.{name}"), f"{name} has people in it")
        equal(database.rows(AUDIENCE.format(name)), database.rows(f"SELECT profile_id FROM cdp.segment_members WHERE segment = '{name}' ORDER BY 1"), f"{name} has the members of the segment")
    equal(database.rows(AUDIENCE.format("lapsed_vip")), database.rows("""
        SELECT profile_id FROM cdp.profiles JOIN cdp.events USING (profile_id)
        WHERE country IN ('DE', 'AT', 'CH') GROUP BY profile_id
        HAVING sum(amount) FILTER (WHERE event_name = 'purchase' AND NOT is_refunded) > 400
           AND count(*) FILTER (WHERE occurred_at > now() - interval '60 days') = 0 ORDER BY 1"""), "lapsed_vip is who the same GROUP BY finds")
    columns = "SELECT string_agg(attname, ',' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'analytics.{}'::regclass AND attnum > 0"
    equal(database.value(columns.format("lapsed_vip")), "profile_id,entered_at,email,phone,crm_id,first_name,country", "columns of an audience")
    for name in ("lapsed_vip", "high_value"):
        equal(database.value(f"SELECT count(*) FROM pg_index WHERE indrelid = 'analytics.{name}'::regclass AND indisunique AND indkey::text = '1'"), 1, f"{name} is unique on profile_id")
    equal(database.value("SELECT relkind::text FROM pg_class WHERE oid = 'analytics.newsletter'::regclass"), "v", "newsletter is a view")


def check_second_run(project, database):
    """One order and one contact more or less: what is rebuilt, and what stays."""
    files = "SELECT relname, oid::text FROM pg_class WHERE relnamespace = 'analytics'::regnamespace AND relname IN ('stg_orders', 'stg_contacts', 'lapsed_vip', 'high_value') ORDER BY 1"
    before = dict(database.rows(files))
    ids = database.rows("SELECT namespace, value, profile_id FROM cdp.identifiers ORDER BY 1, 2")
    versions = dict(database.rows("SELECT profile_id, xmin::text FROM analytics.lapsed_vip"))
    (leaves, email), (changes, crm_id) = database.rows(
        "SELECT profile_id, email FROM analytics.lapsed_vip WHERE email IS NOT NULL ORDER BY 1 LIMIT 1")[0], database.rows(
        "SELECT profile_id, crm_id FROM analytics.lapsed_vip WHERE crm_id IS NOT NULL ORDER BY 1 DESC LIMIT 1")[0]
    database.run(f"""
        INSERT INTO analytics.raw_orders (number, email, loyalty_card, total, status, ordered_at, changed_at)
        VALUES (9001, '{email}', NULL, 10, 'paid', now() AT TIME ZONE 'Europe/Berlin', now() AT TIME ZONE 'Europe/Berlin');
        UPDATE analytics.raw_contacts SET first_name = 'Renamed', updated_at = now() WHERE id = {crm_id}""")
    run = project.dbt("run")
    equal(run.message("stg_orders"), "INSERT 0 1", "an incremental staging model takes the new row")
    contains(run.output, "source orders (since): ok", "an incremental staging model is read past its watermark")
    contains(run.output, "source crm (full): ok, 120 rows read, 0 new, 1 changed, 0 retracted", "a model that was rebuilt is compared in full")
    contains(run.output, "profiles: 2 brought up to date", "the people concerned are derived")
    equal(run.message("lapsed_vip"), "ADDED 0, CHANGED 1, REMOVED 1", "an incremental audience writes the rows that differ")
    after = dict(database.rows(files))
    equal({name: after[name] == before[name] for name in after}, {"high_value": False, "lapsed_vip": True, "stg_contacts": False, "stg_orders": True}, "which tables are new ones")
    now = dict(database.rows("SELECT profile_id, xmin::text FROM analytics.lapsed_vip"))
    equal(leaves in now, False, "who bought left the audience")
    equal([person for person in now if now[person] != versions[person]], [changes], "no other row was written")
    equal(database.value(f"SELECT first_name FROM analytics.lapsed_vip WHERE profile_id = {changes}"), "Renamed", "and it has the new value")
    equal(database.rows("SELECT namespace, value, profile_id FROM cdp.identifiers ORDER BY 1, 2"), ids, "nobody's id changed, though their table was renamed and dropped")
    equal(database.rows("SELECT source, status FROM cdp.sources ORDER BY 1"), [("crm", "ok"), ("orders", "ok"), ("web", "ok")], "the sources go on")

    declared = database.platform()
    run = project.dbt("run", "--select", "crm", "orders", "web", "lapsed_vip")
    equal(run.message("lapsed_vip"), "ADDED 0, CHANGED 0, REMOVED 0", "where nothing changed, nothing is written")
    changed = [name for name, content in database.platform().items() if content != declared[name]]
    equal(changed, [], "the same declarations change nothing in the platform")


def check_developer(project, database):
    """What a developer runs leaves the platform as it is, whatever their models say."""
    before = database.platform()
    model = project.path("models/audiences/lapsed_vip.sql")
    text = model.read_text()
    model.write_text(text.replace("> 400", "> 100"))
    source = project.path("models/sources/crm.sql")
    source_text = source.read_text()
    source.write_text(source_text.replace("first_name, last_name,", "first_name, last_name, id AS contact_number,"))
    schema = "dbt_developer"
    run = project.dbt("build", target="dev")
    equal(run.failed(), [], "a developer builds everything")
    equal(run.message("crm"), "CHECKED, NOT REGISTERED", "sources are checked")
    equal(run.message("customer_refresh"), "NOT REGISTERED, NOT CALLED", "nothing is refreshed")
    equal([name for name, content in database.platform().items() if content != before[name]], [], "a developer's target changes nothing of the platform")
    more = database.value(f"SELECT count(*) - (SELECT count(*) FROM analytics.lapsed_vip) FROM {schema}.lapsed_vip")
    ok(more > 0, "the developer's audience is what their predicate says", f"{more} more than in production")
    equal(database.rows(f"SELECT profile_id FROM {schema}.high_value ORDER BY 1") != [], True, "a query is an audience, too")
    entered = database.rows(f"SELECT profile_id, entered_at FROM {schema}.lapsed_vip ORDER BY 1")
    run = project.dbt("build", target="dev", role="dbt_production")
    equal(run.failed(), [], "so does somebody who has every right")
    equal([name for name, content in database.platform().items() if content != before[name]], [], "and changes nothing either")
    run = project.dbt("build", "--empty", target="dev", role="dbt_production")
    equal((run.failed(), database.value("SELECT count(*) FROM dbt_production.contact_profiles")), ([], 0), "the example is built without rows")

    model.write_text(text)
    run = project.dbt("run", "--select", "lapsed_vip", target="dev")
    equal(run.message("lapsed_vip"), f"ADDED 0, CHANGED 0, REMOVED {more}", "a developer's incremental audience")
    kept = database.rows(f"SELECT profile_id, entered_at FROM {schema}.lapsed_vip ORDER BY 1")
    equal([row for row in kept if row not in entered], [], "those who stay keep the time at which they entered")
    run = project.dbt("run", "--select", "lapsed_vip", "--vars", "cdp_register: true", target="dev", fails=True)
    contains(run.message("lapsed_vip"), "must be owner of the storage of cdp", "a developer who registers all the same is refused")
    source.write_text(source_text)

    database.run("SELECT cdp.grant_access('dbt_developer', 'writer')")
    run = project.dbt("run", "--select", "customer_refresh", "--vars", "cdp_register: true", target="dev")
    contains(run.output, "source crm (", "a role with writer access refreshes")
    database.run("SELECT cdp.grant_access('dbt_developer', 'reader')")


def check_errors(project, database):
    before = database.platform()
    model = project.path("models/audiences/lapsed_vip.sql")
    text = model.read_text()
    model.write_text(text.replace("profile.country IN", "profile.contry IN"))
    source = project.path("models/sources/crm.sql")
    source_text = source.read_text()
    source.write_text(source_text.replace("country, newsletter", "contry, newsletter"))
    body = project.path("models/sources/web.sql")
    body_text = body.read_text()
    body.write_text(body_text.replace("{{ ref('stg_page_views') }}", "select * from {{ ref('stg_page_views') }}"))
    for target in ("prod", "dev"):
        run = project.dbt("run", "--select", "lapsed_vip", "newsletter", target=target, fails=True)
        equal(run.status("lapsed_vip"), "error", f"a predicate with an error fails ({target})")
        contains(run.message("lapsed_vip"), "column profile.contry does not exist", f"with PostgreSQL's message ({target})")
        contains(run.message("lapsed_vip"), "LINE 1: profile.contry IN ('DE', 'AT', 'CH')\n          ^", f"and the position ({target})")
        equal(run.status("newsletter"), "skipped", f"what builds on it is skipped ({target})")
        run = project.dbt("run", "--select", "crm", "web", target=target, fails=True)
        contains(run.message("crm"), 'column "contry" does not exist', f"a source with an error fails ({target})")
        contains(run.message("crm"), "first_name, last_name, contry, newsletter\n  ", f"and shows the place ({target})")
        contains(run.message("web"), "the body of a cdp_source model is one relation", f"a source over a query is refused ({target})")
    model.write_text(text)
    source.write_text(source_text)
    body.write_text(body_text)
    equal([name for name, content in database.platform().items() if content != before[name]], [], "errors change nothing of the platform")

    database.run("ALTER TABLE analytics.stg_page_views RENAME COLUMN login TO signed_in_as")
    run = project.dbt("run", "--select", "customer_refresh+", fails=True)
    contains(run.message("customer_refresh"), 'refresh failed for "web"', "a source that stops fails the refresh model")
    contains(run.message("customer_refresh"), 'column "login" does not exist', "which says why")
    equal(run.status("customer_rfm"), "skipped", "and what comes after it is skipped")
    database.run("ALTER TABLE analytics.stg_page_views RENAME COLUMN signed_in_as TO login")
    run = project.dbt("run", "--select", "customer_refresh")
    contains(run.output, "source web (", "the next refresh goes on")


def check_tests_fail(project, database):
    """Each of the package's tests finds what it is there for."""
    database.run("""
        INSERT INTO analytics.lapsed_vip (profile_id, entered_at, email) SELECT 999999, now(), upper(email) FROM analytics.lapsed_vip WHERE email IS NOT NULL LIMIT 1""")
    run = project.dbt("test", "--select", "lapsed_vip", fails=True)
    failed = {name.split("_lapsed_vip")[0] for name, node in run.nodes.items() if str(node.status) == "fail"}
    equal(failed, {"cdp_no_orphan", "cdp_unique_identity", "cdp_membership_fresh"}, "tests find an orphan, a shared address and a row that is no member")
    project.dbt("run", "--select", "lapsed_vip")
    project.dbt("test", "--select", "lapsed_vip")
    database.run("UPDATE cdp_data.expression_state SET evaluated_at = evaluated_at - interval '2 hours'")
    run = project.dbt("test", "--select", "lapsed_vip", fails=True)
    equal([name.split("_lapsed_vip")[0] for name, node in run.nodes.items() if str(node.status) == "fail"], ["cdp_membership_fresh"], "a test finds an evaluation that is old")


# Models beside those of the example, for what it has no use of.
OPTIONS = {
    "by_meta.sql": """-- depends_on: {{ ref('customer_refresh') }}
{{ config(materialized='cdp_audience', meta={'owner': 'the CRM team', 'output': 'table', 'columns': ['email', 'Country code']}, alias='known people',
        indexes=[{'columns': ['email']}], grants={'select': ['dbt_developer']}) }}
profile.is_known -- a comment at the end""",
    "divides.sql": """{{ config(materialized='cdp_audience') }}
1 / (profile.event_count - profile.event_count) > 0""",
    "changing.sql": """-- depends_on: {{ ref('customer_refresh') }}
{{ config(materialized='cdp_audience', output=env_var('AUDIENCE_OUTPUT'), include_anonymous=false, columns='Country code',
        grants={'select': [env_var('AUDIENCE_READER')]}) }}
profile.event_count >= 0""",
    "commented.sql": """{{ config(materialized='cdp_audience') }}
/* It's a query /* of no table */ */ -- of the platform's
(select profile_id from cdp.profiles -- "cdp.people
where is_known) union (select null::bigint); -- done;
;""",
    "literals.sql": """{{ config(materialized='cdp_audience') }}
-- It's a predicate
profile.is_known AND 'one
-- two; /* three */' || $a$it's
-- four$a$ <> E'it\\'s
-- five' /* a comment;
of two lines */ AND 'yes;' = 'yes;' -- done
;""",
    "counted.sql": """{{ config(materialized='cdp_audience') }}
(select count(*) from {{ ref('stg_contacts') }}) > 100 AND profile.is_known""",
    "midnight.sql": """{{ config(materialized='cdp_audience', time_zone='Asia/Tokyo') }}
profile.is_known AND to_char(timestamptz '2026-01-01 00:00+00', 'HH24') = '09'""",
    "typed.sql": """{{ config(materialized='cdp_refresh', sources=['crm']) }}
select source, {{ env_var('TYPED') }} as typed from {{ ref('crm') }}""",
    "agreed.sql": """{{ config(materialized='cdp_audience', output='incremental') }}
profile.is_known""",
    "contracted.sql": """{{ config(materialized='cdp_refresh', sources=['crm']) }}
select source from {{ ref('crm') }}""",
    "email.sql": """{{ config(materialized='table') }}
select * from (values ('1', 'e1', 'c', null), ('2', null, null, 'b c'), ('e1', 'e3', null, null)) as v(key, email, ab, a)""",
    "node_edges.sql": """{{ config(materialized='table') }}
{{ cdp.identity_edges(ref('email'), 'key', {'email': 'email', 'a b': 'ab', 'a': 'a'}) }}
union all
{{ cdp.identity_edges(ref('email'), 'key', {'e': 'email'}, source='email 1') }}""",
    "nodes.sql": """select email.key, people.component
from ({{ cdp.connected_components(ref('node_edges')) }}) as people join {{ ref('email') }} as email on people.node = {{ cdp.record_node(ref('email'), 'email.key') }}""",
    "options.yml": """version: 2
models:
  - name: contracted
    config: {contract: {enforced: true}}
    columns:
      - {name: source, data_type: integer}
  - name: agreed
    config: {contract: {enforced: true}}
    columns:
      - {name: email, data_type: text}
      - {name: profile_id, data_type: bigint}
      - {name: entered_at, data_type: timestamp with time zone}
      - {name: phone, data_type: text}
      - {name: crm_id, data_type: text}
  - name: by_meta
    description: "all whose name is 'known'"
    config: {persist_docs: {relation: true, columns: true}}
    columns:
      - {name: crm_id, description: number of the contact}
      - name: profile_id
        data_tests:
          - cdp.no_orphan:
              config: {where: "email is not null"}""",
    "broken.sql": """{{ config(materialized='cdp_source', record_key='profile_id', profile_id='profile_id', traits='1 AS one') }}
{{ ref('customer_rfm_scores') }}""",
    "some.sql": """{{ config(materialized='cdp_refresh', sources=['ids', 'broken'], report_errors=true, full_compare=true,
    pre_hook="HOOK") }}
select * from {{ ref('ids') }} union all select * from {{ ref('broken') }}""",
    "subscribers.sql": """{{ config(materialized='table') }}
select id, email, newsletter from {{ ref('stg_contacts') }} where newsletter""",
    "queued.sql": """{{ config(materialized='cdp_source', source='all "subscribers"', record_key='id', identifiers='email, id AS crm_id', capture='queue') }}
{{ ref('subscribers') }}""",
    "queued_refresh.sql": """{{ config(materialized='cdp_refresh', sources='all "subscribers"') }}
select * from {{ ref('queued') }}""",
    "regions.sql": """-- depends_on: {{ ref('customer_refresh') }}
{{ config(materialized='table') }}
select r.*, nullif(p.country in ('DE', 'AT'), false) as is_near from {{ ref('customer_rfm') }} as r join {{ source('cdp', 'profiles') }} as p using (profile_id)""",
    "region_models.sql": """{{ config(materialized='table') }}
{{ cdp.lifetime_models(ref('regions'), family='pareto_nbd', group_by='is_near', options='cdp.lifetime_options(prior_deviation => 1)') }}""",
    "region_values.sql": """{{ config(materialized='table') }}
{{ cdp.lifetime_value(ref('regions'), ref('region_models'), horizon='90 days', join_by='is_near') }}""",
    "components.sql": """{{ cdp.connected_components(ref('numbers'), node_type='bigint') }}""",
    "numbers.sql": """select * from (values (1, 2), (2, 3), (7, null)) as v(a, b)""",
    "quoted.sql": """select {{ cdp.normalize('email', "'O''Brien+x@Gmail.com'", provider_rules=true) }} as email, {{ cdp.normalize('digits', "'0 1-2'") }} as digits, {{ cdp.normalize('phone', "'+49 30 901820'") }} as phone,
    {{ cdp.literal(["it's", 'b']) }} as texts, {{ cdp.trait_value(cdp.profile_of("it's", 'now()', '1', {"it's": '5'}), "it's", type='bigint') }} as five""",
}


def check_options(project, database):
    folder = project.path("models/options")
    folder.mkdir()
    # What the page shows that is no file of the example.
    page = (TOP / "docs/dbt.md").read_text()
    hook = re.search(r'pre_hook="(.*?)"', page, re.DOTALL)[1]
    shown = {"ids.sql": re.search(r"^```jinja\n([^`]*profile_id='profile_id'[^`]*)^```", page, re.MULTILINE)[1]}
    show = re.search(r'^dbt show --inline "(.*)"$', page, re.MULTILINE)[1]
    for name, text in (OPTIONS | shown).items():
        (folder / name).write_text(("" if name.endswith(".yml") else "{#- " + name + " -#}\n") + text.replace("HOOK", hook) + "\n")
    os.environ |= {"AUDIENCE_OUTPUT": "incremental", "AUDIENCE_READER": "dbt_developer", "TYPED": "1"}
    database.run("ALTER TABLE analytics.raw_contacts ADD COLUMN code text; UPDATE analytics.raw_contacts SET code = country")
    project.path("models/staging/stg_contacts.sql").write_text("select * from {{ ref('raw_contacts') }}")
    source = project.path("models/sources/crm.sql")
    source.write_text(source.read_text().replace("country, newsletter", 'country, newsletter, code AS "Country code"'))
    run = project.dbt("run", "--full-refresh", "--select", "stg_contacts+", "path:models/options", "--exclude", "divides", "ids", "broken", "some", "contracted")
    equal(run.failed(), [], "all models are built by a full refresh")
    contains(run.output, "source orders (full)", "a full refresh compares every source in full")
    equal("WARNING" in run.output, False, "options in meta are read without a warning")
    equal(database.value("SELECT count(*) = (SELECT count(*) FROM cdp.profiles WHERE is_known) AND count(\"Country code\") = 119 FROM analytics.\"known people\""),
          True, "options in meta, a name and a column that need quotes")
    ok(database.value("SELECT has_table_privilege('dbt_developer', 'analytics.\"known people\"', 'SELECT')"), "grants of an audience")
    equal(database.value("SELECT count(*) FROM pg_index WHERE indrelid = 'analytics.\"known people\"'::regclass"), 2, "indexes of an audience")
    equal(database.value("SELECT obj_description(c.oid) || '; ' || col_description(c.oid, 5) FROM pg_class AS c WHERE c.oid = 'analytics.\"known people\"'::regclass"),
          "all whose name is 'known'; number of the contact", "descriptions of an audience and its columns")
    equal(database.rows("SELECT node, component FROM analytics.components ORDER BY 1"), [(1, 1), (2, 1), (3, 1), (7, 7)], "components of numbers")
    equal(database.rows("SELECT email, digits, phone, texts, five FROM analytics.quoted"), [("o'brien@gmail.com", "012", "+4930901820", ["it's", "b"], 5)], "texts with quotes")
    equal(database.rows("SELECT count(*), bool_and((purchase_model::jsonb->>'family') = 'pareto_nbd') FROM analytics.region_models"), [(2, True)], "a model for each group")
    ok(database.value("SELECT count(*) = (SELECT count(*) FROM analytics.customer_rfm) FROM analytics.region_values"), "each customer is scored by the model of their group, and those without a group by theirs")
    equal(database.value("SELECT count(DISTINCT component) FROM analytics.nodes"), 3, "no node of one thing is that of another, whatever the names of sources and identifiers")
    project.dbt("test", "--select", "by_meta")
    check_bodies(project, database)
    check_changes(project, database)

    # Triggers go with the table that dbt drops; the refresh puts them on the new one.
    triggers = "SELECT count(*) FROM pg_trigger WHERE tgrelid = 'analytics.subscribers'::regclass"
    before = database.value("SELECT 'analytics.subscribers'::regclass::oid"), database.value(triggers)
    run = project.dbt("run", "--select", "subscribers", "queued_refresh")
    after = database.value("SELECT 'analytics.subscribers'::regclass::oid"), database.value(triggers)
    ok(before[0] != after[0] and before[1] == after[1] > 0, "a captured table that was rebuilt is captured again", before, after)
    contains(run.output, "0 new, 0 changed, 0 retracted, 0 rejected", "and nothing of it changed")
    database.run("UPDATE analytics.subscribers SET email = 'moved.' || email WHERE id = (SELECT min(id) FROM analytics.subscribers)")
    run = project.dbt("run", "--select", "queued_refresh")
    contains(run.output, 'source all "subscribers" (captured): ok, 1 rows read, 0 new, 1 changed', "and what changes in it is read by key")

    run = project.dbt("run", "--select", "divides", "lapsed_vip", fails=True)
    contains(run.message("divides"), "division by zero", "a predicate that fails for somebody says why")
    equal(run.status("lapsed_vip"), "success", "and other audiences are built")
    equal(database.value("SELECT to_regclass('analytics.divides')"), None, "it leaves no relation")
    database.run("SELECT cdp.drop_segment('divides')")

    kinds = []
    for output in ("view", "table", "incremental", "view"):
        os.environ["AUDIENCE_OUTPUT"] = output
        run = project.dbt("run", "--select", "changing")
        kinds += database.rows("SELECT relkind::text, (SELECT count(*) FROM analytics.changing) = (SELECT count(*) FROM cdp.profiles WHERE is_known) FROM pg_class WHERE oid = 'analytics.changing'::regclass")
    equal(kinds, [("v", True), ("r", True), ("r", True), ("v", True)], "an audience can become a table and a view again")

    project.dbt("run", "--select", "ids", "broken", "some")
    database.run("ALTER TABLE analytics.customer_rfm_scores RENAME COLUMN profile_id TO person")
    run = project.dbt("run", "--select", "some")
    equal(database.rows("SELECT source, status FROM analytics.some ORDER BY 1"), [("broken", "stopped"), ("ids", "ok")], "a refresh that only reports")
    contains(run.output, "source ids (full)", "of some sources")
    equal("source crm" in run.output, False, "and of no other one")
    equal(database.value("SELECT count(*) FROM cdp.profiles WHERE lifetime_value IS NOT NULL"), database.value("SELECT count(*) FROM analytics.customer_lifetime_value"), "results of a model are traits")
    database.run("ALTER TABLE analytics.customer_rfm_scores RENAME COLUMN person TO profile_id")
    equal(database.value("SELECT bool_and(p.orders = (SELECT count(*) FROM cdp.events AS e WHERE e.profile_id = p.profile_id AND e.event_name = 'purchase')) FROM cdp.profiles AS p"),
          True, "a computed trait declared by a hook")
    run = project.dbt("show", "--inline", show, "--output", "json", target="dev")
    equal(run.nodes["inline_query"].agate_table[0][0], database.value("SELECT count(*) FROM cdp.profiles WHERE newsletter"), "a predicate is counted before it is a model")
    shutil.rmtree(folder)


def check_bodies(project, database):
    """Predicates and queries with comments, literals and parentheses."""
    equal(dict(database.rows("SELECT name, is_query FROM cdp.segments WHERE name IN ('commented', 'literals', 'counted')")),
          {"commented": True, "literals": False, "counted": False}, "what is a query, and what a predicate")
    definition = database.value("SELECT definition FROM cdp.segments WHERE name = 'literals'")
    equal([part for part in ("'one\n-- two; /* three */'", "$a$it's\n-- four$a$", "E'it\\'s\n-- five'", "'yes;'") if part not in definition], [],
          "what looks like a comment in a literal stays")
    equal([part for part in ("comment", "predicate", "done") if part in definition], [], "comments do not")
    known = database.value("SELECT count(*) FROM cdp.profiles WHERE is_known")
    project.dbt("run", "--select", "commented", "literals", "counted", "midnight", target="dev")
    for schema in ("analytics", "dbt_developer"):
        counts = database.rows(f"""SELECT (SELECT count(*) FROM {schema}.commented), (SELECT count(*) FROM {schema}.literals), (SELECT count(*) FROM {schema}.counted),
            (SELECT count(*) FROM {schema}.midnight)""")
        equal(counts, [(known,) * 4], f"all of them mean the same in each target ({schema})")


def check_changes(project, database):
    """What was built before has other columns or grants."""
    os.environ["TYPED"] = "'one'::text"
    run = project.dbt("run", "--select", "typed")
    equal(database.rows("SELECT source, typed FROM analytics.typed"), [("crm", "one")], "a column of a view can change its type")
    run = project.dbt("run", "--select", "contracted", target="dev", fails=True)
    contains(run.message("contracted"), "enforced contract", "a view that breaks its contract fails")
    equal(database.value("SELECT to_regclass('dbt_developer.contracted')"), None, "and is not made")
    run = project.dbt("run", "--select", "agreed")
    contains(run.message("agreed"), "ADDED 0, CHANGED", "an incremental audience with a contract is not built anew")

    database.run("ALTER TABLE analytics.changing ALTER email TYPE integer USING NULL")
    run = project.dbt("run", "--select", "changing")
    contains(run.message("changing"), "SELECT", "an incremental audience is built anew when the type of a column changes")
    run = project.dbt("run", "--select", "changing")
    equal(run.message("changing"), "ADDED 0, CHANGED 0, REMOVED 0", "and only then")
    for output in ("incremental", "view"):
        for reader in ("dbt_developer", "dbt_reader"):
            os.environ |= {"AUDIENCE_OUTPUT": output, "AUDIENCE_READER": reader}
            project.dbt("run", "--select", "changing")
            equal(database.value("SELECT array_agg(grantee::regrole::text) FROM pg_class, aclexplode(relacl) WHERE oid = 'analytics.changing'::regclass AND grantee <> relowner"), [reader],
                  f"who is no longer named by grants loses them ({output})")
    os.environ["AUDIENCE_READER"] = "dbt_developer"

    before = database.platform()
    run = project.dbt("build", "--empty", "--select", "crm", "customer_refresh", "lapsed_vip")
    equal(run.message("crm"), "CHECKED, NOT REGISTERED", "where dbt puts empty relations in the place of others, nothing is registered")
    equal([name for name, content in database.platform().items() if content != before[name]], [], "and nothing of the platform changes")
    project.dbt("run", "--select", "crm", "customer_refresh", "lapsed_vip")


def check_catalog(project, database):
    project.dbt("source", "freshness")
    project.dbt("docs", "generate")
    catalog = json.loads(project.path("target/prod/catalog.json").read_text())
    profiles = catalog["sources"]["source.cdp.cdp.profiles"]["columns"]
    contains(str(profiles.get("country", {}).get("comment")), "trait country", "dbt docs have the columns of traits, with their comments")
    equal(catalog["nodes"]["model.shop.lapsed_vip"]["columns"]["profile_id"]["type"], "bigint", "dbt docs have the audience")
    manifest = json.loads(project.path("target/prod/manifest.json").read_text())
    described = manifest["sources"]["source.cdp.cdp.events"]["columns"]["occurred_at"]["description"]
    equal(described, "when it happened", "dbt docs have the columns of the unified views")
    equal([name for name, macro in manifest["macros"].items() if macro["package_name"] == "cdp" and not macro["description"]], [], "dbt docs describe each macro")
    before = manifest["parent_map"]
    equal(sorted(before["model.shop.customer_refresh"]), ["model.shop.crm", "model.shop.orders", "model.shop.web"], "the refresh comes after the sources")
    contains(str(before["model.shop.lapsed_vip"]), "model.shop.customer_refresh", "audiences come after the refresh")


CHECKS = (check_second_run, check_developer, check_errors, check_tests_fail, check_options, check_catalog)


def main():
    os.environ.setdefault("PGUSER", "postgres")
    os.environ["PGDATABASE"] = DATABASE
    drop_everything()
    folder = Path(tempfile.mkdtemp(prefix="cdp-dbt.", dir=os.environ.get("CDP_SERVER_FOLDER") or None))
    database = None
    try:
        create_database()
        database = Database()
        check_documents(database)
        project = Project(folder)
        check_first_build(project, database)
        check_audiences(database)
        for check in CHECKS:
            check(project, database)
    finally:
        if database is not None:
            database.connection.close()
        shutil.rmtree(folder, ignore_errors=True)
        drop_everything()
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
