"""The memory of a process."""


def resident_megabytes(pid: int) -> float:
    """What a process has in RAM, in MB."""
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as stream:
        for line in stream:
            if line.startswith("VmRSS:"):
                return round(int(line.split()[1]) / 1024, 1)
    raise ValueError(f"Process {pid} has no VmRSS; has it ended?")
