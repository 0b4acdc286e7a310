"""Networks: pure functions of parameters and inputs."""
