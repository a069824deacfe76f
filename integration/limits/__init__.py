"""What edge, service and commands share about limits: rules, names of counters, tickets."""
