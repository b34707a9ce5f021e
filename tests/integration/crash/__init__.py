"""The crash laboratory: what is left of mail when power, processes and disks fail."""
