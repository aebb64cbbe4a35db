"""The server's accounts: agents have one of their own, so that no answer of the server reaches the log's subjects.

Whoever asks JetStream chooses where its answer goes, and the server itself puts it there: in one account with the
stream an agent could have its own words stored as anybody's. Between accounts the server sends answers back to the
account that asked, and there is no stream.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template

from actors.connection import Credentials
from actors.permissions import User

FOREST = "FOREST"
# The account of a server without accounts.
SHARED = "$G"
_ANSWER_WITHIN = "15m"

_ACCOUNTS = Template(
    """accounts {
  $forest {
    jetstream: enabled
    users: [
$users
    ]
    exports: [
$serves
    ]
    imports: [
      { stream: { account: AGENTS, subject: "beat.agent.*" } },
      { service: { account: AGENTS, subject: "agent.>" } }
    ]
  }
  AGENTS {
    users: [
$agents
    ]
    exports: [
      { stream: "beat.agent.*", accounts: [$forest] },
      { service: "agent.>", accounts: [$forest] }
    ]
    imports: [
$uses
    ]
  }
}
"""
)

# What agents may ask of the forest's account at all; each one's own subjects are permitted one by one.
_SERVICES = (
    ("log.agent.>", ""),
    ("ctl.agent.*", ""),
    ("$JS.API.CONSUMER.MSG.NEXT.LOG.*", "stream"),
    ("$JS.ACK.LOG.*.>", ""),
    ("$JS.API.DIRECT.GET.LOG.log.agent.>", ""),
)


def authorization(users: Sequence[User], issued: Mapping[str, Credentials], apart: bool) -> str:
    """Return the server's users, agents `apart` in an account of their own or all of them together."""
    if not apart:
        rows = ",\n".join(_row(user, issued) for user in users)
        return "authorization {\n  users: [\n" + rows + "\n  ]\n}\n"
    exports, imports = [], []
    for subject, answers in _SERVICES:
        kind = f", response: {answers}" if answers else ""
        exports.append(f"      {{ service: {json.dumps(subject)}{kind}, accounts: [AGENTS] }}")
        imports.append(f"      {{ service: {{ account: {FOREST}, subject: {json.dumps(subject)} }} }}")
    return _ACCOUNTS.substitute(
        forest=FOREST,
        users=",\n".join(_row(user, issued) for user in users if not user.remote),
        agents=",\n".join(_row(user, issued) for user in users if user.remote),
        serves=",\n".join(exports),
        uses=",\n".join(imports),
    )


def _row(user: User, issued: Mapping[str, Credentials]) -> str:
    publish: dict[str, Sequence[str]] = {"allow": user.publish}
    if user.deny_publish:
        publish["deny"] = user.deny_publish
    permissions: dict[str, object] = {"publish": publish, "subscribe": {"allow": user.subscribe}}
    if user.remote:
        # Once for each request that it is sent; the longest canary, and then some.
        permissions["allow_responses"] = {"max": 1, "expires": _ANSWER_WITHIN}
    return (
        f"    {{ user: {json.dumps(user.name)}, password: {json.dumps(issued[user.name].password)},"
        f" permissions: {json.dumps(permissions)} }}"
    )


def shared_store(store: Path) -> Path:
    """Return where a server without accounts keeps its streams."""
    return store / "jetstream" / SHARED


def move_store(store: Path) -> None:
    """Give a store of a server without accounts to the forest's account; the server must not run."""
    old, new = shared_store(store), store / "jetstream" / FOREST
    if old.exists() and not new.exists():
        old.rename(new)
