"""How property tests run here."""

from hypothesis import settings

# A busy machine is no fault of the code: the time limit is pytest's, for the whole test.
settings.register_profile("kleis", deadline=None)
settings.load_profile("kleis")
