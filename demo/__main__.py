"""Follow an application's query tasks from a Looker API to rows in PostgreSQL, twice."""

from __future__ import annotations

import json
import shutil
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from demo.application import CREDENTIAL, Application, Wish
from demo.postgres import running_postgres
from demo.processes import Meltano, ProgramError, Run, running_simulator
from demo.screen import Screen, short
from looker_simulator.content import query_slug

if TYPE_CHECKING:
    from types import FrameType

    from demo.postgres import Database

_PROJECT = Path(__file__).resolve().parent.parent
_FOLDER = _PROJECT / ".demo"
_PIPELINE = ("tap-looker-tasks", "target-postgres")
_STATE_ID = "dev:tap-looker-tasks-to-target-postgres"
_COMMAND = f"meltano run {' '.join(_PIPELINE)}"
_ROWS_SHOWN = 6
_LOG_LINES_SHOWN = 30
_INTERRUPTED = 130
_DAYS_OF_2013 = 365

_WISHES = (
    Wish(query_slug("1"), "json_detail"),
    Wish(query_slug("2"), "json_bi"),
    Wish(query_slug("3"), "json"),
    Wish(query_slug("4"), "csv"),
    Wish(query_slug("5"), "json_detail"),
    Wish(query_slug("6"), "json_detail"),
)
_ONE_MORE = Wish(query_slug("1"), "csv")
_FLIGHTS = {"model": "flights_2013", "explore": "flights"}
_QUERIES = [
    {"name": "airlines", "look_id": 1, "primary_keys": ["flights.carrier"]},
    {
        "name": "months",
        "explore": _FLIGHTS
        | {
            "fields": ["flights.departure_month", "flights.origin", "flights.count"],
            "pivots": ["flights.origin"],
            "sorts": ["flights.departure_month"],
        },
        "primary_keys": ["flights.departure_month", "flights.origin"],
    },
    {
        "name": "days",
        "explore": _FLIGHTS | {"fields": ["flights.departure_date", "flights.count"]},
        "primary_keys": ["flights.departure_date"],
        "replication_key": "flights.departure_date",
        "limit": 200,
    },
]
_DASHBOARDS = [{"dashboard_id": 1, "name": "board", "filters": {"Carrier": "UA"}}]


def main() -> int:
    """Run the demo; the exit code is 0 if everything went as expected."""
    signal.signal(signal.SIGTERM, _leave)
    screen = Screen()
    try:
        _report(screen)
    except ProgramError as error:
        screen.fail(f"{error}. The end of {_shown(error.log)}:")
        lines = error.log.read_text().splitlines()[-_LOG_LINES_SHOWN:]
        sys.stdout.write("\n".join(lines) + "\n")
        return 1
    except KeyboardInterrupt:
        screen.fail("Interrupted; everything that was started is stopped.")
        return _INTERRUPTED
    return 0


def _leave(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _report(screen: Screen) -> None:
    shutil.rmtree(_FOLDER, ignore_errors=True)
    _FOLDER.mkdir()
    with ExitStack() as started:
        with screen.step("Looker API started: a simulator with real queries") as remarks:
            base_url = started.enter_context(running_simulator(_FOLDER / "simulator.log"))
            remarks.append(f"{base_url}, DuckDB over all flights from New York in 2013")
        with screen.step("PostgreSQL started: the warehouse, still empty") as remarks:
            database = started.enter_context(running_postgres())
            remarks.append(f"PostgreSQL {database.version()}, on a Unix socket")
        _deliver(screen, base_url, database)


def _deliver(screen: Screen, base_url: str, database: Database) -> None:
    application = Application(base_url, _FOLDER / "query_task_ids.txt")
    meltano = Meltano(
        _PROJECT,
        _FOLDER,
        {
            "TAP_LOOKER_TASKS_BASE_URL": base_url,
            "TAP_LOOKER_TASKS_CLIENT_ID": CREDENTIAL,
            "TAP_LOOKER_TASKS_CLIENT_SECRET": CREDENTIAL,
            "TAP_LOOKER_TASKS_QUERY_TASK_IDS_FILE": str(application.ids_file),
            "TAP_LOOKER_TASKS_QUERIES": json.dumps(_QUERIES),
            "TAP_LOOKER_TASKS_DASHBOARDS": json.dumps(_DASHBOARDS),
            "TAP_LOOKER_TASKS_QUERY_TIMEZONE": "America/New_York",
            "TAP_LOOKER_TASKS_REPORT_PATH": str(_FOLDER / "report-%H%M%S.html"),
            "TARGET_POSTGRES_SQLALCHEMY_URL": database.sqlalchemy_url,
        },
    )
    with screen.step(f"An application creates {len(_WISHES)} query tasks in Looker") as remarks:
        application.create_query_tasks(_WISHES)
        remarks.append(f"and leaves their ids in {_shown(application.ids_file)}")
    _first_run(screen, meltano)
    _show_outcomes(screen, database)
    _second_run(screen, meltano, database, application)
    _show_reports(screen)


def _show_reports(screen: Screen) -> None:
    reports = " and ".join(map(_shown, sorted(_FOLDER.glob("report-*.html"))))
    screen.say(f"What each run did, as a page to open in a browser: {reports}")


def _first_run(screen: Screen, meltano: Meltano) -> None:
    with screen.step(_COMMAND) as remarks:
        run = meltano.run("first-run", *_PIPELINE)
        sentence = _expected(run, exit_code=1, sentence="1 query task did not complete")
        remarks.append(sentence)
        remarks.append("exit 1, as it should be: everything else is still delivered")
        remarks.append(f"log: {_shown(run.log)}")


def _show_outcomes(screen: Screen, database: Database) -> None:
    outcomes = database.outcomes()
    screen.say("[b]select ... from looker.query_task_results[/], in PostgreSQL:")
    screen.table(
        ("task", "query_name", "format", "status", "rows", "error_message"),
        [(short(id_), *rest) for id_, *rest in outcomes],
    )
    for table, what in (
        ("airlines", "a Look"),
        ("months", "a query on an Explore, its pivot delivered long"),
        ("board_flights_a_month", "a tile of a dashboard, filtered by the dashboard's Carrier"),
        ("days", "an incremental query, limited to 200 rows a run"),
    ):
        rows, count = database.table(table, 3)
        screen.say(f"[b]looker.{table}[/], {what}; {len(rows)} of {count} rows:")
        screen.table(tuple(rows[0]), [tuple(row.values()) for row in rows])
    shown = next(o for o in outcomes if o.row_count and o.query_name is None)
    rows = database.rows(shown.query_task_id, _ROWS_SHOWN)
    screen.say(
        f"[b]select jsonb_array_elements(data -> 'rows')[/], "
        f"{len(rows)} of the {shown.row_count} rows of {short(shown.query_task_id)}:"
    )
    screen.table(tuple(rows[0]), [tuple(row.values()) for row in rows])


def _second_run(
    screen: Screen, meltano: Meltano, database: Database, application: Application
) -> None:
    before = database.delivery()
    _, days_before = database.table("days", 1)
    with screen.step("The application creates one more query task") as remarks:
        application.create_query_tasks([_ONE_MORE])
        finished = meltano.bookmarks(_STATE_ID)["query_task_results"]["finished"]
        remarks.append(f"Meltano kept the state of the run: {len(finished)} finished tasks")
    with screen.step(f"{_COMMAND}, a second time") as remarks:
        run = meltano.run("second-run", *_PIPELINE)
        _expected(run, exit_code=0, sentence="Run completed")
        after = database.delivery()
        repeated = before.tasks - database.untouched_since(before)
        remarks.append(
            f"exit 0; the application's tasks in the table: {before.tasks} before, {after.tasks} "
            f"after, {repeated} delivered twice"
        )
        _, days_after = database.table("days", 1)
        remarks.append(
            f"looker.days continues at its bookmark: {days_before} rows before, {days_after} after"
        )
        remarks.append(f"log: {_shown(run.log)}")
        if repeated or after.tasks != before.tasks + 1 or days_after != _DAYS_OF_2013:
            message = "The second run should deliver the new task and the new days, and no other"
            raise ProgramError(message, run.log)


def _expected(run: Run, *, exit_code: int, sentence: str) -> str:
    found = run.sentence(sentence)
    if run.exit_code != exit_code or found is None:
        message = f"meltano run ended with exit {run.exit_code}, expected {exit_code}"
        raise ProgramError(message, run.log)
    return found


def _shown(path: Path) -> str:
    return str(path.relative_to(_PROJECT))


sys.exit(main())
