"""The parser of all verbs, and what happens when one fails."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from types import ModuleType

import shtab

import exvad
from exvad.cli import (
    ablate,
    analyze,
    config,
    demo,
    evaluate,
    import_features,
    labels,
    preprocess,
    reproduce,
    serve,
    sweep,
    train,
)
from exvad.cli.errors import user_error
from exvad.cli.options import is_override

VERBS: dict[str, ModuleType] = {
    "demo": demo,
    "analyze": analyze,
    "serve": serve,
    "preprocess": preprocess,
    "labels": labels,
    "train": train,
    "evaluate": evaluate,
    "sweep": sweep,
    "reproduce": reproduce,
    "ablate": ablate,
    "import-features": import_features,
    "config": config,
}

# Messages of libraries that would bury those of a verb; set the variables to see them.
QUIET = {
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_VERBOSITY": "error",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TQDM_DISABLE": "1",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code.

    Args:
        arguments: without the program's name; None for those of the process.
    """
    options = _parse(sys.argv[1:] if arguments is None else list(arguments))
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    try:
        code: int = options.run(options)
    except ValueError as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        print("exvad: stopped; run the same command again to continue", file=sys.stderr)
        return 130
    except Exception as error:  # Ray wraps what actors raise in types of its own
        sentence = user_error(str(error))
        if sentence is None:
            raise
        return _fail(sentence)
    return code


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all verbs."""
    parser = argparse.ArgumentParser(
        prog="exvad",
        description="Explainable, fine-grained video anomaly detection: "
        "when something abnormal happened, what kind it was, and why.",
    )
    parser.add_argument("--version", action="version", version=f"exvad {exvad.__version__}")
    shtab.add_argument_to(parser, "--print-completion", help="print a completion script")
    verbs = parser.add_subparsers(title="verbs", metavar="VERB")
    for name, module in VERBS.items():
        verb = verbs.add_parser(name, help=module.HELP, description=module.DESCRIPTION)
        module.add_arguments(verb)
        verb.set_defaults(run=module.run)
    return parser


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = build_parser()
    options, rest = parser.parse_known_args(arguments)
    # Overrides may stand before and after options; argparse takes only the first group.
    if rest and not (hasattr(options, "overrides") and all(map(is_override, rest))):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:
        options.overrides += rest
    if not hasattr(options, "run"):
        parser.print_help()
        parser.exit()
    options.command = arguments[1:]
    return options


def _fail(sentence: str) -> int:
    print(f"exvad: {sentence}", file=sys.stderr)
    return 2
