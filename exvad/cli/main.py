"""The parser of all verbs, and the messages of those that fail."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from types import ModuleType

import shtab

import exvad
from exvad.cli.errors import describe_error
from exvad.cli.exit_codes import DONE, REFUSED
from exvad.cli.options import is_override
from exvad.cli.streams import CLOSED, output_failure, prepare_streams, print_error
from exvad.cli.verbs import (
    analyze,
    check,
    config,
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
from exvad.cli.verbs.annotations import convert_annotations, label
from exvad.cli.verbs.live import cameras, watch
from exvad.cli.verbs.studies import ablate, compare, reproduce
from exvad.config.suggestions import did_you_mean
from exvad.data.storage.errors import is_full, reason_of
from exvad.pipeline.termination import (
    EXIT_INTERRUPTED,
    ReportedInterruptError,
    termination_raised,
)

VERBS: dict[str, ModuleType] = {
    "demo": demo,
    "analyze": analyze,
    "serve": serve,
    "label": label,
    "watch": watch,
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

# These go on nowhere when they are run again.
BEGIN_ANEW = ("analyze", "watch", "cameras", "check", "convert-annotations", "export", "config")

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
    if not prepare_streams():
        return _fail(CLOSED)
    try:
        with termination_raised():
            code = _run(sys.argv[1:] if arguments is None else list(arguments))
    except SystemExit:  # help, version and wrong arguments
        failure = output_failure()
        if failure is None:
            raise
        return failure
    failure = output_failure()
    return code if failure is None else failure


def _run(arguments: list[str]) -> int:
    """Run a verb; return the exit code, after the message if it failed."""
    options: argparse.Namespace | None = None
    try:
        options = _parse(arguments)
        for name, value in QUIET.items():
            os.environ.setdefault(name, value)
        code: int = options.run(options)
    except ValueError as error:
        return _fail(str(error))
    except OSError as error:
        failure = output_failure(error)
        if failure is not None:
            return failure
        return _fail(_describe(error))
    except KeyboardInterrupt as interruption:
        begins_anew = getattr(options, "begins_anew", False)
        if not isinstance(interruption, ReportedInterruptError):
            advice = "" if begins_anew else "; run the same command again to continue"
            print_error(f"stopped{advice}")
        return EXIT_INTERRUPTED
    except Exception as error:  # Ray wraps the errors of actors in types of its own
        message = describe_error(error)
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
        verb.set_defaults(run=module.run, begins_anew=name in BEGIN_ANEW)
    return parser


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = build_parser()
    _suggest_verb(parser, arguments)
    options, rest = parser.parse_known_args(arguments)
    # Overrides may stand before and after options, but argparse takes only the first group.
    if rest and not (hasattr(options, "overrides") and all(map(is_override, rest))):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:
        options.overrides += rest
    options.command = arguments[1:]
    return options


def _suggest_verb(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> None:
    """End with the verb that was probably meant, where the first argument is almost one."""
    first = arguments[0] if arguments else "-"
    if first.startswith("-") or first in VERBS:
        return
    closest = did_you_mean(first, VERBS)
    advice = f"did you mean {closest}?" if closest else f"the verbs are {', '.join(VERBS)}"
    parser.error(f"there is no verb {first!r}; {advice}")


def _print_help(parser: argparse.ArgumentParser) -> int:
    parser.print_help()
    return DONE


def _describe(error: OSError) -> str:
    reason = reason_of(error)
    if error.filename:
        advice = "; make room there and run the same command again" if is_full(error) else ""
        return f"{error.filename}: {reason}{advice}"
    return f"the output or a file can't be written ({reason})" if is_full(error) else reason


def _fail(message: str) -> int:
    print_error(message)
    return REFUSED
