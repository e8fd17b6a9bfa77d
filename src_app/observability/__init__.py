"""What the console and its services report of themselves: figures, traces, logs, health."""
