# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's command line: ``python -m lab [--name NAME] COMMAND``."""

from __future__ import annotations

import argparse
import errno
import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import Final, NoReturn

from lab import balancing, controller, faults, lifecycle, network
from lab.commands import in_host, is_not_up
from lab.errors import SetupError
from lab.parts import State
from lab.settings import BASE, CACHE, DEFAULT_NAME, HOSTS, NAME_PATTERN, OPERATOR, Lab
from lab.shell import LabError

OK: Final = 0
FAILED: Final = 1
REFUSED: Final = 2
INTERRUPTED: Final = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code. What is expected to fail prints one sentence."""
    try:
        options = _parser().parse_args(arguments)
        lab = chosen(options.name)
        return _COMMANDS[options.command](lab, options)
    except SetupError as error:
        return _fail(str(error), REFUSED)
    except LabError as error:
        return _fail(str(error), FAILED)
    except KeyboardInterrupt:
        return _fail("Interrupted. `up` goes on from here, `down` removes all.", INTERRUPTED)
    except BrokenPipeError:
        # Whoever read the output has seen enough; nothing may be written at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM):
            raise
        return _fail(f"{error.filename or BASE}: {error.strerror}.", FAILED)


def _fail(sentence: str, code: int) -> int:
    print(f"lab: {sentence}", file=sys.stderr, flush=True)
    return code


class _Parser(argparse.ArgumentParser):
    """A parser whose refusals look like the others'."""

    def error(self, message: str) -> NoReturn:
        raise SetupError(f"{message[:1].upper()}{message[1:]}. See `python -m lab --help`.")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m lab", description="A real Kubernetes on this machine.")
    parser.add_argument(
        "--name",
        default=os.environ.get("REAL_IP_LAB") or DEFAULT_NAME,
        help="which lab; several can be up at a time (default: $REAL_IP_LAB or %(default)s)",
    )
    # It may stand after the command too, and then that one counts.
    named = _Parser(add_help=False)
    named.add_argument("--name", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, about: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=about, description=about, parents=[named])

    add("build", "build or fetch what labs are made of, where it is missing; `up` does it too")
    add("up", "put the lab up, or back in order")
    add("down", "remove the lab")
    status = add("status", "tell how each part is; exit 0 if all are well")
    status.add_argument("--json", action="store_true", help="as JSON")
    execute = add("exec", "run a command in a host of the lab")
    execute.add_argument("host", metavar="HOST", help=", ".join(HOSTS))
    execute.add_argument("argv", nargs=argparse.REMAINDER, metavar="-- CMD…")
    logs = add("logs", "print a part's log, or list the logs")
    logs.add_argument("part", nargs="?", metavar="PART")
    logs.add_argument("-f", "--follow", action="store_true", help="go on printing what is added")
    switch = add("switch", "show or set what the load balancer stand-in does")
    switch.add_argument("pairs", nargs="*", metavar="KEY=VALUE", help=", ".join(balancing.SWITCHES))
    fault = add("fault", "turn a fault on or off on a deployment, or list the faults")
    fault.add_argument("fault", nargs="?", metavar="NAME", help="without one: list them")
    fault.add_argument("state", nargs="?", choices=("on", "off"))
    for option, default in (
        ("--namespace", faults.DEFAULT_NAMESPACE),
        ("--prefix", faults.DEFAULT_PREFIX),
    ):
        fault.add_argument(
            option, default=default, help="which deployment of the collection (%(default)s)"
        )
    return parser


def chosen(name: str) -> Lab:
    """Return the lab of that name; raises SetupError if it can't have one or isn't root's."""
    if not NAME_PATTERN.fullmatch(name):
        raise SetupError(
            f"A lab can't be called {name!r}: a name is 1 to 8 lower-case letters and digits and"
            " begins with a letter."
        )
    if os.geteuid() != 0:
        raise SetupError("The lab needs root, for network namespaces and control groups.")
    return Lab(name)


def _say(line: str) -> None:
    print(line, flush=True)


def _build(lab: Lab, __: argparse.Namespace) -> int:
    lifecycle.build(_say)
    _say(f"All that labs are made of is in {CACHE}. To go on:\n  {lab.command('up')}")
    return OK


def _up(lab: Lab, __: argparse.Namespace) -> int:
    _refuse_inside(lab)
    seconds = lifecycle.up(lab, _say)
    _say(
        f"The lab {lab.name} is up ({seconds:.1f} s). To go on:\n"
        f"  {lab.command('status')}\n"
        f"  {lab.command(f'exec {OPERATOR.name} -- kubectl get nodes -o wide')}\n"
        f"  {lab.command('down')}"
    )
    return OK


def _down(lab: Lab, __: argparse.Namespace) -> int:
    _refuse_inside(lab)
    _say(f"The lab {lab.name} is down." if lifecycle.down(lab, _say) else _not_up(lab))
    return OK


def _refuse_inside(lab: Lab) -> None:
    host = network.host_of_this_process(lab)
    if host:
        raise SetupError(f"This shell is inside the lab, in {host}. Leave it and try again.")


def _not_up(lab: Lab) -> str:
    return f"The lab {lab.name} is not up."


def _status(lab: Lab, options: argparse.Namespace) -> int:
    if not lab.root.is_dir():
        _say(json.dumps([]) if options.json else _not_up(lab))
        return FAILED
    states = lifecycle.states(lab)
    if options.json:
        _say(json.dumps([_row(state) for state in states], indent=2))
    else:
        _say(table(states))
    return OK if all(state.healthy for state in states) else FAILED


def _row(state: State) -> dict[str, object]:
    return {
        "part": state.name,
        "healthy": state.healthy,
        "detail": state.detail,
        "pid": state.process.pid if state.process else None,
        "age": round(state.process.age, 1) if state.process else None,
    }


def table(states: Sequence[State]) -> str:
    """Return a table of states for people, a line each, columns aligned."""
    rows = [("PART", "HEALTH", "PID", "AGE", "DETAIL")]
    for state in states:
        process = state.process
        rows.append(
            (
                state.name,
                "ok" if state.healthy else "FAULT",
                str(process.pid) if process else "-",
                age(process.age) if process else "-",
                state.detail,
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join(
        "  ".join((*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[4]))
        for row in rows
    )


def age(seconds: float) -> str:
    """Return a duration with two units at most: ``42s``, ``3m07s``, ``5h12m``, ``2d04h``."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}d{hours:02}h"
    if hours:
        return f"{hours}h{minutes:02}m"
    return f"{minutes}m{rest:02}s" if minutes else f"{rest}s"


def _exec(lab: Lab, options: argparse.Namespace) -> int:
    argv = options.argv[1:] if options.argv[:1] == ["--"] else options.argv
    if not argv:
        raise SetupError("Say what to run: exec HOST -- CMD…")
    words = in_host(lab, options.host, argv)
    sys.stdout.flush()
    os.execvp(words[0], words)


def _logs(lab: Lab, options: argparse.Namespace) -> int:
    if not lab.logs.is_dir():
        raise is_not_up(lab)
    logs = {path.stem: path for path in sorted(lab.logs.glob("*.log"))}
    if options.part is None:
        for name, path in logs.items():
            _say(f"{path.stat().st_size:>10}  {name}")
        return OK
    if options.part not in logs:
        raise SetupError(f"There is no log of {options.part!r}; there are {', '.join(logs)}.")
    words = ["tail", "-n", "+1", *(["-f"] if options.follow else []), str(logs[options.part])]
    sys.stdout.flush()
    os.execvp("tail", words)


def _switch(lab: Lab, options: argparse.Namespace) -> int:
    file = lab.clb / controller.SWITCHES_FILE
    try:
        changes = balancing.parse_switches(options.pairs)
        if not lab.clb.is_dir():
            raise is_not_up(lab)
        if changes:
            balancing.write_switches(file, changes)
            controller.await_switches(lab.clb)
        values = balancing.read_switches(file)
    except ValueError as error:
        raise SetupError(str(error)) from error
    for name, value in values.items():
        _say(f"{name}={value}")
    return OK


def _fault(lab: Lab, options: argparse.Namespace) -> int:
    if options.fault is None:
        active = faults.on(lab, options.namespace, options.prefix)
        width = max(map(len, faults.FAULTS))
        for name, fault in faults.FAULTS.items():
            _say(f"{'on' if name in active else '  '} {name:{width}}  {fault.broken}")
        return OK
    if options.fault not in faults.FAULTS:
        raise SetupError(
            f"There is no fault {options.fault!r}; `{lab.command('fault')}` lists them."
        )
    if options.state is None:
        raise SetupError(f"Say whether to turn it on or off: fault {options.fault} on|off")
    if not lab.root.is_dir():
        raise is_not_up(lab)
    if options.state == "off":
        if not faults.turn_off(lab, options.fault, options.namespace, options.prefix):
            _say(f"{options.fault} is not on.")
        return OK
    facts = faults.turn_on(lab, options.fault, options.namespace, options.prefix)
    for name, value in facts.items():
        _say(f"{name}={value}")
    return OK


_COMMANDS: Final[dict[str, Callable[[Lab, argparse.Namespace], int]]] = {
    "build": _build,
    "up": _up,
    "down": _down,
    "status": _status,
    "exec": _exec,
    "logs": _logs,
    "switch": _switch,
    "fault": _fault,
}

if __name__ == "__main__":
    sys.exit(main())
