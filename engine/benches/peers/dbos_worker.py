"""DBOS's side: reads "RUNS STEPS" a line, drives so many workflows at once, answers with the seconds they took.

The argument is the URL of a database. Blocking functions, because they were the faster kind in DBOS 3.4.
"""

import sys
import time

from dbos import DBOS

DBOS(
    config={
        "name": "bench",
        "system_database_url": sys.argv[1],
        "run_admin_server": False,
        "log_level": "ERROR",
    }
)


@DBOS.step()
def nothing() -> None:
    """A step that does nothing; its result is a row that is committed before it returns."""


@DBOS.workflow()
def steps(count: int) -> int:
    for _ in range(count):
        nothing()
    return count


DBOS.launch()
print("ready", flush=True)
for line in sys.stdin:
    runs, count = (int(word) for word in line.split())
    start = time.perf_counter()
    handles = [DBOS.start_workflow(steps, count) for _ in range(runs)]
    assert all(handle.get_result() == count for handle in handles)
    print(time.perf_counter() - start, flush=True)
DBOS.destroy()
