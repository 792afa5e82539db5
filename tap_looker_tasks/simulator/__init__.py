"""A Looker API 4.0 on loopback with a real query engine behind it."""

try:
    from tap_looker_tasks.simulator.engine import Database, load_database
    from tap_looker_tasks.simulator.simulator import Simulator, SimulatorOptions
except ModuleNotFoundError as error:
    message = f"{error.msg}; the simulator needs: pip install 'tap-looker-tasks[simulator]'"
    raise ModuleNotFoundError(message, name=error.name) from None

__all__ = ["Database", "Simulator", "SimulatorOptions", "load_database"]
