"""The parser of all verbs, and the messages of those that fail."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from types import ModuleType

import shtab

import exvad
from exvad.cli.errors import user_error
from exvad.cli.options import is_override
from exvad.cli.verbs import (
    analyze,
    cameras,
    check,
    config,
    convert_annotations,
    demo,
    evaluate,
    export,
    import_features,
    labels,
    memory,
    preprocess,
    serve,
    sweep,
    train,
)
from exvad.cli.verbs.studies import ablate, compare, reproduce

VERBS: dict[str, ModuleType] = {
    "demo": demo,
    "analyze": analyze,
    "serve": serve,
    "cameras": cameras,
    "check": check,
    "preprocess": preprocess,
    "labels": labels,
    "memory": memory,
    "train": train,
    "evaluate": evaluate,
    "sweep": sweep,
    "reproduce": reproduce,
    "ablate": ablate,
    "compare": compare,
    "import-features": import_features,
    "convert-annotations": convert_annotations,
    "export": export,
    "config": config,
}

# These hide messages of libraries among which those of a verb would be lost. A variable that is
# set already keeps its value.
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
        arguments: the arguments without the program's name; None for those of the process.
    """
    options = _parse(sys.argv[1:] if arguments is None else list(arguments))
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    try:
        code: int = options.run(options)
    except ValueError as error:
        return _fail(str(error))
    except OSError as error:
        reason = error.strerror or str(error)
        return _fail(f"{error.filename}: {reason}" if error.filename else reason)
    except KeyboardInterrupt:
        print("exvad: stopped; run the same command again to continue", file=sys.stderr)
        return 130
    except Exception as error:  # Ray wraps the errors of actors in types of its own
        message = user_error(str(error))
        if message is None:
            raise
        return _fail(message)
    return code


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all verbs."""
    parser = argparse.ArgumentParser(
        prog="exvad",
        description="Explainable, fine-grained video anomaly detection: "
        "when something abnormal happens in a video, of which class it is, and why.",
    )
    parser.add_argument("--version", action="version", version=f"exvad {exvad.__version__}")
    shtab.add_argument_to(
        parser, "--print-completion", help="print a script that completes arguments in a shell"
    )
    parser.set_defaults(run=lambda _: _print_help(parser))
    verbs = parser.add_subparsers(title="verbs", metavar="VERB")
    for name, module in VERBS.items():
        verb = verbs.add_parser(name, help=module.HELP, description=module.DESCRIPTION)
        module.add_arguments(verb)
        verb.set_defaults(run=module.run)
    return parser


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = build_parser()
    options, rest = parser.parse_known_args(arguments)
    # Overrides may stand before and after options, but argparse takes only the first group.
    if rest and not (hasattr(options, "overrides") and all(map(is_override, rest))):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:
        options.overrides += rest
    options.command = arguments[1:]
    return options


def _print_help(parser: argparse.ArgumentParser) -> int:
    parser.print_help()
    return 0


def _fail(message: str) -> int:
    print(f"exvad: {message}", file=sys.stderr)
    return 2
