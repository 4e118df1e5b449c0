"""The commands of `timebank`, one file a subject."""
