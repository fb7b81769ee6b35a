"""Resident memory of a process."""


def resident_megabytes(pid: int) -> float:
    """Returns the resident set size of a process in MB."""
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as stream:
        for line in stream:
            if line.startswith("VmRSS:"):
                return round(int(line.split()[1]) / 1024, 1)
    raise ValueError(f"Process {pid} has no VmRSS; has it ended?")
