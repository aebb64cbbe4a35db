"""Every rule of every elf by name: what a mode may be set for, and what recorded histories must have decisions of."""

RULES: dict[str, tuple[str, ...]] = {
    elf: tuple(names.split())
    for elf, names in {
        "flow": "backlog cpu drain jam monitor silence skew slow_peer speed",
        "time": "condition job job_failure maintenance prepare publication remind restart_advice",
        "balance": "assign batch even_cpu even_memory give_up night overflow reassign redistribute scale unplaced",
        "healing": "black_hole blocked_io config_alert config_repair crash deadlock disk_sleep down gil_held"
        " handle_leak handle_restart leak leak_alert leak_notice livelock memory memory_hurry memory_quiet not_pulling"
        " not_ready not_responding order pause ping probation promote quarantine reconfigure recover restart"
        " shared_cause stalled start stop stopped suspect verify zombies",
        "wisdom": "abstain error_condition forecast_limit memory_limit order overload rule_precision score size timeout"
        " tuning useful_acts weekly_pattern",
    }.items()
}
