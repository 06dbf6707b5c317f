"""The tree of commands. Each command's module is small; what it needs to do its work is imported when it runs."""

from __future__ import annotations

from typing import Annotated

import typer

import shaded
from shaded.cli import asking, auditing, checking, ordering, recovering, running, service, shading, trialing, verifying

app = typer.Typer(
    name="shaded",
    help="Publishes shaded copies of an artist's own pictures: save into one folder, share from another.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"shaded {shaded.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Publishes shaded copies of an artist's own pictures: save into one folder, share from another."""


app.command("run")(running.run)
app.command("shade")(shading.shade)
app.command("status")(asking.status)
app.command("queue")(asking.queue)
app.command("explain")(asking.explain)
app.command("pause")(ordering.pause)
app.command("resume")(ordering.resume)
app.command("reload")(ordering.reload)
app.command("retry")(ordering.retry)
app.command("bump")(ordering.bump)
app.command("recover")(recovering.recover)
app.command("verify")(verifying.verify)
app.command("audit")(auditing.audit)
app.command("trial")(trialing.trial)
app.command("check")(checking.check)
app.add_typer(service.app, name="service")
