"""What people answer to proposals and advice, and what they know: the operator's side of learning."""

from events.event import Event


class ProposalApproved(Event, frozen=True, kw_only=True):
    """A person says yes to a decision: a proposal, or an act that an elf only advised.

    `elf`, `rule` and `about` repeat whose decision it is and its target. An advised act is decided anew on what is true
    now, once and within an hour.
    """

    decision: str
    elf: str
    rule: str
    about: str
    reason: str = ""


class ProposalRejected(Event, frozen=True, kw_only=True):
    """A person says no to a decision; the same is not proposed again before its time."""

    decision: str
    elf: str
    rule: str
    about: str
    reason: str = ""


class KnowledgeAdded(Event, frozen=True, kw_only=True):
    """A person writes down a solved case: what was seen, why, what helped and how one knows."""

    record: str
    title: str
    symptom: str
    cause: str = ""
    measure: str = ""
    proof: str = ""
    tags: tuple[str, ...] = ()


ProposalEvent = ProposalApproved | ProposalRejected | KnowledgeAdded
