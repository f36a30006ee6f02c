/*
 * worker.c
 *		The background worker: when the library is in shared_preload_libraries, it
 *		lets windows close without anybody calling cdp.expire_segments(), and
 *		tells listeners which segments changed.
 *
 * A launcher, which reads no database, starts one worker for each pair of
 * database and role in cdp.worker_databases, and again when one ended.  A worker
 * is a session of that role, which owns the storage: expressions run under
 * their owners as everywhere, and nothing here ever runs with the rights of a
 * superuser.
 *
 * Workers begin when recovery has ended, so a standby has none until it is
 * promoted.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "commands/async.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/procsignal.h"
#include "tcop/tcopprot.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "cdp.h"
#include "identity/settings.h"
#include "segment/realtime.h"
#include "segment/worker.h"

#define CHANGE_CHANNEL		"cdp_segment_changes"
#define EXPIRE_BATCH		1000
/* How long the launcher waits before it starts a worker again, in seconds. */
#define RESTART_FIRST		5
#define RESTART_LAST		300
/* A worker that ran as long was well. */
#define RESTART_WELL		60
/* How often the launcher, whom nobody tells, looks whether workers run; in milliseconds. */
#define LAUNCHER_LOOKS		1000

/* A pair of cdp.worker_databases. */
typedef struct WorkerPair
{
	char		database[NAMEDATALEN];
	char		role[NAMEDATALEN];
} WorkerPair;

/* A pair, and what became of its worker. */
typedef struct LaunchedWorker
{
	WorkerPair	pair;
	BackgroundWorkerHandle *handle; /* NULL: not running */
	TimestampTz started_at;
	TimestampTz start_at;		/* when to start it again */
	int			delay;			/* the next time, in seconds */
	bool		is_wanted;
	bool		was_refused;	/* no slot was free, and that was said */
} LaunchedWorker;

static char *worker_databases = NULL;
static int	worker_interval = 10;

PGDLLEXPORT void cdp_worker_launcher_main(Datum argument) pg_attribute_noreturn();
PGDLLEXPORT void cdp_worker_main(Datum argument) pg_attribute_noreturn();

/* ---------- the setting ---------- */

/*
 * Reads one name, in double quotes or up to a colon, a comma or white space.
 */
static const char *
read_name(const char *at, char *name)
{
	size_t		length = 0;
	bool		is_quoted;

	while (isspace((unsigned char) *at))
		at++;
	is_quoted = *at == '"';
	if (is_quoted)
		at++;
	for (;; at++)
	{
		if (*at == '\0' && is_quoted)
			return NULL;
		if (is_quoted && *at == '"')
		{
			if (at[1] != '"')
			{
				at++;
				break;
			}
			at++;
		}
		else if (!is_quoted && (*at == '\0' || *at == ':' || *at == ',' || *at == '"' || isspace((unsigned char) *at)))
			break;
		if (length == NAMEDATALEN - 1)
			return NULL;
		name[length++] = *at;
	}
	name[length] = '\0';
	while (isspace((unsigned char) *at))
		at++;
	return length == 0 ? NULL : at;
}

/*
 * The next pair of the setting: true and the place after it, or false at the
 * end (*at is then empty) or where the text is wrong.
 */
static bool
next_pair(const char **at, WorkerPair *pair)
{
	const char *place = *at;

	memset(pair, 0, sizeof(*pair));
	while (isspace((unsigned char) *place))
		place++;
	*at = place;
	if (*place == '\0')
		return false;
	place = read_name(place, pair->database);
	if (place == NULL || *place != ':')
		return false;
	place = read_name(place + 1, pair->role);
	if (place == NULL || (*place != ',' && *place != '\0'))
		return false;
	*at = *place == ',' ? place + 1 : place;
	return true;
}

static bool
check_worker_databases(char **value, void **extra, GucSource source)
{
	const char *at = *value;
	WorkerPair	pair;

	while (next_pair(&at, &pair))
		;
	if (*at == '\0')
		return true;
	GUC_check_errdetail("It is a list of pairs of a database and a role, separated by commas, such as \"shop:cdp_owner, crm:cdp_owner\".");
	return false;
}

/*
 * Called when the library is loaded.  Without shared_preload_libraries there are
 * neither settings nor workers.
 */
void
worker_init(void)
{
	BackgroundWorker worker;

	if (!process_shared_preload_libraries_in_progress)
		return;
	DefineCustomStringVariable("cdp.worker_databases",
							   "Pairs of database and role for which a background worker lets windows of segments close.",
							   "A list such as \"shop:cdp_owner, crm:cdp_owner\".  The role has LOGIN, owns the storage of cdp in that database, and is no superuser.",
							   &worker_databases, "", PGC_SIGHUP, 0, check_worker_databases, NULL, NULL);
	DefineCustomIntVariable("cdp.worker_interval",
							"Time between two looks of a background worker at the windows that close.",
							NULL, &worker_interval, 10, 1, 86400, PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);
	MarkGUCPrefixReserved("cdp");

	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = RESTART_FIRST;
	strlcpy(worker.bgw_library_name, "$libdir/cdp", BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, "cdp_worker_launcher_main", BGW_MAXLEN);
	strlcpy(worker.bgw_name, "cdp worker launcher", BGW_MAXLEN);
	strlcpy(worker.bgw_type, "cdp worker launcher", BGW_MAXLEN);
	RegisterBackgroundWorker(&worker);
}

/* ---------- the launcher ---------- */

static void
start_worker(LaunchedWorker *launched)
{
	BackgroundWorker worker;

	StaticAssertStmt(sizeof(WorkerPair) <= BGW_EXTRALEN, "a pair fits into what a worker is handed");
	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	memcpy(worker.bgw_extra, &launched->pair, sizeof(launched->pair));
	strlcpy(worker.bgw_library_name, "$libdir/cdp", BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, "cdp_worker_main", BGW_MAXLEN);
	snprintf(worker.bgw_name, BGW_MAXLEN, "cdp worker for database %s", launched->pair.database);
	strlcpy(worker.bgw_type, "cdp worker", BGW_MAXLEN);
	launched->started_at = GetCurrentTimestamp();
	if (RegisterDynamicBackgroundWorker(&worker, &launched->handle))
	{
		launched->was_refused = false;
		return;
	}
	launched->handle = NULL;
	launched->start_at = TimestampTzPlusMilliseconds(launched->started_at, RESTART_FIRST * 1000);
	if (!launched->was_refused)
		ereport(WARNING,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("no process is free for the cdp worker for database \"%s\"", launched->pair.database),
				 errhint("Raise max_worker_processes.")));
	launched->was_refused = true;
}

/* Brings the list to the setting; a pair that is still wanted keeps its worker. */
static List *
read_setting(List *workers)
{
	const char *at = worker_databases == NULL ? "" : worker_databases;
	WorkerPair	pair;
	ListCell   *cell;

	foreach (cell, workers)
		((LaunchedWorker *) lfirst(cell))->is_wanted = false;
	while (next_pair(&at, &pair))
	{
		LaunchedWorker *found = NULL;

		foreach (cell, workers)
			if (memcmp(&((LaunchedWorker *) lfirst(cell))->pair, &pair, sizeof(pair)) == 0)
				found = lfirst(cell);
		if (found == NULL)
		{
			found = palloc0(sizeof(LaunchedWorker));
			found->pair = pair;
			workers = lappend(workers, found);
		}
		found->is_wanted = true;
		/* Whoever changes the settings wants to see at once what it does. */
		found->delay = RESTART_FIRST;
		found->start_at = 0;
	}
	return workers;
}

/* Notices that the worker ended, and says when to start it again. */
static void
look_at_worker(LaunchedWorker *launched, TimestampTz now)
{
	pid_t		pid;

	if (launched->handle == NULL || GetBackgroundWorkerPid(launched->handle, &pid) != BGWH_STOPPED)
		return;
	pfree(launched->handle);
	launched->handle = NULL;
	if (TimestampDifferenceExceeds(launched->started_at, now, RESTART_WELL * 1000))
		launched->delay = RESTART_FIRST;
	launched->start_at = TimestampTzPlusMilliseconds(now, launched->delay * 1000);
	launched->delay = Min(launched->delay * 2, RESTART_LAST);
}

/* The launcher's loop; ends at SIGTERM. */
void
cdp_worker_launcher_main(Datum argument)
{
	List	   *workers = NIL;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
	BackgroundWorkerUnblockSignals();
	(void) MemoryContextSwitchTo(TopMemoryContext);
	workers = read_setting(workers);
	while (!ShutdownRequestPending)
	{
		TimestampTz now = GetCurrentTimestamp();
		long		wait = -1;
		ListCell   *cell;

		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
			workers = read_setting(workers);
		}
		foreach (cell, workers)
		{
			LaunchedWorker *launched = lfirst(cell);

			look_at_worker(launched, now);
			if (!launched->is_wanted)
			{
				if (launched->handle != NULL)
				{
					TerminateBackgroundWorker(launched->handle);
					wait = LAUNCHER_LOOKS;
				}
				else
				{
					workers = foreach_delete_current (workers, cell);
					pfree(launched);
				}
				continue;
			}
			if (launched->handle == NULL && launched->start_at <= now)
				start_worker(launched);
			wait = LAUNCHER_LOOKS;
		}
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | (wait >= 0 ? WL_TIMEOUT : 0), wait, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
	}
	/* Workers end by themselves when the server does; this is for a launcher that is stopped alone. */
	{
		ListCell   *cell;

		foreach (cell, workers)
			if (((LaunchedWorker *) lfirst(cell))->handle != NULL)
				TerminateBackgroundWorker(((LaunchedWorker *) lfirst(cell))->handle);
	}
	proc_exit(0);
}

/* ---------- a worker ---------- */

/* How far this worker has told listeners of changes: a transaction id; NULL at first. */
static char *told = NULL;
/* What is in its way was said. */
static bool was_said = false;

/* Between two looks it ends quietly; in the middle of one, where it can be interrupted. */
static void
handle_termination(SIGNAL_ARGS)
{
	int			saved = errno;

	ShutdownRequestPending = true;
	die(postgres_signal_arg);
	errno = saved;
}

static void
begin_transaction(const char *activity)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	pgstat_report_activity(STATE_RUNNING, activity);
}

static void
end_transaction(void)
{
	PopActiveSnapshot();
	CommitTransactionCommand();
	pgstat_report_stat(true);
	pgstat_report_activity(STATE_IDLE, NULL);
}

/*
 * Whether there is a storage with segments, which belongs to this role.  What is
 * in the way is said once.
 */
static bool
storage_is_ready(const WorkerPair *pair)
{
	Oid			schema = get_namespace_oid("cdp_data", true);
	bool		is_there = OidIsValid(schema) && OidIsValid(get_relname_relid("expression_due", schema));
	bool		is_owner = is_there && storage_owner() == GetUserId();

	if (is_owner)
	{
		was_said = false;
		return true;
	}
	if (!was_said)
		ereport(LOG,
				(errmsg(is_there ? "cdp worker for database \"%s\": role \"%s\" does not own the storage"
								 : "cdp worker for database \"%s\" waits for the storage of role \"%s\"",
						pair->database, pair->role),
				 is_there ? errhint("Name the role that ran cdp.setup() in cdp.worker_databases.") : errhint("That role runs SELECT cdp.setup().")));
	was_said = true;
	return false;
}

/* The oldest transaction under way: what those before it wrote is there, for good. */
static char *
oldest_transaction(void)
{
	char	   *result;

	SPI_connect();
	if (SPI_execute("SELECT pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())::pg_catalog.text", true, 1) != SPI_OK_SELECT || SPI_processed != 1)
		elog(ERROR, "could not read the snapshot");
	result = MemoryContextStrdup(TopMemoryContext, SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1));
	SPI_finish();
	return result;
}

/*
 * Tells listeners which segments changed in transactions that ended since the
 * last time, whoever wrote them.  Nothing before "told" was left, and nothing at
 * or after the oldest transaction under way is looked at.
 */
static void
notify_changes(void)
{
	Oid			types[] = {TEXTOID};
	Datum		values[1];
	char	   *next = oldest_transaction();

	if (strcmp(told, next) != 0)
	{
		SPI_connect();
		values[0] = CStringGetTextDatum(told);
		if (SPI_execute_with_args("SELECT e.name FROM cdp_data.expression AS e"
								  " WHERE e.expression_id OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT DISTINCT c.segment_id FROM cdp_data.segment_change AS c"
								  "  WHERE c.transaction_id OPERATOR(pg_catalog.>=) $1::pg_catalog.xid8"
								  "  AND c.transaction_id OPERATOR(pg_catalog.<) pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())))"
								  " ORDER BY e.name",
								  1, types, values, NULL, true, 0) != SPI_OK_SELECT)
			elog(ERROR, "could not read the changes of segments");
		for (uint64 i = 0; i < SPI_processed; i++)
			Async_Notify(CHANGE_CHANNEL, SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1));
		SPI_finish();
	}
	pfree(told);
	told = next;
}

/* One look: whoever is due, batch by batch, then the listeners. */
static void
look(const WorkerPair *pair)
{
	TimestampTz until = 0;
	int			done;

	do
	{
		bool		is_ready;

		CHECK_FOR_INTERRUPTS();
		begin_transaction("cdp: segments whose windows close");
		if (until == 0)
			until = GetCurrentTransactionStartTimestamp();
		is_ready = storage_is_ready(pair);
		/* before the first windows close, so that these are told as well */
		if (is_ready && told == NULL)
			told = oldest_transaction();
		done = is_ready ? realtime_expire(EXPIRE_BATCH, until) : -1;
		end_transaction();
	} while (done == EXPIRE_BATCH);
	if (done < 0)
		return;
	begin_transaction("cdp: notification of changed segments");
	notify_changes();
	end_transaction();
}

/*
 * A worker's loop; ends at SIGTERM.  An error is logged, and the next look is as
 * usual.
 */
void
cdp_worker_main(Datum argument)
{
	WorkerPair	pair;
	MemoryContext context;

	memcpy(&pair, MyBgworkerEntry->bgw_extra, sizeof(pair));
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, handle_termination);
	BackgroundWorkerUnblockSignals();

	/* The server's own errors tell of a database or role that does not exist, or of a role without LOGIN. */
	BackgroundWorkerInitializeConnection(pair.database, pair.role, 0);
	if (superuser())
	{
		ereport(LOG,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("cdp worker for database \"%s\" does not run as superuser \"%s\"", pair.database, pair.role),
				 errhint("Name a role without SUPERUSER that owns the storage in cdp.worker_databases.")));
		proc_exit(1);
	}
	/* under others an evaluation does not see what was committed since, and is put off, for ever here */
	SetConfigOption("default_transaction_isolation", "read committed", PGC_SUSET, PGC_S_OVERRIDE);
	pgstat_report_appname("cdp worker");
	context = AllocSetContextCreate(TopMemoryContext, "cdp worker", ALLOCSET_DEFAULT_SIZES);
	for (;;)
	{
		(void) MemoryContextSwitchTo(context);
		PG_TRY();
		{
			look(&pair);
		}
		PG_CATCH();
		{
			(void) MemoryContextSwitchTo(context);
			HOLD_INTERRUPTS();
			EmitErrorReport();
			AbortOutOfAnyTransaction();
			FlushErrorState();
			RESUME_INTERRUPTS();
			pgstat_report_activity(STATE_IDLE, NULL);
		}
		PG_END_TRY();
		MemoryContextReset(context);

		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, worker_interval * 1000L, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		if (ShutdownRequestPending)
			proc_exit(0);
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
	}
}
