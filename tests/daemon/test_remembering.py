from __future__ import annotations

from shaded.clock import SystemClock
from shaded.daemon.instance import LEDGER_NAME
from shaded.daemon.remembering import LedgerMemory, learned_before
from shaded.ledger import Ledger
from shaded.settings import Settings


def test_a_command_knows_what_the_daemon_learned_and_changes_nothing(tmp_path):
    """What the ledger remembers is recalled by its key; what the command learns is not written."""
    settings = Settings(state_dir=tmp_path)
    assert learned_before(settings)("memory x").recall() is None
    ledger = Ledger.open(tmp_path / LEDGER_NAME, SystemClock(), settings.scheduling)
    try:
        LedgerMemory(ledger, "memory x").remember("much")
        memory = learned_before(settings)("memory x")
        assert memory.recall() == "much"
        memory.remember("more")
        assert memory.recall() == "more"
        assert learned_before(settings)("memory x").recall() == "much"
        assert learned_before(settings)("memory y").recall() is None
    finally:
        ledger.close()


def test_a_damaged_ledger_does_not_keep_a_command_from_its_work(tmp_path):
    """It begins like one that knows nothing."""
    (tmp_path / LEDGER_NAME).write_bytes(b"no ledger at all" * 1000)
    assert learned_before(Settings(state_dir=tmp_path))("memory x").recall() is None
