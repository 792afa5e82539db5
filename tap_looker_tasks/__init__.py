"""A Singer tap that follows Looker query tasks and delivers their outcomes and results."""
