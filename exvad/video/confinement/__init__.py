"""Confinement of a process by the Linux kernel: namespaces, Landlock, seccomp; no root needed."""
