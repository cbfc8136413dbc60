"""cluster.yaml on a simulated AWS: deploy/aws/stack.yaml, then what `ray up` does before SSH."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from moto import mock_aws
from ray.autoscaler._private.aws.config import bootstrap_aws
from ray.autoscaler._private.aws.node_provider import AWSNodeProvider
from ray.autoscaler._private.util import prepare_config

ROOT = Path(__file__).resolve().parents[2]
REGION = "us-west-2"
CIDR = "203.0.113.7/32"
BUCKET = "videos-of-the-test"

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture
def aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An AWS account in this process, and a home folder for the keys that Ray makes."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.setenv("HOME", str(tmp_path))
    with mock_aws():
        yield


@pytest.fixture
def cluster() -> dict[str, Any]:
    """The content of cluster.yaml, with Ray's defaults for what it leaves out."""
    filled: dict[str, Any] = prepare_config(yaml.safe_load((ROOT / "cluster.yaml").read_text()))
    return filled


def deploy_stack(ec2: Any, cidr: str = CIDR) -> dict[str, str]:
    """Make the stack; return its outputs and the subnet."""
    subnet = ec2.describe_subnets()["Subnets"][0]
    formation = boto3.client("cloudformation", REGION)
    parameters = {
        "Bucket": BUCKET, "SshCidr": cidr, "Vpc": subnet["VpcId"], "Subnet": subnet["SubnetId"]
    }  # fmt: skip
    formation.create_stack(
        StackName="exvad",
        TemplateBody=(ROOT / "deploy/aws/stack.yaml").read_text(),
        Capabilities=["CAPABILITY_NAMED_IAM"],
        Parameters=[
            {"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()
        ],
    )
    (stack,) = formation.describe_stacks(StackName="exvad")["Stacks"]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    return {**outputs, "Subnet": subnet["SubnetId"]}


def role_statements(role: str) -> list[dict[str, Any]]:
    """Return the statements of all policies of a role."""
    iam = boto3.client("iam", REGION)
    documents = [
        iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        for name in iam.list_role_policies(RoleName=role)["PolicyNames"]
    ]
    for policy in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]:
        arn = policy["PolicyArn"]
        version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        found = iam.get_policy_version(PolicyArn=arn, VersionId=version)
        documents.append(found["PolicyVersion"]["Document"])
    # The simulation returns the documents of a stack as text of Python.
    parsed = [yaml.safe_load(text) if isinstance(text, str) else text for text in documents]
    return [statement for document in parsed for statement in document["Statement"]]


def test_stack_is_a_template_that_cloudformation_accepts() -> None:
    cfn_lint = Path(sys.executable).with_name("cfn-lint")
    checked = subprocess.run(
        [cfn_lint, "--regions", REGION, "--", ROOT / "deploy/aws/stack.yaml"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.usefixtures("aws")
def test_stack_lets_in_ssh_from_the_given_addresses_and_nothing_else_from_outside() -> None:
    ec2 = boto3.client("ec2", REGION)
    group_id = deploy_stack(ec2)["SecurityGroup"]
    (group,) = ec2.describe_security_groups(GroupIds=[group_id])["SecurityGroups"]
    from_outside = [rule for rule in group["IpPermissions"] if rule["IpRanges"]]
    assert [(rule["FromPort"], rule["ToPort"]) for rule in from_outside] == [(22, 22)]
    assert [address["CidrIp"] for address in from_outside[0]["IpRanges"]] == [CIDR]
    among = [rule for rule in group["IpPermissions"] if rule["UserIdGroupPairs"]]
    assert [pair["GroupId"] for rule in among for pair in rule["UserIdGroupPairs"]] == [group_id]


@pytest.mark.usefixtures("aws")
def test_roles_reach_one_bucket_and_the_head_hands_workers_their_role_only() -> None:
    deploy_stack(boto3.client("ec2", REGION))
    worker_arn = boto3.client("iam", REGION).get_role(RoleName="exvad-worker")["Role"]["Arn"]
    for role in ("exvad-head", "exvad-worker"):
        actions: dict[str, str] = {}
        for statement in role_statements(role):
            listed = statement["Action"]
            for action in [listed] if isinstance(listed, str) else listed:
                actions[action] = str(statement["Resource"])
        buckets = {resource for action, resource in actions.items() if action.startswith("s3:")}
        assert buckets == {f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"}
        assert {"s3:GetObject", "s3:PutObject", "s3:ListBucket"} <= set(actions)
        others = {action for action in actions if not action.startswith("s3:")}
        if role == "exvad-worker":
            assert others == set()
        else:
            assert {"ec2:RunInstances", "ec2:TerminateInstances", "iam:PassRole"} <= others
            assert actions["iam:PassRole"] == worker_arn


@pytest.mark.usefixtures("aws")
def test_ray_starts_spot_workers_with_what_the_stack_made_and_adds_nothing(
    cluster: dict[str, Any],
) -> None:
    ec2, iam = boto3.client("ec2", REGION), boto3.client("iam", REGION)
    made = deploy_stack(ec2)
    image = ec2.describe_images()["Images"][0]["ImageId"]
    for node in cluster["available_node_types"].values():
        node["node_config"] |= {
            "ImageId": image,
            "SecurityGroupIds": [made["SecurityGroup"]],
            "SubnetIds": [made["Subnet"]],
        }
    roles = {role["RoleName"] for role in iam.list_roles()["Roles"]}
    groups = {group["GroupId"] for group in ec2.describe_security_groups()["SecurityGroups"]}
    started = bootstrap_aws(cluster)
    assert {role["RoleName"] for role in iam.list_roles()["Roles"]} == roles
    found = {group["GroupId"] for group in ec2.describe_security_groups()["SecurityGroups"]}
    assert found == groups
    provider = AWSNodeProvider(started["provider"], started["cluster_name"])
    for name, profile in {"head": "exvad-head", "gpu_worker": "exvad-worker"}.items():
        node_config = started["available_node_types"][name]["node_config"]
        (instance,) = provider.create_node(node_config, {}, 1).values()
        instance.load()
        assert instance.image_id == image
        assert [group["GroupId"] for group in instance.security_groups] == [made["SecurityGroup"]]
        assert instance.iam_instance_profile["Arn"].endswith(f"/{profile}")
        assert (instance.instance_lifecycle == "spot") == (name == "gpu_worker")
        tags = {tag["Key"]: tag["Value"] for tag in instance.tags}
        # The condition under which the head may terminate nodes.
        assert tags["ray-cluster-name"] == "exvad"


@pytest.mark.usefixtures("aws")
def test_ray_refuses_the_ids_that_were_not_changed(
    cluster: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(AssertionError):
        bootstrap_aws(cluster)
    assert "Failed to detect a security group" in capsys.readouterr().err
    assert boto3.client("iam", REGION).list_roles()["Roles"] == []
