"""What is known of videos: manifests, benchmarks, frames, the feature store and the demo world."""
