"""Progress of the jobs: lines in a log, the epochs of a training, the rendering of videos."""
