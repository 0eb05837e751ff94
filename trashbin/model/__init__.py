"""The network: its manifest, its runtime, its golden inputs."""
