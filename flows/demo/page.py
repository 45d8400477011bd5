"""The page itself: two tabs, one for a portrait, one for a film; needs the extra `demo`."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any, Final, TypeAlias

import gradio as gr
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flows.demo.renders import Renders, State
from flows.rows.columns import LENGTHS
from flows.rows.config import load_preset
from sonic_ops.core.errors import SonicError
from sonic_ops.core.presets import preset_names

LOOPBACK: Final = "127.0.0.1"
MOST_BYTES: Final = 2 << 30
"""Of an uploaded file. How large an image may be, the preset says."""

STRENGTHS: Final = (0.0, 3.0, 0.1)
"""Least, most and step of head motion and expression."""

# gradio trims films by a program from another machine.
CSS: Final = """
.sonic progress { width: 100%; height: 1.2em; accent-color: var(--primary-500); }
.sonic p { margin: 0.4em 0; }
[aria-label^="Trim video"], [aria-label^="Reset video"] { display: none !important; }
.sonic [role=alert] { border-left: 4px solid #b91c1c; padding: 0.4em 0.8em; font-weight: 600; }
"""

POLICY: Final = (
    "default-src 'self' blob: data: 'unsafe-inline' 'unsafe-eval'; frame-ancestors 'none'"
)
"""The browser loads nothing from elsewhere, whatever gradio would like."""

Components: TypeAlias = "list[Any]"
Outputs: TypeAlias = "tuple[str, Any, Any]"


class WithPolicy:
    """Sends the policy with every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request as the application does, with one more header."""

        async def send_with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Content-Security-Policy"] = POLICY
            await send(message)

        await self._app(scope, receive, send_with_policy)


@dataclass(frozen=True, slots=True)
class Kind:
    """What a tab makes: from which column's file, and with which other columns."""

    column: str
    title: str
    audio: str
    consent: str
    others: tuple[str, ...]


PORTRAIT: Final = Kind(
    "portrait",
    "Portrait",
    "Recording",
    "The person in the image agrees to this video",
    ("seed", "head_motion", "expression"),
)
FILM: Final = Kind(
    "video",
    "Film",
    "New speech",
    "The speaker of the film agrees to this video",
    ("seed", "head_motion", "expression", "length", "language"),
)


def build(renders: Renders, preset: str) -> gr.Blocks:
    """Lay out the page; `preset` is the one that is chosen first. Raises ConfigError."""
    with gr.Blocks(title="sonic demo", analytics_enabled=False) as page:
        gr.Markdown("# sonic demo\nA face and a recording become a video, on this machine.")
        for kind in (PORTRAIT, FILM):
            with gr.Tab(kind.title):
                _lay_out(kind, renders, preset)
    page.queue(default_concurrency_limit=1, api_open=False)
    return page


def serve(page: gr.Blocks, folder: Path, port: int | None) -> str:
    """Serve the page on loopback, in threads of this process; return its URL. Raises OSError."""
    _, url, _ = page.launch(
        server_name=LOOPBACK,
        server_port=port,
        share=False,
        prevent_thread_lock=True,
        quiet=True,
        show_error=False,
        inbrowser=False,
        max_file_size=MOST_BYTES,
        allowed_paths=[str(folder)],
        enable_monitoring=False,
        run_history=False,
        footer_links=[],
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        app_kwargs={
            "middleware": [
                Middleware(TrustedHostMiddleware, allowed_hosts=[LOOPBACK, "localhost"]),
                Middleware(WithPolicy),
            ]
        },
        theme=gr.themes.Default(),
        css=CSS,
    )
    return str(url)


def _lay_out(kind: Kind, renders: Renders, preset: str) -> None:
    with gr.Row():
        with gr.Column():
            shown = _shown_input(kind)
            audio = gr.Audio(
                label=kind.audio, type="filepath", sources=["upload", "microphone"], buttons=[]
            )
            consent = gr.Checkbox(label=kind.consent)
            with gr.Accordion("Settings", open=False):
                presets = list(dict.fromkeys([*preset_names(), preset]))
                chosen = gr.Dropdown(presets, value=preset, label="Preset")
                others = _settings(kind, preset)
            with gr.Row():
                start = gr.Button("Render", variant="primary")
                stop = gr.Button("Stop")
        with gr.Column():
            status = gr.HTML(html_of(State("Nothing is rendered yet")), elem_classes="sonic")
            video = gr.Video(label="Video", interactive=False, buttons=[])
            download = gr.DownloadButton("Download", interactive=False)
    render = start.click(
        _renderer(kind, renders),
        [shown, audio, consent, chosen, *others],
        [status, video, download],
        show_progress="minimal",
        show_progress_on=status,
        concurrency_limit=1,
        concurrency_id="render",
        api_visibility="private",
    )
    stopped = html_of(State("", problems=("Stopped.",)))
    stop.click(lambda: stopped, None, status, cancels=[render], api_visibility="private")
    chosen.input(_values, chosen, others[:3], api_visibility="private", queue=False)


def _shown_input(kind: Kind) -> Any:
    if kind is PORTRAIT:
        face = gr.Image(label="Face", type="filepath", sources=["upload", "clipboard"], buttons=[])
        # gradio would open the image, and fail without a word where it cannot: we say why. A
        # class of our own would do, but gradio writes a file beside the code for each.
        face.preprocess = lambda payload: None if payload is None else payload.path
        return face
    return gr.Video(label="Film", sources=["upload"], buttons=[])


def _settings(kind: Kind, preset: str) -> Components:
    """Make a component for every column of `kind.others`."""
    seed, head_motion, expression = _values(preset)
    least, most, step = STRENGTHS
    made = {
        "seed": lambda: gr.Number(seed, label="Seed", precision=0),
        "head_motion": lambda: gr.Slider(least, most, head_motion, step=step, label="Head motion"),
        "expression": lambda: gr.Slider(least, most, expression, step=step, label="Expression"),
        "length": lambda: gr.Dropdown(
            [("as the preset says", ""), *((name, name) for name in LENGTHS)],
            value="",
            label="If film and speech differ in length",
        ),
        "language": lambda: gr.Textbox(label="Language of the speech", placeholder="de"),
    }
    return [made[name]() for name in kind.others]


def _values(preset: str) -> tuple[int, float, float]:
    """Return seed, head motion and expression of a preset."""
    try:
        config = load_preset(preset)
    except SonicError as error:
        raise gr.Error(f"{error}. {error.remedy}", print_exception=False) from error
    return config.seed, config.sampling.head_motion, config.sampling.expression


def _renderer(kind: Kind, renders: Renders) -> Callable[..., Iterator[Outputs]]:
    """Return what the button calls: it yields what the three outputs show."""

    def render(
        shown: str | None, audio: str | None, consents: bool, preset: str, *others: Any
    ) -> Iterator[Outputs]:
        missing = [name for name, file in ((kind.column, shown), ("audio", audio)) if not file]
        if missing:
            problems = tuple(_MISSING[name] for name in missing)
            yield _outputs(State("", problems=problems))
            return
        consent = f"said on the page of sonic demo, {datetime.now(UTC):%Y-%m-%d}"
        cells = {name: _cell(value) for name, value in zip(kind.others, others, strict=True)}
        cells |= {kind.column: shown, "audio": audio, "consent": consent if consents else None}
        for state in renders.render(cells, preset):
            yield _outputs(state)

    return render


_MISSING: Final = {
    "portrait": "There is no face yet. Drop an image of one.",
    "video": "There is no film yet. Drop one.",
    "audio": "There is no recording yet. Drop one, or record it.",
}


def _cell(value: object) -> str | None:
    """Return a value as a cell of a manifest."""
    return None if value in (None, "") else f"{value:g}" if isinstance(value, float) else str(value)


def _outputs(state: State) -> Outputs:
    """Return what status, video and download show; the last video goes when a render starts."""
    is_done = state.video is not None
    return (
        html_of(state),
        gr.update(value=state.video),
        gr.update(value=state.video, interactive=is_done),
    )


def html_of(state: State) -> str:
    """Return the status as HTML: problems, progress, then notes."""
    lines = [f"<p role=alert>{escape(problem)}</p>" for problem in state.problems]
    if state.text:
        lines.append(f"<p role=status>{escape(state.text)}</p>")
    if state.text and state.share is not None:
        lines.append(f'<progress max=1 value="{state.share:.3f}" aria-label=Progress></progress>')
    return "".join([*lines, *(f"<p>{escape(note)}</p>" for note in state.notes)])
