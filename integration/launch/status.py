"""What runs right now, for `kleis status`."""

import time
from datetime import UTC, datetime
from typing import Any

from integration.launch import kleis, ports
from integration.launch.home import home_at, is_held, launcher_of, recorded_children
from integration.launch.processes import ProcessRecord, is_running
from integration.settings import StackSettings


def of(settings: StackSettings) -> dict[str, Any]:
    """Return the state of the stack of these settings.

    `running` is about the launcher; what a killed one left shows as processes all the same.
    """
    home = home_at(settings.home)
    launcher = launcher_of(home)
    records = [record for record in (launcher, *recorded_children(home)) if record]
    return {
        "running": is_held(home),
        "home": str(home.root),
        "ready": home.stack.exists(),
        "edge_url": kleis.edge_url(settings),
        "since": _moment(launcher.since) if launcher else None,
        "processes": [_process(record) for record in records],
        "ports": ports.of(settings),
    }


def table(found: dict[str, Any]) -> str:
    """Return `found`, with its `effects` by lane, for people."""
    lines = []
    if found["running"] or any(one["running"] for one in found["processes"]):
        state = "ready" if found["ready"] else "starting" if found["running"] else "killed"
        lines += [f"{found['edge_url']}  {state}  since {found['since'] or '?'}", ""]
        for one in found["processes"]:
            shown = "running" if one["running"] else "gone"
            lines.append(f"  {one['name']:<10} {one['pid']:>8}  {shown:<8} {one['uptime']}")
        taken = ", ".join(f"{name[5:]} {port}" for name, port in found["ports"].items())
        lines += ["", f"  ports: {taken}"]
    else:
        lines.append(f"No stack runs in {found['home']}.")
    if found["effects"] is not None:
        lines.append(f"  effects: {_effects(found['effects'])}")
    return "\n".join(lines)


def _effects(lanes: dict[str, dict[str, int]]) -> str:
    counted = {
        name: sum(lane[name] for lane in lanes.values())
        for name in ("waiting", "failing", "parked")
    }
    hint = "; `kleis outbox list --parked` shows them" if counted["parked"] else ""
    return ", ".join(f"{number} {name}" for name, number in counted.items()) + hint


def _process(record: ProcessRecord) -> dict[str, Any]:
    seconds = max(0, int(time.time() - record.since))
    return {
        "name": record.name,
        "pid": record.pid,
        "running": is_running(record),
        "since": _moment(record.since),
        "uptime": f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}",
    }


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
