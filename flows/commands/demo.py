"""`sonic demo`: a page to try it."""

import os
from contextlib import suppress
from importlib.util import find_spec
from threading import Event
from typing import Annotated

import typer

from flows.commands.options import DEFAULT_PRESET, Preset
from sonic_ops.core.errors import ConfigError


def demo(
    preset: Preset = DEFAULT_PRESET,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port; if unset, a free one from 7860 on.")
    ] = None,
    show: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
) -> None:
    """Serve a page on this machine: drop a face and a recording, watch, play and download.

    It needs the extra `demo`: pip install 'sonic-render\\[demo]'.

    \b
    sonic demo --open
    sonic demo --preset sketch --port 8000
    """
    from flows.console.terminal import open_terminal
    from flows.supervisor.channel import notify_supervisor

    if find_spec("gradio") is None:
        raise ConfigError(
            "sonic demo needs the package gradio", remedy="Run pip install 'sonic-render[demo]'."
        )
    notify_supervisor(server=True)
    say = open_terminal().say
    say("preparing the page")
    from flows.demo.renders import open_renders

    with open_renders() as (renders, folder):
        os.environ |= {"GRADIO_TEMP_DIR": str(folder / "uploads"), **_QUIET}  # read when imported
        from flows.demo.page import build, serve

        try:
            url = serve(build(renders, preset), folder, port)
        except OSError as error:
            raise ConfigError(
                f"The page cannot be served at port {port or '7860 to 7959'} of this machine",
                remedy="Choose another one with --port.",
            ) from error
        say(f"{url} (Ctrl-C ends it)")
        if show and typer.launch(url):
            say("no browser could be started: open the URL yourself")
        with suppress(KeyboardInterrupt):
            Event().wait()


_QUIET = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_DISABLE_TELEMETRY": "1"}
