"""Shows the tap at work: an application's query tasks, a Looker API, Meltano and PostgreSQL."""
