"""Distributed training: strategy, cross-replica collectives and preemption."""
