"""Tell people and programs what became of a run: a web hook, Slack, mail, or a block of Prefect.

Webhook URLs are secrets: anyone who has one can post to it. Only their hosts are logged.
"""

import logging
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, Final
from urllib.parse import quote, urlsplit

import httpx

from flows import urls
from flows.report.links import link_to_report
from flows.state.results import FINISHED, RowResult, read_results
from sonic_ops.core.constants import FAILED, LOOK, READY, VERDICTS
from sonic_ops.core.errors import SonicError

NAMED: Final = 10
"""Rows that a message names; the report has all of them."""
TIMEOUT_S: Final = 30.0
SMTP: Final = "SONIC_SMTP"
"""The variable with the mail server, in the form of Apprise: mailtos://user:password@host."""

_SLACK: Final = ("hooks.slack.com", "hooks.slack-gov.com")
_BLOCK: Final = re.compile(r"[a-z][a-z0-9-]*/[a-z0-9-]+")
_log = logging.getLogger(__name__)
logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs URLs


@dataclass(frozen=True, slots=True)
class NamedRow:
    """A row that is not ready, with the reason and what to do."""

    id: str
    verdict: str
    reason: str
    remedy: str
    output: str


@dataclass(frozen=True, slots=True)
class Message:
    """What became of a run; `rows` are the first that are not ready, the worst first."""

    name: str
    state: str
    preset: str
    text: str = ""
    counts: dict[str, int] = field(default_factory=dict)
    rows: tuple[NamedRow, ...] = ()
    results: tuple[str, ...] = ()
    reports: tuple[str, ...] = ()

    @property
    def subject(self) -> str:
        """Return the message in a few words."""
        counted = ", ".join(f"{count:,} {kind}" for kind, count in self.counts.items())
        return f"sonic: {self.name}: {counted or self.state}"

    @property
    def body(self) -> str:
        """Return the message for people."""
        named = [
            f"{row.id}: {row.verdict}: {row.reason}. {row.remedy}".strip() for row in self.rows
        ]
        num_more = sum(n for kind, n in self.counts.items() if kind != READY) - len(named)
        more = [f"and {num_more:,} more"] if num_more > 0 else []
        return "\n".join([*([self.text] if self.text else []), *named, *more, *self.reports])


@dataclass(slots=True)
class Outcome:
    """What a run has to say at its end: its results tables, and a sentence if it ended badly."""

    tables: list[str] = field(default_factory=list)
    text: str = ""


def message_of(name: str, preset: str, outcome: Outcome) -> Message:
    """Sum up the results of a run."""
    tables, text = outcome.tables, outcome.text
    counts, is_well = Counter[str](), not text
    for table in tables:
        for row in read_results(table):
            counts[_state(row)] += 1
            is_well = is_well and row.status in FINISHED
    kinds = [kind for kind in (*reversed(VERDICTS), *counts) if counts[kind]]
    return Message(
        urls.printable(urls.name_of(name)),
        "completed" if is_well else "failed",
        urls.printable(preset),
        text,
        {kind: counts[kind] for kind in kinds},
        tuple(_named(tables)),
        tuple(urls.printable(table) for table in tables),
        tuple(link for table in tables if (link := link_to_report(table))),
    )


@contextmanager
def notifying(targets: Sequence[str], name: str, preset: str) -> Iterator[Outcome]:
    """Tell the targets what became of a run, or what ended it."""
    outcome = Outcome()
    try:
        yield outcome
    except Exception as error:
        remedy = f". {error.remedy}" if isinstance(error, SonicError) else ""
        outcome.text = f"{error}{remedy}"
        raise
    finally:
        if targets and (outcome.tables or outcome.text):
            notify(targets, message_of(name, preset, outcome))


def notify(targets: Sequence[str], message: Message) -> bool:
    """Send a message to every target; whether all took it. One that does not is only logged."""
    return all([_sent(target, message) for target in targets])


def _sent(target: str, message: Message) -> bool:
    try:
        if target.startswith(("http://", "https://")):
            _post(target, message)
        elif _BLOCK.fullmatch(target):
            _use_block(target, message)
        elif not _apprise(target, message):
            raise ValueError("it was not taken")
    except Exception as error:  # whatever a server answers: the videos are what counts
        _log.error("%s could not be notified: %s", _host_of(target), _reason(error))
        return False
    return True


def _post(target: str, message: Message) -> None:
    """Post JSON. Raises httpx.HTTPError."""
    httpx.post(target, json=content_for(target, message), timeout=TIMEOUT_S).raise_for_status()


def content_for(target: str, message: Message) -> dict[str, object]:
    """Return what is posted to a web hook; `text` is the message for people."""
    text = f"{message.subject}\n{message.body}"
    is_slack = urlsplit(target).hostname in _SLACK
    return {"text": text} if is_slack else asdict(message) | {"text": text}


def _use_block(target: str, message: Message) -> None:
    """Use a block of Prefect, such as `slack-webhook/night`: the server keeps its secret."""
    from prefect.blocks.abstract import NotificationBlock
    from prefect.blocks.core import Block

    block: Any = Block.load(target)
    if NotificationBlock not in type(block).mro():
        raise ValueError("it is no block for notifications")
    block.notify(message.body, subject=message.subject)


def _apprise(target: str, message: Message) -> bool:
    import apprise

    for name in ("apprise", "urllib3"):  # they log what they are given
        logging.getLogger(name).setLevel(logging.CRITICAL)
    sender = apprise.Apprise()
    if not sender.add(_mail(target)):
        raise ValueError("Apprise does not know this URL")
    return bool(sender.notify(body=message.body, title=message.subject))


def _mail(target: str) -> str:
    """Return the Apprise URL of `mailto:name@host`; any other as it is."""
    if not target.startswith("mailto:") or target.startswith("mailto://"):
        return target
    server = os.environ.get(SMTP)
    if not server:
        raise ValueError(f"{SMTP} does not name a mail server")
    receiver = quote(target.removeprefix("mailto:"), safe="@")
    return f"{server}{'&' if '?' in server else '?'}to={receiver}"


def _state(row: RowResult) -> str:
    return row.verdict or ("not judged" if row.status in FINISHED else row.status)


def _named(tables: Sequence[str]) -> Iterator[NamedRow]:
    num_named = 0
    for kind in (FAILED, LOOK):
        for table in tables:
            for row in read_results(table):
                if row.verdict == kind and num_named < NAMED:
                    num_named += 1
                    output = urls.printable(row.output or "")
                    yield NamedRow(row.id, kind, row.reason or "", row.remedy or "", output)


def _host_of(target: str) -> str:
    if _BLOCK.fullmatch(target):
        return f"the block {target}"
    scheme = target.partition(":")[0]
    host = urlsplit(target).hostname if target.startswith("http") else None
    return f"the {scheme} URL at {host}" if host else f"the {scheme} URL"


def _reason(error: Exception) -> str:
    """Say why a target took nothing; what a library says may hold the URL."""
    if isinstance(error, httpx.HTTPStatusError):
        return f"it answers {error.response.status_code}"
    return str(error) if isinstance(error, ValueError) else type(error).__name__
