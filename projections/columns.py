"""The tables of the warehouse and their columns, as in schema.sql."""

Row = tuple[object, ...]
Rows = dict[str, list[Row]]
"""Rows by table, in log order."""

COUNTS = frozenset(
    "position claim generation pid attempt attempts deaths lease note cleared complexity ordinal epoch"
    " trigger as_of candidates cost".split()
)
"""Columns of whole numbers that nearly never exceed 32 bits; DuckDB takes such ones several times as fast."""

COLUMNS: dict[str, tuple[str, ...]] = {
    table: tuple(names.split())
    for table, names in {
        "log": "position subject data id time forest type source entity cause correlation",
        "task_asked": "position time task queue kind priority complexity timeout_s parent due trace",
        "task_claim": "position time task queue unit generation pid attempt deaths solo lease note agent legit",
        "task_end": "position time what task queue unit generation attempt attempts claim kind error service_ms"
        " retry_in_s moved_to reason deaths cleared effective final fenced submitted claimed type priority agent day",
        "assignment": "position time task queue agent lease attempt previous reason legit",
        "unit_event": "position time what unit pool generation pid decision adopted code signal error died",
        "unit_sample": "position time full_frame unit generation status cpu memory threads processes"
        " in_flight beat_age_ms fds completion_rate response_s error_rate",
        "queue_sample": "position time full_frame queue pending in_flight pulls redelivered",
        "agent_event": "position time what agent run pid host release wip state intent phase reason"
        " task queue attempt until decision",
        "agent_state": "position time agent state phase intent slots wip up",
        "agent_sample": "position time full_frame agent beat_age_ms holds stall_ms connected lag_ms"
        " completion_rate response_s error_rate",
        "recovery": "position time agent down_position down day",
        "decision": "position time id elf rule target choice reason text trigger as_of epoch ordinal size"
        " policy version settings inputs_digest candidates probability mode cost cause severity again"
        " generation until wanted",
        "alert_score": "position time alert verdict cause target day",
        "mana_level": "position time elf level",
        "effect": "position time what decision target step ok detail error took_ms",
        "intent": "position time source target intent restart reason",
        "job_run": "position time job decision kind ok outcome code signal took_ms tail day",
        "analysis": "position time day as_of digest missed recommendations",
        "adopted": "position time source origin digest changed settings",
        "node_event": "position time what node previous release pure_zone pid boot python reason step_ms",
        "log_rotation": "position time unit segment start stop size",
        "standby": "position time what node reason free",
        "state_digest": "position time elf as_of digest",
        "resumption": "position time elf after error",
        "quarantined": "position time message subject reason sample",
        "history": "position time what first last below head sha256 size bound messages",
        "unread": "position time type source subject reason",
    }.items()
}
