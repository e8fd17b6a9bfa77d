"""What a run was, for people and machines: the event stream and its renderings."""
