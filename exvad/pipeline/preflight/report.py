"""The findings of a preflight on the terminal or as JSON."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from exvad.pipeline.preflight.checks import check_run

if TYPE_CHECKING:
    from exvad.config import Config

EXIT_MISSING = 2


def report_checks(config: Config, as_json: bool) -> int:
    """Check a run and print what was found.

    Args:
        config: the configuration of the run.
        as_json: whether to print one JSON object instead of lines.

    Returns:
        The exit code: 0, or 2 if anything is missing.
    """
    findings = check_run(config)
    ok = all(finding.ok for finding in findings)
    if as_json:
        listed = [asdict(finding) for finding in findings]
        sys.stdout.write(json.dumps({"ok": ok, "findings": listed}, ensure_ascii=False) + "\n")
        return 0 if ok else EXIT_MISSING
    console = Console(highlight=False)
    for finding in findings:
        mark = ("✓", "green") if finding.ok else ("✗", "bold red")
        line = Text.assemble(mark, " ", (finding.what, "bold"), f": {finding.detail}")
        console.print(line, soft_wrap=True)
    return 0 if ok else EXIT_MISSING
