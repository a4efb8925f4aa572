"""What several tests of trainings use."""

import pytest


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainings draw nothing, which takes longer than the trainings here."""
    monkeypatch.setattr("segforge.training.history.draw_panels", lambda *arguments: None)
