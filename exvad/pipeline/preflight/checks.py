"""All checks of a configuration, for `exvad check` and for the start of each job."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from exvad.checkpoints.local_tracking import database_path
from exvad.pipeline.preflight.cluster import check_on_cluster
from exvad.pipeline.preflight.files import check_label_file, check_prompt
from exvad.pipeline.preflight.findings import BackgroundChecks, Finding, PreflightError
from exvad.pipeline.preflight.models import model_checks
from exvad.pipeline.preflight.needs import Job, Needs, job_needs
from exvad.pipeline.preflight.places import check_data, check_place
from exvad.pipeline.preflight.processors import check_stage, local_processors
from exvad.pipeline.preflight.sandbox import check_sandbox
from exvad.pipeline.preflight.submission import check_submission
from exvad.pipeline.preflight.tracking import SETTING, check_tracking_server
from exvad.pipeline.session import is_on_cluster

if TYPE_CHECKING:
    from exvad.config import Config
    from exvad.encoders.model_files import ModelKind

BACKGROUND_SECONDS = 15.0


def check_run(config: Config, job: Job | None = None) -> list[Finding]:
    """Look at everything that a run needs, in seconds; nothing is loaded or downloaded.

    Args:
        config: the configuration of the run.
        job: the job whose needs are checked; None for all jobs together.

    Returns:
        The findings: models, GPUs and memory, folders, data.
    """
    needs, background = job_needs(config, job), BackgroundChecks(BACKGROUND_SECONDS)
    on_cluster = is_on_cluster()
    here = needs.driver_models if on_cluster else _all_models(needs)
    for what, check in model_checks(config, here, waits_for_endpoints=job is not None):
        background.start(what, check)
    lost = check_submission(config)
    places = {"run": partial(check_place, "run", config.run)}
    if needs.writes_store:
        places["store"] = partial(check_place, "store", config.store_path)
    if needs.reads_videos:
        places["data"] = partial(check_data, config, compares_events=job is None)
    if needs.reads_videos and not on_cluster:
        places["sandbox"] = partial(check_sandbox, config)
    uri = config.mlflow_uri
    if job is None and uri and database_path(uri) is None:  # the other jobs ask it themselves
        background.start(SETTING, partial(check_tracking_server, uri))
    for finding in lost:
        places.pop(finding.what, None)
    for what, check in places.items():
        # A slow disk is no reason to stop a job.
        background.start(what, check, may_be_late=job is not None)
    if on_cluster and (needs.worker_models or needs.stages):
        findings, processors = check_on_cluster(config, needs)
    else:
        wants_gpu = config.device.startswith("cuda") or any(stage.gpus for stage in needs.stages)
        findings, processors = [], local_processors(counts_gpus=wants_gpu)
    findings += _check_files(config, job)
    findings += [check_stage(config, stage, processors) for stage in needs.stages]
    return [*background.collect(), *findings, *lost]


def require_ready(config: Config, job: Job) -> None:
    """Check what a job needs before it computes anything.

    Args:
        config: the configuration of the run.
        job: the job.

    Raises:
        PreflightError: something is missing; the message names every problem.
    """
    findings = check_run(config, job)
    if not all(finding.ok for finding in findings):
        raise PreflightError(findings)


def _check_files(config: Config, job: Job | None) -> list[Finding]:
    """Check the prompts and the label file that a job reads."""
    findings = []
    if job in (None, "preprocess"):
        findings.append(check_prompt("llm.prompt", config.llm.prompt))
    if job in (None, "labels") and config.labels.file:
        findings.append(check_label_file(config))
    elif job in (None, "labels"):
        findings.append(check_prompt("labels.prompt", config.labels.prompt))
    return findings


def _all_models(needs: Needs) -> tuple[ModelKind, ...]:
    return tuple(dict.fromkeys((*needs.worker_models, *needs.driver_models)))
