"""The reference of the command line, from exvad's own parser."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from exvad.cli.main import build_parser
from scripts.docs.tables import prose, table

WIDTH = 88
HIDDEN = ("help", "version", "print_completion")


def command_line() -> str:
    """Return a section for every command: what it does, its usage, and its arguments."""
    return "\n\n".join(_section(*command) for command in _commands(build_parser(), ""))


def _commands(
    parser: argparse.ArgumentParser, description: str
) -> Iterator[tuple[argparse.ArgumentParser, str]]:
    """Yield every parser without subcommands, with its description or that of its parent."""
    groups = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    if not groups:
        yield parser, parser.description or description
    for group in groups:
        for command in group.choices.values():
            yield from _commands(command, parser.description or "")


def _section(parser: argparse.ArgumentParser, description: str) -> str:
    formatter = argparse.HelpFormatter(parser.prog, width=WIDTH)
    formatter.add_usage(parser.usage, parser._actions, parser._mutually_exclusive_groups, prefix="")
    usage = formatter.format_help().strip()
    actions = [action for action in parser._actions if action.dest not in HIDDEN]
    rows = [(_name(action), prose(formatter._expand_help(action))) for action in actions]
    parts = [f"## {parser.prog}", prose(description), f"```text\n{usage}\n```"]
    if rows:
        parts.append(table(("argument", "meaning"), rows))
    return "\n\n".join(part for part in parts if part)


def _name(action: argparse.Action) -> str:
    if not action.option_strings:
        return f"`{action.metavar or action.dest}`"
    value = ""
    if action.nargs != 0:
        choices = "|".join(map(str, action.choices or ()))
        value = f" {action.metavar or choices or action.dest.upper()}"
    return ", ".join(f"`{option}{value}`" for option in action.option_strings)
