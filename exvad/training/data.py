"""Features and labels of a data set → training and selection examples.

N examples · C classes
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, overload

import numpy as np

from exvad.store.examples import Example, InputFeatures, make_example, shortened
from exvad.store.shards.feature_shard import GIB, FeatureShard, ShardMemory
from exvad.training.batches import video_owners
from exvad.training.videos import check_counts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from exvad.config import Config
    from exvad.data.manifest import Manifest
    from exvad.data.records import Video
    from exvad.store.feature_bank import FeatureBank
    from exvad.store.store import Store
    from exvad.training.videos import TrainingVideos


class StoredExamples(Sequence[Example]):
    """Examples that are made of stored features each time they are read.

    Args:
        video_ids: the video of each example.
        targets_NC: its multi-hot labels, the normal class first.
        max_snippets: maximum length; a longer video is shortened.
        read: index of an example → its features. Threads may call it concurrently.
    """

    def __init__(
        self,
        video_ids: Sequence[str],
        targets_NC: NDArray[np.float32],
        max_snippets: int,
        read: Callable[[int], InputFeatures],
    ) -> None:
        self.video_ids = video_ids
        self.targets_NC = targets_NC
        self._max_snippets = max_snippets
        self._read = read

    def __len__(self) -> int:
        return len(self.video_ids)

    @overload
    def __getitem__(self, index: int) -> Example: ...
    @overload
    def __getitem__(self, index: slice) -> list[Example]: ...
    def __getitem__(self, index: int | slice) -> Example | list[Example]:
        if isinstance(index, slice):
            return [self[row] for row in range(*index.indices(len(self)))]
        row = range(len(self))[index]
        return make_example(self._read(row), self.targets_NC[row], self._max_snippets)

    def __iter__(self) -> Iterator[Example]:
        return (self[row] for row in range(len(self)))


def labels_of(examples: Sequence[Example]) -> tuple[Sequence[str], NDArray[np.float32]]:
    """Return the videos of examples and their labels [N, C], without reading stored features."""
    if isinstance(examples, StoredExamples):
        return examples.video_ids, examples.targets_NC
    video_ids = [example.video_id for example in examples]
    return video_ids, np.stack([example.target_C for example in examples])


@dataclass(frozen=True)
class TrainingData:
    """The examples of one training.

    Args:
        train: examples to train on.
        select: examples to choose the epoch by.
    """

    train: Sequence[Example]
    select: Sequence[Example]


def training_data(bank: FeatureBank, manifest: Manifest, config: Config) -> TrainingData:
    """Make the examples of a data set of the crop in a bank; videos without features are left out.

    Args:
        bank: features of the crop that is trained, validated and tested on.
        manifest: the data set.
        config: `train.select_on` names the split to choose the epoch by.

    Raises:
        ValueError: there is no training example or no selection example.
    """

    def examples(split: str) -> StoredExamples:
        videos = [
            video for video in manifest.videos if video.split == split and video.video_id in bank
        ]
        ids = [video.video_id for video in videos]
        limit, lengths = config.model.max_snippets, bank.lengths()
        inputs = [bank.inputs(video) for video in ids]
        for row, video in enumerate(ids):
            if lengths[video] > limit:
                inputs[row] = shortened(inputs[row], limit)
        return StoredExamples(ids, _targets(manifest, videos), limit, inputs.__getitem__)

    data = TrainingData(examples("train"), examples(config.train.select_on))
    check_counts(len(data.train), len(data.select), config)
    return data


def worker_data(
    store: Store, videos: TrainingVideos, config: Config, rank: int = 0, workers: int = 1
) -> TrainingData:
    """Read a worker's share of a data set from a store; make its examples of all crops.

    Examples of other workers are listed, with their labels, and cannot be read.

    Args:
        store: the store of the features.
        videos: the videos that are trained and validated on.
        config: `train.cache_gib` and `train.scratch` say where the features may be.
        rank: index of the worker.
        workers: number of workers.

    Raises:
        ValueError: see `TrainingVideos.check_enough` and `FeatureShard.load`.
    """
    videos.check_enough(config)
    manifest, crops = videos.manifest, videos.crops
    train, select = videos.of_split("train"), videos.of_split(config.train.select_on)
    train_ids = [video.video_id for video in train]
    targets_VC = _targets(manifest, train)
    owned = set(train_ids)
    if workers > 1:
        owners = video_owners(train_ids, targets_VC, workers).tolist()
        owned = {video for video, owner in zip(train_ids, owners, strict=True) if owner == rank}
    select_ids = [video.video_id for video in select]
    keys = [(video, crop) for crop in crops for video in train_ids if video in owned]
    keys += [(video, crops[0]) for video in select_ids[rank::workers]]
    memory = ShardMemory(int(config.train.cache_gib * GIB), config.train.scratch)
    lengths = {key: videos.lengths[key] for key in keys}
    limit = config.model.max_snippets
    shard = FeatureShard.load(store, lengths, config.model.text, limit, memory)

    def read_train(row: int) -> InputFeatures:
        crop, video = divmod(row, len(train_ids))
        return shard.inputs(train_ids[video], crops[crop])

    def read_select(row: int) -> InputFeatures:
        return shard.inputs(select_ids[row], crops[0])

    targets_NC = np.tile(targets_VC, (len(crops), 1))
    return TrainingData(
        StoredExamples(train_ids * len(crops), targets_NC, limit, read_train),
        StoredExamples(select_ids, _targets(manifest, select), limit, read_select),
    )


def _targets(manifest: Manifest, videos: Sequence[Video]) -> NDArray[np.float32]:
    targets = [manifest.target(video) for video in videos]
    return np.stack(targets) if targets else np.zeros((0, len(manifest.classes)), np.float32)
