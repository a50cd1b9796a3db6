"""Recover: what every agent was doing when something died, and how to carry on.

`triage` grades evidence (pure), `survey` reads it from the store and the kernel. `handover` makes the packet of a session: `assembly` reads it
(`reading`) into a `dossier`, `packet` puts that into words within a budget. Nothing here is stored but what a person says.
"""
