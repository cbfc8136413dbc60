"""Training of the network on video labels (paper, sections 3.5 and 4.1).

- `videos.py`: which videos of a run can be trained on.
- `batches.py`: which videos each worker owns, and which it trains on in each step.
- `data.py`: features and labels of a data set → training and selection examples.
- `prefetch.py`: the next batches, prepared by a thread.
- `replica.py`: one of the workers that train a network together.
- `trainer.py`: one epoch of gradient steps on the loss of equation 11, in one process.
- `validation.py`: metrics on the selection examples, and how epochs are compared by them.
- `fitting.py`: all epochs, the choice of the best one, and resumption after an interruption.
- `worker.py`: the function that each Ray Train worker runs; the only file that imports Ray.
"""
