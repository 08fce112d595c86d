"""`liangzheng`: run the platform, bring licences in, and try it as a holder or a department."""

import sys

import typer
from pydantic import ValidationError
from rich.markup import escape

from wallet_api.cli import (
    access_log,
    department,
    holder,
    holders,
    intake,
    keys,
    operate,
    operators,
    outbox,
    reminders,
    scenes,
    store,
    upkeep,
    verifiers,
)
from wallet_api.cli.console import errors
from wallet_api.garbage import collect_rarely

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__, pretty_exceptions_enable=False)
app.command()(operate.serve)
app.command()(operate.run)
app.command()(operate.migrate)
app.command()(operate.worker)
app.command()(operate.remind)
app.command()(operate.inbox)
app.command()(operate.demo)
app.command()(upkeep.check_config)
app.command()(upkeep.reseal)
app.command()(intake.sample)
app.command("import")(intake.import_file)
app.command()(store.licences)
app.command()(store.lineage)
app.command()(store.offer)
app.add_typer(holder.app, name="holder")
app.add_typer(department.app, name="department")
app.add_typer(verifiers.app, name="verifiers")
app.add_typer(scenes.app, name="scenes")
app.add_typer(keys.app, name="keys")
app.add_typer(access_log.app, name="access-log")
app.add_typer(operators.app, name="operators")
app.add_typer(holders.app, name="holders")
app.add_typer(outbox.app, name="outbox")
app.add_typer(reminders.app, name="reminders")


def main() -> None:
    """Run a command; what is foreseen ends with one line on standard error and exit code 1."""
    collect_rarely()
    if any("\udc80" <= character <= "\udcff" for argument in sys.argv for character in argument):
        errors.print("[red]✗[/] an argument is not text in UTF-8")
        sys.exit(2)
    try:
        app()
    except ValidationError as error:
        for one in error.errors():
            setting = ".".join(str(part) for part in one["loc"]).upper()
            message = f"{setting}: {one['msg']}" if setting else one["msg"]
            errors.print(f"[red]settings:[/] {escape(message)}", highlight=False)
        sys.exit(2)
    except (OSError, UnicodeDecodeError):  # outside of any work: reading .env
        errors.print("[red]settings:[/] .env cannot be read as text in UTF-8")
        sys.exit(2)
